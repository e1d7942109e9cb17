"""One serving process as the management port sees it: its probes, metrics, status and reload."""

from collections.abc import Sequence

from prometheus_client import generate_latest

from service.admin.gauges import ServingGauges, StateGauges
from service.api.convert import last_reload_out, serving_out
from service.api.schemas import ReloadOut, ServingOut, StatusOut
from service.lifecycle import Lifecycle
from service.metrics.metrics import Metrics
from service.routing.reload import Loader
from service.routing.router import Router


class OneProcess:
    def __init__(self, router: Router, loader: Loader, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._router = router
        self._loader = loader
        self._metrics = metrics
        self._lifecycle = lifecycle
        metrics.registry.register(ServingGauges(self._serving))
        metrics.registry.register(StateGauges(lifecycle, self.why_not_ready))

    def started(self) -> bool:
        return self._lifecycle.phase != "starting"

    def why_not_ready(self) -> str | None:
        return self._lifecycle.why_not_ready

    async def metrics(self) -> bytes:
        return generate_latest(self._metrics.registry)

    async def status(self) -> StatusOut:
        return StatusOut(
            phase=self._lifecycle.phase,
            not_ready=self.why_not_ready(),
            uptime_seconds=round(self._lifecycle.uptime_seconds, 3),
            last_reload=last_reload_out(self._lifecycle.last_reload),
            serving=next(iter(self._serving()), None),
            workers=(),
        )

    async def reload(self, version: str | None) -> ReloadOut:
        before, now = await self._loader.reload(self._loader.locate(version))
        return ReloadOut(version=now.version, variant=now.variant, previous=before.version)

    def _serving(self) -> Sequence[ServingOut]:
        return [serving_out(self._router.engine)] if self._router.has_engine else []
