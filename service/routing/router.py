"""`Router.decide`: from a ticket to its decision, in the order things happen."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from ulid import ULID

from models.encoding import Encoding
from models.scoring import Reason, Verdict, verdict_without_model
from models.text.prepare import PreparedText
from models.ticket import MailFact, Ticket
from service.context import Claim
from service.decision import Decision, Flag
from service.errors import NotReady
from service.inference.cache import Answer, digest
from service.inference.engine import Engine
from service.lifecycle import WHY_NOT_READY
from service.metrics.metrics import Metrics
from service.routing.offload import Offload
from service.routing.read import read_text
from service.routing.telemetry import Telemetry


@dataclass(eq=False, slots=True)
class Served:
    """An engine and how many requests are at work with it; `unused` is set when it was replaced and the last left."""

    engine: Engine
    users: int = 0
    replaced: bool = False
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    def leave(self) -> None:
        self.users -= 1
        self.check_unused()

    def check_unused(self) -> None:
        if self.replaced and not self.users:
            self.unused.set()


class Router:
    """Decides tickets with the engine it was last given."""

    def __init__(self, metrics: Metrics, telemetry: Telemetry, offload: Offload, *, trust_spam_headers: bool) -> None:
        self._metrics = metrics
        self._telemetry = telemetry
        self._offload = offload
        self._untrusted = frozenset[MailFact]() if trust_spam_headers else frozenset({MailFact.SPAM})
        self._served: Served | None = None
        self._replaced: set[Served] = set()

    @property
    def has_engine(self) -> bool:
        return self._served is not None

    @property
    def engine(self) -> Engine:
        """The engine now serving.

        Raises:
            NotReady: there is none yet.
        """
        if self._served is None:
            raise NotReady(WHY_NOT_READY["starting"])
        return self._served.engine

    def use(self, engine: Engine) -> Served | None:
        """Decide with this engine from now on. Returns the one before; what is under way goes on with that one."""
        before, self._served = self._served, Served(engine)
        labels = engine.bundle.scorings[0].field.labels
        self._metrics.expect_decisions(labels)
        if before is not None:
            self._replaced.add(before)
            before.replaced = True
            before.check_unused()
        return before

    async def let_go(self, served: Served) -> None:
        """Close a replaced engine when the last request that began with it is answered."""
        await served.unused.wait()
        self._replaced.discard(served)
        await served.engine.close()

    def refuse(self) -> None:
        """From now on refuse everything that does not run yet, whichever engine it began with."""
        for engine in self._engines():
            engine.batcher.refuse()

    async def close(self) -> None:
        """Refuse what waits, let what runs finish. Harmless when nothing was ever served."""
        for engine in self._engines():
            await engine.close()

    def _engines(self) -> list[Engine]:
        served = (*self._replaced, *([self._served] if self._served else []))
        return [each.engine for each in served]

    def check(self, claim: Claim) -> None:
        """Whether a ticket would be taken now; asked before a body is even read.

        Raises:
            NotReady, ShuttingDown, DeadlinePassed, Overloaded: it would not.
        """
        self.engine.batcher.check(claim)

    @contextmanager
    def one_model(self) -> Iterator[Engine]:
        """The engine now serving, kept alive inside: all that is decided with it names one version.

        Raises:
            NotReady: there is none yet.
        """
        engine, served = self.engine, self._served
        assert served is not None
        served.users += 1
        try:
            yield engine
        finally:
            served.leave()

    async def decide(self, ticket: Ticket, claim: Claim) -> Decision:
        """The decision on a ticket.

        Raises:
            ServiceError: no decision was reached, the class says why.
        """
        with self.one_model() as engine:
            return await self.decide_with(engine, ticket, claim)

    async def decide_with(self, engine: Engine, ticket: Ticket, claim: Claim) -> Decision:
        """The same with an engine held by `one_model`, for requests of many tickets."""
        if not self._untrusted.isdisjoint(ticket.facts):
            ticket = replace(ticket, facts=ticket.facts - self._untrusted)
        ticket, text = await self._prepare(ticket, claim)
        verdict = verdict_without_model(ticket, text.text, engine.bundle.scorings)
        flags: set[Flag] = set(text.flags)
        if verdict is None:
            answer = await self._answer(engine, text.text, claim)
            flags.update(("truncated",) if answer.truncated else ())
            verdict = self._judge(engine, answer)
        decision = Decision(str(ULID()), ticket.id, verdict, tuple(sorted(flags)), engine.model)
        self._telemetry.decided(decision)
        return decision

    async def _prepare(self, ticket: Ticket, claim: Claim) -> tuple[Ticket, PreparedText]:
        with self._telemetry.stage("prepare"):
            return await read_text(self._offload, ticket, claim)

    async def _answer(self, engine: Engine, text: str, claim: Claim) -> Answer:
        """What the model says of a text: known already, being computed for another ticket, or computed now."""
        if not engine.answers.limit:
            return await self._computed(engine, text, claim, None)
        key = digest(text)
        known = engine.answers.get(key)
        if known is not None:
            self._telemetry.answered("cache", known)
            return known
        if engine.batcher.shares(key):
            answer = await engine.batcher.join(key, claim)
            self._telemetry.answered("shared", answer)
            return answer
        return await self._computed(engine, text, claim, key)

    async def _computed(self, engine: Engine, text: str, claim: Claim, key: bytes | None) -> Answer:
        engine.batcher.check(claim)  # a known answer is given even when the queue is full, a new one not even encoded
        encoding = await self._encode(engine, text, claim)
        answer = await engine.batcher.submit(encoding, claim, key)
        self._telemetry.answered("model", answer)
        return answer

    async def _encode(self, engine: Engine, text: str, claim: Claim) -> Encoding:
        with self._telemetry.stage("encode"):
            return await self._offload.run(len(text), lambda: engine.bundle.encode(text), claim)

    def _judge(self, engine: Engine, answer: Answer) -> Verdict:
        with self._telemetry.stage("decide"):
            verdict = engine.bundle.judge(answer.logits)
        if any(field.reason is Reason.INVALID_SCORES for field in (verdict.department, *verdict.fields.values())):
            self._metrics.invalid_scores()
        return verdict


def deadline_in(seconds: float) -> float:
    """The deadline this many seconds from now, in the running loop's time."""
    return asyncio.get_running_loop().time() + seconds
