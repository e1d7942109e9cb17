"""The one composition root: settings → the two applications and what they share.

Nothing is read or opened before `App.start`; `server.py` starts and stops it, tests do the same.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware

from models.bundle import Bundle
from service.api.documents import documented_statuses
from service.api.routes import Api
from service.errors import MalformedHttp
from service.http.body import BodyReader
from service.http.middleware import METHODS, OTHER_METHOD, UNMATCHED, Observe, Problems, RequestId, translate
from service.http.problems import CLIENT_CLOSED, kind_of, reasons
from service.lifecycle import Lifecycle
from service.loader import Loader
from service.management import Management
from service.metrics import Metrics
from service.offload import Offload
from service.oneprocess import OneProcess
from service.router import Router, deadline_in
from service.settings import Settings

# FastAPI's own telemetry would record validation errors with the input that caused them.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
_MALFORMED = kind_of(MalformedHttp())
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class App:
    """Both applications and the parts that live as long as the process."""

    public: FastAPI
    management: FastAPI
    router: Router
    loader: Loader
    metrics: Metrics
    lifecycle: Lifecycle
    offload: Offload
    bodies: BodyReader
    settings: Settings

    async def start(self) -> None:
        """Open the bundle, replay its golden rows and be ready.

        Raises:
            BundleError, DeviceError, PlanError: this bundle must not or cannot serve here.
        """
        engine = await self.loader.start()
        _log.info(
            "serving",
            version=engine.model.version,
            variant=engine.model.variant,
            provider=engine.provider,
            plan=engine.chosen.source,
            runners=engine.limits.runners,
            golden_rows=engine.replayed.rows,
        )

    def drain(self, body_seconds: float) -> None:
        """Not ready any more; what was accepted goes on, and a half-sent body has this long to come to its end."""
        self.lifecycle.drain()
        self.bodies.finish_by(deadline_in(body_seconds))

    def malformed(self, request_id: str) -> None:
        """The public port refused bytes that are no HTTP request; no middleware has seen them."""
        self.metrics.request(UNMATCHED, OTHER_METHOD, _MALFORMED.status, None)
        self.metrics.rejected(_MALFORMED.code)
        _log.info("request", route=UNMATCHED, method=OTHER_METHOD, code=_MALFORMED.status, request_id=request_id)

    async def stop(self) -> None:
        """Give back what waits, let what runs finish, end the threads. Harmless when nothing was started."""
        self.lifecycle.drain()
        await self.loader.close()
        if self.router.has_engine:
            await self.router.engine.close()
        self.offload.close()


def create_app(settings: Settings, *, bundle: Bundle | None = None) -> App:
    """Put the service together. `bundle` is one that is open already; without it the settings' is opened at start."""
    metrics, offload, lifecycle, bodies = Metrics(CollectorRegistry()), Offload(), Lifecycle(), BodyReader()
    router = Router(metrics, offload)
    loader = Loader(settings, router, metrics, lifecycle, bundle)
    api = Api(router, metrics, offload, bodies, settings)
    public = _public(api, metrics)
    management = _application("Ticket router, management", [Middleware(RequestId), Middleware(Problems)])
    process = OneProcess(router, loader, metrics, lifecycle)
    Management(lambda: api.document(public), process).add_to(management)
    return App(public, management, router, loader, metrics, lifecycle, offload, bodies, settings)


def _public(api: Api, metrics: Metrics) -> FastAPI:
    # The middleware wants the routes and the application wants the middleware: the set is filled below.
    routes: set[str] = set()
    public = _application(
        "Ticket router",
        [
            Middleware(RequestId),
            Middleware(Observe, metrics=metrics, routes=routes),
            Middleware(Problems, on_error=metrics.rejected),
        ],
    )
    api.add_to(public)
    statuses = documented_statuses(public)
    routes.update(statuses)
    metrics.expect_requests(_expected(statuses))
    metrics.expect_rejections(reasons())
    return public


def _application(title: str, middleware: list[Middleware]) -> FastAPI:
    return FastAPI(
        title=title,
        telemetry=_NO_TELEMETRY,
        middleware=middleware,
        # `Problems` answers these as well: one place for all errors.
        exception_handlers={HTTPException: translate},
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )


def _expected(statuses: Mapping[str, tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, str, int]]:
    """Every (route, method, code) that can come up, so that all series are there from the start and none is added."""
    methods = [*METHODS, OTHER_METHOD]
    for route, (own, codes) in statuses.items():
        yield from ((route, own, code) for code in (*codes, CLIENT_CLOSED))
        yield from ((route, method, 405) for method in methods if method != own)
    yield from ((UNMATCHED, method, 404) for method in methods)
    yield UNMATCHED, OTHER_METHOD, _MALFORMED.status
