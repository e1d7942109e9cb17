"""The functions of the management port: metrics, status, reload. `routes.py` maps them to paths."""

from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.exposition import choose_encoder

from models.build import build
from service.access.audit import audit
from service.admin.gauges import LiveGauges, ServingGauges, StateGauges
from service.admin.gpu import GpuGauges
from service.api.convert import challenger_out, last_reload_out, live_out, serving_out
from service.api.schemas import (
    BuildOut,
    ChallengerOut,
    ChallengerRequest,
    ChallengersOut,
    LiveOut,
    RecordsOut,
    ReloadOut,
    ServingOut,
    StatusOut,
)
from service.errors import RecordsOff
from service.http.problems import kind_of
from service.lifecycle import ChallengerRole, ChallengerStatus, Lifecycle
from service.metrics.metrics import Metrics
from service.records.maintenance import Maintenance
from service.records.records import Records
from service.routing.reload import ModelReloader
from service.routing.router import Router


class ChallengerControl(Protocol):
    """`challengers.Challengers`."""

    def status(self) -> list[ChallengerStatus]: ...

    async def put(self, role: ChallengerRole, version: str | None, share: float, who: str, why: str) -> None: ...


class AdminService:
    """`exemplars`: requests may have traces."""

    def __init__(
        self,
        router: Router,
        reloader: ModelReloader,
        metrics: Metrics,
        lifecycle: Lifecycle,
        records: Records | None,
        maintenance: Maintenance | None,
        challengers: ChallengerControl | None,
        *,
        exemplars: bool,
    ) -> None:
        self.lifecycle = lifecycle
        self._exemplars = exemplars
        self._router = router
        self._reloader = reloader
        self._metrics = metrics
        self._records = records
        self._maintenance = maintenance
        self._challengers = challengers
        metrics.registry.register(ServingGauges(self._serving))
        metrics.registry.register(StateGauges(lifecycle))
        if maintenance is not None:
            metrics.registry.register(LiveGauges(lambda: maintenance.estimate))
        metrics.registry.register(GpuGauges())

    def metrics(self, accept: str) -> tuple[bytes, str]:
        """All metrics in Prometheus' text format, and its media type; with traces, in OpenMetrics if `accept` names it:
        only OpenMetrics has exemplars."""
        encode, media_type = choose_encoder(accept) if self._exemplars else (generate_latest, CONTENT_TYPE_LATEST)
        return encode(self._metrics.registry), media_type

    def status(self) -> StatusOut:
        return StatusOut(
            build=BuildOut(**build()._asdict()),
            phase=self.lifecycle.phase,
            not_ready=self.lifecycle.not_ready_reason,
            uptime_seconds=round(self.lifecycle.uptime_seconds, 3),
            last_reload=last_reload_out(self.lifecycle.last_reload),
            serving=self._serving(),
            records=None if self._records is None else RecordsOut(**self._records.status(), live=self._live()),
            challengers=self._challengers_out(),
        )

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

    async def put_challenger(self, wanted: ChallengerRequest, requested_by: str) -> ChallengersOut:
        """Put a bundle beside the serving one, or withdraw it, and write an audit line with the result.

        Raises:
            RecordsOff, RecordsUnavailable, NotReady, ChallengerRefused: nothing was changed.
        """
        details = {"role": wanted.role, "version": wanted.bundle or "", "share": f"{wanted.share:g}"}
        try:
            if self._challengers is None:
                raise RecordsOff
            await self._challengers.put(wanted.role, wanted.bundle, wanted.share, requested_by, wanted.why)
        except Exception as error:
            audit(requested_by, "challenger", kind_of(error).code, role=wanted.role)
            raise
        audit(requested_by, "challenger", "done", **details)
        return ChallengersOut(challengers=self._challengers_out())

    def _challengers_out(self) -> tuple[ChallengerOut, ...]:
        return () if self._challengers is None else tuple(map(challenger_out, self._challengers.status()))

    def _live(self) -> LiveOut | None:
        estimate = None if self._maintenance is None else self._maintenance.estimate
        return None if estimate is None else live_out(estimate)

    def _serving(self) -> ServingOut | None:
        return serving_out(self._router.engine) if self._router.has_engine else None
