"""The one composition root: settings → the two applications and what they share.

Nothing is read or opened before `App.start`; `server.py` starts and stops it, tests do the same.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from models.bundle.bundle import Bundle
from service.access.access import Access
from service.admin.routes import Managed, Management
from service.admin.status import OneProcess
from service.api.openapi import Document, documented_statuses
from service.api.routes import Api
from service.http.authorize import Gate
from service.http.body import BodyReader
from service.http.browsers import BrowserPolicy
from service.http.early import Early, early, never
from service.http.fast_path import Direct, application
from service.http.middleware import METHODS, OTHER_METHOD, UNMATCHED, Observe, Problems, RequestId, translate
from service.http.problems import CLIENT_CLOSED, kind_of, kind_of_class, reasons
from service.http.refusals import REFUSALS, Refusal
from service.lifecycle import Lifecycle
from service.metrics.metrics import Metrics
from service.routing.offload import Offload
from service.routing.reload import Loader
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
for each of `Offload`'s threads in turn: the shorter, the sooner it answers, at no cost that could be measured."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class App:
    """Both applications and the parts that live as long as the process. `document` gives the public one's OpenAPI."""

    public: ASGIApp
    early: Early
    management: FastAPI
    router: Router
    loader: Loader
    metrics: Metrics
    lifecycle: Lifecycle
    offload: Offload
    bodies: BodyReader
    traces: Traces
    access: Access
    settings: Settings
    process: OneProcess
    document: Callable[[], Document]

    async def start(self, bundle: Path | None = None, worker: int | None = None) -> None:
        """Open the settings' bundle or this one, replay its golden rows and be ready. `worker`: which of several it is.

        Raises:
            BundleError, DeviceError, PlanError: this bundle must not or cannot serve here.
            TracesError: traces are asked for and cannot be had.
        """
        self.traces.start(worker)
        engine = await self.loader.start(bundle)
        # What stands now (`loader` has just swept up) stands for good: the collector need not walk through it again.
        gc.freeze()
        gc.set_threshold(*COLLECT)
        sys.setswitchinterval(SWITCH_SECONDS)
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
        self.loader.stop()
        self.bodies.finish_by(deadline_in(body_seconds))

    def refused(self, refusal: Refusal) -> None:
        """The public port turned away what no application has seen."""
        kind, route, method = kind_of(refusal.error), refusal.route or UNMATCHED, refusal.method or OTHER_METHOD
        self.metrics.request(route, method, kind.status, None)
        self.metrics.rejected(kind.code)
        seconds = {} if refusal.route is None else {"seconds": 0.0}
        key = {} if refusal.key is None else {"key": refusal.key}
        _log.info(
            "request",
            route=route,
            method=method,
            code=kind.status,
            **seconds,
            **key,
            problem=kind.code,
            request_id=refusal.request_id,
        )

    async def stop(self) -> None:
        """Give back what waits, let what runs finish, end the threads. Harmless when nothing was started."""
        self.lifecycle.drain()
        await self.loader.close()
        await self.router.close()
        self.offload.close()
        self.traces.stop(self.settings.drain_seconds)


def create_app(settings: Settings, *, bundle: Bundle | None = None) -> App:
    """Put the service together. `bundle` is one that is open already; without it the settings' is opened at start."""
    metrics, offload, lifecycle, bodies = Metrics(CollectorRegistry()), Offload(), Lifecycle(), BodyReader()
    telemetry, traces = Telemetry(metrics), Traces(settings.traces)
    router = Router(metrics, telemetry, offload, trust_spam_headers=settings.trust_spam_headers)
    loader = Loader(settings, router, metrics, lifecycle, bundle)
    access = Access(settings.keys_file, metrics.registry)
    api = Api(router, metrics, telemetry, offload, bodies, access, settings)
    documented, public = _public(api, metrics, traces)
    process = OneProcess(router, loader, metrics, lifecycle)

    def document() -> Document:
        return api.document(documented)

    return App(
        public,
        never if settings.traces else _early(access, api, lifecycle),
        management_app(document, process, access, bodies),
        router,
        loader,
        metrics,
        lifecycle,
        offload,
        bodies,
        traces,
        access,
        settings,
        process,
        document,
    )


def management_app(document: Callable[[], Document], managed: Managed, access: Access, bodies: BodyReader) -> FastAPI:
    """What the management port serves: of one process, or of several as one."""
    management = _application(
        "Ticket router, management", [Middleware(RequestId), Middleware(BrowserPolicy), Middleware(Problems)]
    )
    Management(document, managed, Gate(access), bodies).add_to(management)
    return management


def _public(api: Api, metrics: Metrics, traces: Traces) -> tuple[FastAPI, ASGIApp]:
    """The documented application, and what serves: our own layers, then the short way or the framework's."""
    documented = _application("Ticket router", [Middleware(Problems, on_error=metrics.rejected)])
    api.add_to(documented)
    statuses = documented_statuses(documented)
    metrics.expect_requests(_expected(statuses))
    metrics.expect_rejections(reasons())
    direct = {path: Problems(application(end), on_error=metrics.rejected) for path, end in api.direct.items()}
    return documented, RequestId(Observe(Direct(documented, direct), metrics, traces, frozenset(statuses)))


def _early(access: Access, api: Api, lifecycle: Lifecycle) -> Early:
    """Not with traces, whose spans are the long way's; nor while it stops, when answers end their connections."""
    refusal = early(access, api.checks)
    return lambda path, headers: refusal(path, headers) if lifecycle.phase == "ready" else None


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
    yield from ((UNMATCHED, OTHER_METHOD, kind_of_class(error).status) for error in REFUSALS)
