"""The functions of the management port: metrics, status, reload. `routes.py` maps them to paths."""

from collections.abc import Callable
from typing import Any, Protocol

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.exposition import choose_encoder

from models.build import build
from service.access.audit import audit
from service.admin.automation import selector_of
from service.admin.gauges import (
    AutomationGauges,
    DiskGauges,
    DriftGauges,
    LiveGauges,
    MisrouteGauges,
    ServingGauges,
    StateGauges,
)
from service.admin.gpu import GpuGauges
from service.api.convert import (
    automation_out,
    challenger_out,
    drift_out,
    last_reload_out,
    live_out,
    serving_out,
    switch_out,
)
from service.api.schemas import (
    AutomationOut,
    AutomationRequest,
    BuildOut,
    ChallengerOut,
    ChallengerRequest,
    ChallengersOut,
    ConnectionOut,
    LiveOut,
    RecordsOut,
    ReloadOut,
    ServingOut,
    StatusOut,
    SwitchOut,
)
from service.automation.automation import Automation
from service.automation.misroutes import MisrouteAlarm
from service.automation.switches import Mode
from service.errors import RecordsOff
from service.http.problems import kind_of
from service.lifecycle import ChallengerRole, ChallengerStatus, Lifecycle
from service.metrics.metrics import Metrics
from service.records.maintenance import Maintenance
from service.records.records import Records
from service.records.rows import storable
from service.routing.reload import ModelReloader
from service.routing.router import Router


class ChallengerControl(Protocol):
    """`challengers.Challengers`."""

    def status(self) -> list[ChallengerStatus]: ...

    async def put(self, role: ChallengerRole, version: str | None, share: float, who: str, why: str) -> None: ...


class AdminService:
    """`connections`: the values of `schemas.ConnectionOut`, and the fault of their file. `exemplars`: requests may have
    traces."""

    def __init__(
        self,
        router: Router,
        reloader: ModelReloader,
        metrics: Metrics,
        lifecycle: Lifecycle,
        records: Records | None,
        automation: Automation | None,
        misroutes: MisrouteAlarm | None,
        maintenance: Maintenance | None,
        challengers: ChallengerControl | None,
        connections: Callable[[], tuple[list[dict[str, Any]], str | None]] | None,
        *,
        exemplars: bool,
    ) -> None:
        self.lifecycle = lifecycle
        self._exemplars = exemplars
        self._router = router
        self._reloader = reloader
        self._metrics = metrics
        self._records = records
        self._automation = automation
        self._misroutes = misroutes
        self._maintenance = maintenance
        self._challengers = challengers
        self._connections = connections
        metrics.registry.register(ServingGauges(self._serving))
        metrics.registry.register(DriftGauges(router.drift))
        metrics.registry.register(StateGauges(lifecycle))
        if records is not None:
            metrics.registry.register(DiskGauges(records.folder))
        if automation is not None:
            metrics.registry.register(AutomationGauges(automation.in_force))
        if automation is not None and misroutes is not None:
            metrics.registry.register(MisrouteGauges(automation.in_force, lambda: misroutes.evidence))
        if maintenance is not None:
            metrics.registry.register(LiveGauges(lambda: maintenance.estimate))
        metrics.registry.register(GpuGauges())

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """All metrics in Prometheus' text format, and its media type; with traces, in OpenMetrics if `accept` names it:
        only OpenMetrics has exemplars."""
        encode, media_type = choose_encoder(accept) if self._exemplars else (generate_latest, CONTENT_TYPE_LATEST)
        return encode(self._metrics.registry), media_type

    def status(self) -> StatusOut:
        drift = self._router.drift()
        connections, connections_fault = self.connections()
        return StatusOut(
            build=BuildOut(**build()._asdict()),
            phase=self.lifecycle.phase,
            not_ready=self.lifecycle.not_ready_reason,
            uptime_seconds=round(self.lifecycle.uptime_seconds, 3),
            last_reload=last_reload_out(self.lifecycle.last_reload),
            serving=self._serving(),
            drift=None if drift is None else drift_out(drift),
            records=None if self._records is None else RecordsOut(**self._records.status(), live=self._live()),
            automation=self._automation_out(),
            challengers=self._challengers_out(),
            connections=None if self._connections is None else tuple(ConnectionOut(**each) for each in connections),
            connections_fault=connections_fault,
        )

    def connections(self) -> tuple[list[dict[str, Any]], str | None]:
        """The values of `schemas.ConnectionOut` for each helpdesk, and why the changed file is not in use."""
        return ([], None) if self._connections is None else self._connections()

    async def reload(self, version: str | None, requested_by: str) -> ReloadOut:
        """Serve another bundle, or the configured one as it is now, and write an audit line with the result.

        Raises:
            NotReady, ReloadRunning, ReloadRefused: the previous model goes on serving.
        """
        try:
            before, now = await self._reloader.reload(self._reloader.locate(version))
        except Exception as error:
            audit(requested_by, "reload", kind_of(error).code)
            raise
        audit(requested_by, "reload", "done", version=now.version, previous=before.version)
        return ReloadOut(version=now.version, variant=now.variant, previous=before.version)

    async def set_automation(self, request: AutomationRequest, requested_by: str) -> SwitchOut:
        """Put a switch in force, and write an audit line.

        Raises:
            RecordsOff, RecordsUnavailable: there is no record, or its database is away.
            NotReady: the labels are not known yet.
            InvalidRequest: no such field, label or helpdesk, or a malformed domain or address.
        """
        if self._automation is None:
            raise RecordsOff
        scorings = self._router.engine.graph.scorings
        labels = {scoring.field.name: scoring.field.labels for scoring in scorings}
        connections = [each["name"] for each in self.connections()[0]]
        selector = selector_of(request, labels, connections, self._automation.in_force.switches or ())
        switch, matched = await self._automation.set(
            request.field, selector, Mode(request.mode), requested_by, storable(request.why)
        )
        # Without the slice and the reason: logs hold no addresses. The id leads to both, on record.
        audit(requested_by, "automation", "done", field=switch.field, mode=switch.mode.value, switch=switch.id)
        return switch_out(switch, matched)

    async def put_challenger(self, wanted: ChallengerRequest, requested_by: str) -> ChallengersOut:
        """Put a bundle beside the serving one, or withdraw it, and write an audit line with the result.

        Raises:
            RecordsOff, RecordsUnavailable, NotReady, ChallengerRefused: nothing was changed.
        """
        details = {"role": wanted.role, "version": wanted.bundle or "", "share": f"{wanted.share:g}"}
        try:
            if self._challengers is None:
                raise RecordsOff
            await self._challengers.put(wanted.role, wanted.bundle, wanted.share, requested_by, storable(wanted.why))
        except Exception as error:
            audit(requested_by, "challenger", kind_of(error).code, role=wanted.role)
            raise
        audit(requested_by, "challenger", "done", **details)
        return ChallengersOut(challengers=self._challengers_out())

    def _challengers_out(self) -> tuple[ChallengerOut, ...]:
        return () if self._challengers is None else tuple(map(challenger_out, self._challengers.status()))

    def _automation_out(self) -> AutomationOut | None:
        if self._automation is None or self._misroutes is None:
            return None
        return automation_out(self._automation.in_force, self._misroutes.evidence)

    def _live(self) -> LiveOut | None:
        estimate = None if self._maintenance is None else self._maintenance.estimate
        return None if estimate is None else live_out(estimate)

    def _serving(self) -> ServingOut | None:
        return serving_out(self._router.engine) if self._router.has_engine else None
