"""The one composition root: settings → the two applications and what they share.

Nothing is read or opened before `App.start`; `server/serve.py` starts and stops it, tests do the same.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from models.bundle.bundle import Bundle
from service.access.access import Access
from service.admin.routes import Management
from service.admin.service import AdminService
from service.api.openapi import Document, documented_statuses
from service.api.routes import Api
from service.errors import ServiceError
from service.http.authorize import Authorizer
from service.http.body import BodyReader
from service.http.browsers import BrowserPolicy
from service.http.fast_path import FastPath, application
from service.http.middleware import METHODS, OTHER_METHOD, UNMATCHED, Observe, Problems, RequestId, translate
from service.http.problems import CLIENT_CLOSED, PORT_REFUSALS, kind_of, kind_of_class, reasons
from service.lifecycle import Lifecycle
from service.metrics.metrics import Metrics
from service.routing.cpu_pool import CpuPool
from service.routing.reload import ModelReloader
from service.routing.router import Router, deadline_in
from service.routing.telemetry import Telemetry
from service.settings import Settings
from service.tracing.traces import Traces

# FastAPI's own telemetry would record validation errors with the input that caused them.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
COLLECT = (10_000, 3, 50)
"""The collector's thresholds (Python's own: 700, 10, 10). Requests leave hardly any cycles; a flood of connections
makes objects by the hundred thousand, and walking through them all at each of its steps held everybody up for 90 ms."""
SWITCH_SECONDS = 0.001
"""How long a thread that runs Python may keep the interpreter while others wait (Python's own: 5 ms). The loop waits
for each of `CpuPool`'s threads in turn: the shorter, the sooner it answers, at no cost that could be measured."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class App:
    """Both applications and the parts that live as long as the process. `document` gives the public one's OpenAPI."""

    public: ASGIApp
    management: FastAPI
    router: Router
    reloader: ModelReloader
    metrics: Metrics
    lifecycle: Lifecycle
    cpu_pool: CpuPool
    bodies: BodyReader
    traces: Traces
    access: Access
    settings: Settings
    admin: AdminService
    document: Callable[[], Document]

    async def start(self) -> None:
        """Open the bundle, replay its golden rows and be ready.

        Raises:
            BundleError, DeviceError, PlanError: this bundle must not or cannot serve here.
            TracesError: traces are asked for and cannot be had.
        """
        self.traces.start()
        engine = await self.reloader.start()
        # What stands now (`reloader` has just swept up) stands for good: the collector need not walk through it again.
        gc.freeze()
        gc.set_threshold(*COLLECT)
        sys.setswitchinterval(SWITCH_SECONDS)
        _log.info(
            "serving",
            version=engine.model.version,
            variant=engine.model.variant,
            provider=engine.provider,
            runners=engine.limits.runners,
            golden_rows=engine.replayed.rows,
        )

    def drain(self, body_seconds: float) -> None:
        """Not ready any more; what was accepted goes on, and a half-sent body has this long to come to its end."""
        self.lifecycle.drain()
        self.reloader.stop()
        self.bodies.finish_by(deadline_in(body_seconds))

    def refused(self, error: ServiceError, request_id: str) -> None:
        """The public port refused what no application sees."""
        kind = kind_of(error)
        self.metrics.request(UNMATCHED, OTHER_METHOD, kind.status, None)
        self.metrics.rejected(kind.code)
        _log.info(
            "request",
            route=UNMATCHED,
            method=OTHER_METHOD,
            code=kind.status,
            problem=kind.code,
            request_id=request_id,
        )

    async def stop(self) -> None:
        """Give back what waits, let what runs finish, end the threads. Harmless when nothing was started."""
        self.lifecycle.drain()
        self.reloader.stop()
        await self.router.close()
        self.cpu_pool.close()
        self.traces.stop(self.settings.drain_seconds)


def create_app(settings: Settings, *, bundle: Bundle | None = None) -> App:
    """Put the service together. `bundle` is one that is open already; without it the settings' is opened at start."""
    metrics, cpu_pool, lifecycle, bodies = Metrics(CollectorRegistry()), CpuPool(), Lifecycle(), BodyReader()
    telemetry, traces = Telemetry(metrics), Traces(settings.traces)
    router = Router(metrics, telemetry, cpu_pool)
    reloader = ModelReloader(settings, router, metrics, lifecycle, bundle)
    access = Access(settings.keys_file, metrics.registry)
    api = Api(router, metrics, telemetry, cpu_pool, bodies, access, settings)
    documented, public = _public(api, metrics, traces)
    admin = AdminService(router, reloader, metrics, lifecycle)

    def document() -> Document:
        return api.document(documented)

    return App(
        public,
        _management(document, admin, access, bodies),
        router,
        reloader,
        metrics,
        lifecycle,
        cpu_pool,
        bodies,
        traces,
        access,
        settings,
        admin,
        document,
    )


def _management(document: Callable[[], Document], admin: AdminService, access: Access, bodies: BodyReader) -> FastAPI:
    management = _application(
        "Ticket router, management", [Middleware(RequestId), Middleware(BrowserPolicy), Middleware(Problems)]
    )
    Management(document, admin, Authorizer(access), bodies).add_to(management)
    return management


def _public(api: Api, metrics: Metrics, traces: Traces) -> tuple[FastAPI, ASGIApp]:
    """The documented application, and what serves: our own layers, then the short way or the framework's."""
    documented = _application("Ticket router", [Middleware(Problems, on_error=metrics.rejected)])
    api.add_to(documented)
    statuses = documented_statuses(documented)
    metrics.expect_requests(_expected(statuses))
    metrics.expect_rejections(reasons())
    direct = {path: Problems(application(end), on_error=metrics.rejected) for path, end in api.direct.items()}
    return documented, RequestId(Observe(FastPath(documented, direct), metrics, traces, frozenset(statuses)))


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
    yield from ((UNMATCHED, OTHER_METHOD, kind_of_class(error).status) for error in PORT_REFUSALS)
