"""`Router.decide`: from a ticket to its decision, in the order things happen."""

import asyncio
from dataclasses import dataclass

from ulid import ULID

from models.encoding import Encoding
from models.scoring import Verdict, verdict_without_model
from models.text import PreparedText, prepare
from models.ticket import Ticket
from service.decision import Decision, Flag
from service.engine import Engine
from service.errors import NotReady
from service.metrics import Metrics
from service.offload import Offload


@dataclass(frozen=True, slots=True)
class _Prepared:
    text: PreparedText
    encoding: Encoding


class Router:
    """Decides tickets with the engine it was last given."""

    def __init__(self, metrics: Metrics, offload: Offload) -> None:
        self._metrics = metrics
        self._offload = offload
        self._engine: Engine | None = None

    @property
    def has_engine(self) -> bool:
        return self._engine is not None

    @property
    def engine(self) -> Engine:
        """The engine now serving.

        Raises:
            NotReady: there is none yet.
        """
        if self._engine is None:
            raise NotReady("the bundle is still being loaded and checked")
        return self._engine

    def use(self, engine: Engine) -> None:
        """Decide with this engine from now on; a ticket under way keeps the one it began with."""
        self._engine = engine
        labels = engine.bundle.scorings[0].field.labels
        self._metrics.serving(engine.model, engine.runner.provider, labels)
        self._metrics.queue_depth.set_function(lambda: engine.batcher.depth)
        self._metrics.queue_tokens.set_function(lambda: engine.batcher.tokens)

    def check(self) -> None:
        """Whether a ticket would be taken now; asked before a body is even read.

        Raises:
            NotReady, ShuttingDown, Overloaded: it would not.
        """
        self.engine.batcher.check()

    async def decide(self, ticket: Ticket, deadline: float) -> Decision:
        """The decision on a ticket. `deadline` (the loop's time) is when it need not be run any more.

        Raises:
            ServiceError: no decision was reached, the class says why.
        """
        engine = self.engine
        engine.batcher.check()
        prepared = await self._prepare(engine, ticket)
        verdict = await self._judge(engine, ticket, prepared, deadline)
        return self._decided(engine, ticket, prepared, verdict)

    async def _prepare(self, engine: Engine, ticket: Ticket) -> _Prepared:
        def work() -> _Prepared:
            text = prepare(ticket)
            return _Prepared(text, engine.bundle.encode(text.text))

        with self._metrics.stage("encode"):
            prepared = await self._offload.run(len(ticket.subject) + len(ticket.body), work)
        self._metrics.encoded(len(prepared.encoding.ids), truncated=prepared.encoding.truncated)
        return prepared

    async def _judge(self, engine: Engine, ticket: Ticket, prepared: _Prepared, deadline: float) -> Verdict:
        known = verdict_without_model(ticket, prepared.text.text, engine.bundle.scorings)
        if known is not None:
            return known
        logits = await engine.batcher.submit(prepared.encoding, deadline)
        with self._metrics.stage("decide"):
            return engine.bundle.judge(logits)

    def _decided(self, engine: Engine, ticket: Ticket, prepared: _Prepared, verdict: Verdict) -> Decision:
        flags: set[Flag] = set(prepared.text.flags)
        if prepared.encoding.truncated:
            flags.add("truncated")
        decision = Decision(str(ULID()), ticket.id, verdict, tuple(sorted(flags)), engine.model)
        self._metrics.decided(decision)
        return decision


def deadline_in(seconds: float) -> float:
    """The deadline this many seconds from now, in the running loop's time."""
    return asyncio.get_running_loop().time() + seconds
