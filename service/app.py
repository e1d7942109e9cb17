"""The composition root: creates the two applications and their shared parts from the settings.

Nothing is read or opened before `App.start`. `server/serve.py` and the tests start and stop an `App`.
"""

import gc
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import structlog
from fastapi import FastAPI
from fastapi.telemetry import TelemetryConfig
from prometheus_client import CollectorRegistry
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.types import ASGIApp

from models.bundle.bundle import Bundle
from service.access.access import Access
from service.admin.routes import AdminRoutes
from service.admin.service import AdminService
from service.api.convert import rendered
from service.api.decisions import DecisionsApi
from service.api.feedback import FeedbackApi
from service.api.openapi import Document, documented_statuses, openapi_document
from service.api.routes import Api
from service.api.tickets import TicketsApi
from service.automation.automation import Automation
from service.automation.evidence import Watched, watched_by
from service.automation.misroutes import MisrouteAlarm
from service.challengers.challengers import Challengers
from service.errors import ServiceError
from service.explain.notes import NoteWords
from service.helpdesks.helpdesks import Helpdesks
from service.http.authorize import Authorizer
from service.http.body import BodyReader
from service.http.browsers import BrowserPolicy
from service.http.fast_path import FastPath, application
from service.http.middleware import METHODS, OTHER_METHOD, UNMATCHED, Observer, RequestMiddleware, translate
from service.http.problems import CLIENT_CLOSED, PORT_REFUSALS, kind_of, kind_of_class, reasons
from service.lifecycle import Lifecycle
from service.metrics.metrics import Metrics
from service.records.maintenance import Maintenance
from service.records.records import Records
from service.routing.cpu_pool import CpuPool
from service.routing.reload import ModelReloader
from service.routing.router import Router, deadline_in
from service.routing.telemetry import Telemetry
from service.settings import Settings
from service.tracing.traces import Traces

if TYPE_CHECKING:
    from service.desk.desk import Desk

# FastAPI's telemetry would record validation errors together with the input that caused them.
_NO_TELEMETRY: TelemetryConfig = {
    "tracing": False,
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}
GC_THRESHOLDS = (10_000, 3, 50)
"""Thresholds of the garbage collector (Python's default: 700, 10, 10). Requests leave hardly any cycles. A flood of
connections creates objects by the hundred thousand, and scanning all of them blocked every request for 90 ms."""
SWITCH_SECONDS = 0.001
"""Longest time a thread keeps the interpreter lock while others wait (Python's default: 5 ms). The event loop waits
for each thread of `CpuPool`: a shorter interval answers sooner, at no measurable cost."""
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class App:
    """Both applications and the parts that live as long as the process. `document` returns the public OpenAPI
    document."""

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
    records: Records | None
    automation: Automation | None
    misroutes: MisrouteAlarm | None
    maintenance: Maintenance | None
    challengers: Challengers | None
    helpdesks: Helpdesks | None
    desk: "Desk | None"
    document: Callable[[], Document]

    async def start(self) -> None:
        """Open the bundle, replay its golden rows and become ready.

        Raises:
            BundleError, DeviceError, PlanError: this bundle must not or cannot serve here.
            TracesError: traces are enabled and cannot be set up.
            RecordsError, SchemaError: the database of the records cannot be used.
            DeskError: the secret of the desk's sessions cannot be read.
        """
        self.traces.start()
        if self.records is not None:
            await self.records.start()
        if self.automation is not None:
            await self.automation.start()
        if self.maintenance is not None:
            self.maintenance.start()
        engine = await self.reloader.start()
        if self.challengers is not None:
            self.challengers.start()
        if self.misroutes is not None:
            self.misroutes.start()
        if self.helpdesks is not None:
            await self.helpdesks.start()
        if self.desk is not None:
            await self.desk.start()
        # The existing objects (`reloader` has just collected the garbage) stay: exclude them from later collections.
        gc.freeze()
        gc.set_threshold(*GC_THRESHOLDS)
        sys.setswitchinterval(SWITCH_SECONDS)
        _log.info(
            "serving",
            version=engine.model.version,
            variant=engine.model.variant,
            graph=engine.graph.entry.file,
            provider=engine.provider,
            runners=engine.limits.runners,
            golden_rows=engine.golden_replay.rows,
        )

    def drain(self, body_seconds: float) -> None:
        """Stop being ready. Accepted requests continue; a body that is being received has `body_seconds` to arrive."""
        self.lifecycle.drain()
        self.reloader.stop()
        if self.challengers is not None:
            self.challengers.drain()
        self.bodies.finish_by(deadline_in(body_seconds))

    def record_port_refusal(self, error: ServiceError, request_id: str) -> None:
        """Count and log a request that the public port refused before it reached an application."""
        kind = kind_of(error)
        self.metrics.record_request(UNMATCHED, OTHER_METHOD, kind.status, None)
        self.metrics.count_rejection(kind.code)
        _log.info(
            "request",
            route=UNMATCHED,
            method=OTHER_METHOD,
            code=kind.status,
            problem=kind.code,
            request_id=request_id,
        )

    async def stop(self) -> None:
        """Refuse waiting tickets, let running batches finish, end the threads. No effect when nothing was started."""
        self.lifecycle.drain()
        self.reloader.stop()
        if self.desk is not None:
            await self.desk.stop()
        if self.helpdesks is not None:
            await self.helpdesks.stop()
        await self.router.close()
        if self.challengers is not None:
            await self.challengers.stop()
        if self.maintenance is not None:
            await self.maintenance.stop()
        if self.misroutes is not None:
            await self.misroutes.stop()
        if self.automation is not None:
            await self.automation.stop()
        if self.records is not None:
            await self.records.stop()
        self.cpu_pool.close()
        self.traces.stop(self.settings.drain_seconds)


def create_app(settings: Settings, *, bundle: Bundle | None = None) -> App:
    """Create the service. `bundle`: an open bundle; None: `App.start` opens the bundle of the settings.

    Raises:
        ConnectionsError: the file of the connections has faults.
        DeskError: the desk cannot be served with these settings.
    """
    metrics, lifecycle = Metrics(CollectorRegistry()), Lifecycle()
    telemetry, traces = Telemetry(metrics), Traces(settings.traces)
    cpu_pool, bodies = CpuPool(), BodyReader()
    records = None
    if settings.records != "off":
        records = Records(settings, metrics.registry, partial(_report_records, lifecycle))
    automation = None if records is None else Automation(records)
    router = Router(
        metrics,
        telemetry,
        cpu_pool,
        None if automation is None else automation.in_force,
        trust_spam_headers=settings.trust_spam_headers,
        # A ticket is kept for people for what they say about it, which needs a record.
        holdout_share=settings.holdout_share if settings.records != "off" else 0.0,
    )
    reloader = ModelReloader(settings, router, metrics, lifecycle, bundle)
    access = Access(settings.keys_file, metrics.registry)
    maintenance = None if records is None else Maintenance(records, settings)
    challengers = None if records is None else Challengers(settings, router, reloader, records, metrics)
    misroutes = None
    if records is not None and automation is not None:

        def watched() -> list[Watched]:
            return watched_by(router.engine) if router.has_engine else []

        misroutes = MisrouteAlarm(records, automation.refresh, watched, metrics.registry, settings)
    api = Api(router, telemetry, cpu_pool, bodies, access, records, settings)
    documented = _fastapi("Ticket router", [])
    api.add_to(documented)
    DecisionsApi(records, Authorizer(access)).add_to(documented)
    feedback = FeedbackApi(router, cpu_pool, bodies, records, Authorizer(access), settings)
    feedback.add_to(documented)
    TicketsApi(records, Authorizer(access)).add_to(documented)
    helpdesks = None
    if settings.connections_file is not None:
        helpdesks = Helpdesks(
            settings,
            router,
            rendered,
            telemetry.record_decision,
            NoteWords(router),
            records,
            None if automation is None else automation.in_force,
            cpu_pool,
            bodies,
            metrics.registry,
        )
        helpdesks.add_to(documented)
    statuses = documented_statuses(documented)
    metrics.create_request_series(_possible_requests(statuses))
    connections = None if helpdesks is None else helpdesks.status
    admin = AdminService(
        router,
        reloader,
        metrics,
        lifecycle,
        records,
        automation,
        misroutes,
        maintenance,
        challengers,
        connections,
        exemplars=settings.traces,
    )
    desk, desk_routes = None, frozenset[str]()
    if settings.desk:
        from service.desk import desk as pages  # here: templates and sessions take 0.1 s to import

        links = {} if helpdesks is None else helpdesks.links
        desk = pages.Desk(settings, access, bodies, cpu_pool, router, records, automation, admin, links)
        desk.add_to(documented)
        desk_routes = frozenset({pages.ROUTE})
        metrics.create_request_series(
            (pages.ROUTE, method, code) for method in pages.METHODS for code in pages.STATUSES
        )
    metrics.create_rejection_series(reasons())
    # FastAPI's own middleware must be outside this one, or it would answer errors first.
    observer = Observer(metrics, traces, desk_routes.union(statuses))
    documented.add_middleware(RequestMiddleware, observer)
    direct = {path: RequestMiddleware(application(end), observer, cancel=True) for path, end in api.direct.items()}

    document = partial(openapi_document, documented, *api.inputs, *feedback.inputs)
    management = _fastapi("Ticket router, management", [Middleware(BrowserPolicy), Middleware(RequestMiddleware)])
    AdminRoutes(document, admin, Authorizer(access), bodies).add_to(management)
    return App(
        public=FastPath(documented, direct),
        management=management,
        router=router,
        reloader=reloader,
        metrics=metrics,
        lifecycle=lifecycle,
        cpu_pool=cpu_pool,
        bodies=bodies,
        traces=traces,
        access=access,
        settings=settings,
        admin=admin,
        records=records,
        automation=automation,
        misroutes=misroutes,
        maintenance=maintenance,
        challengers=challengers,
        helpdesks=helpdesks,
        desk=desk,
        document=document,
    )


def _report_records(lifecycle: Lifecycle, cause: str | None) -> None:
    # Probes need no key: the cause, which names the server, is in the log and in `/admin/status`.
    if cause is None:
        lifecycle.clear_fault("records")
    else:
        lifecycle.set_fault("records", "decisions cannot be recorded; see /admin/status")


def _fastapi(title: str, middleware: list[Middleware]) -> FastAPI:
    return FastAPI(
        title=title,
        telemetry=_NO_TELEMETRY,
        middleware=middleware,
        # `RequestMiddleware` handles these as well: one place for all errors.
        exception_handlers={HTTPException: translate},
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        redirect_slashes=False,
    )


def _possible_requests(statuses: Mapping[str, tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, str, int]]:
    """Every possible (route, method, code), so that all series exist from the start and none is added later."""
    methods = [*METHODS, OTHER_METHOD]
    for route, (allowed, codes) in statuses.items():
        yield from ((route, allowed, code) for code in (*codes, CLIENT_CLOSED))
        yield from ((route, method, 405) for method in methods if method != allowed)
    yield from ((UNMATCHED, method, 404) for method in methods)
    yield from ((UNMATCHED, OTHER_METHOD, kind_of_class(error).status) for error in PORT_REFUSALS)
