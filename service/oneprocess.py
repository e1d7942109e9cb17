"""One serving process as the management port sees it: its probes, metrics, status and reload."""

from prometheus_client import generate_latest

from service.api.render import serving_out
from service.api.schemas import ReloadOut, StatusOut
from service.lifecycle import Lifecycle
from service.loader import Loader
from service.metrics import Metrics
from service.router import Router


class OneProcess:
    def __init__(self, router: Router, loader: Loader, metrics: Metrics, lifecycle: Lifecycle) -> None:
        self._router = router
        self._loader = loader
        self._metrics = metrics
        self._lifecycle = lifecycle

    def started(self) -> bool:
        return self._lifecycle.phase != "starting"

    def why_not_ready(self) -> str | None:
        return self._lifecycle.why_not_ready

    async def metrics(self) -> bytes:
        self.publish()
        return generate_latest(self._metrics.registry)

    def publish(self) -> None:
        """Set the gauges that are read rather than counted."""
        if self._router.has_engine:
            engine = self._router.engine
            self._metrics.waiting(engine.batcher.depth, engine.batcher.tokens, len(engine.answers))

    async def status(self) -> StatusOut:
        return StatusOut(
            phase=self._lifecycle.phase,
            not_ready=self.why_not_ready(),
            uptime_seconds=round(self._lifecycle.uptime_seconds, 3),
            serving=serving_out(self._router.engine) if self._router.has_engine else None,
            workers=(),
        )

    async def reload(self, version: str | None) -> ReloadOut:
        before, now = await self._loader.reload(self._loader.locate(version))
        return ReloadOut(version=now.version, variant=now.variant, previous=before.version)
