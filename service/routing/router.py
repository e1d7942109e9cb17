"""`Router.decide`: from a ticket to its decision, step by step.

`api/routes.py` and `cli/main.py` call it; `reload.py` gives it the engine.
"""

import asyncio
import time
from dataclasses import dataclass, field, replace

from ulid import ULID

from models.scoring import verdict_without_model
from models.ticket import MailFact, Ticket
from service.automation.automation import Automation
from service.context import RequestContext
from service.decision import Decision, Flag
from service.errors import NotReady
from service.inference.cache import InferenceResult, digest
from service.inference.engine import Engine
from service.lifecycle import NOT_READY_REASONS
from service.metrics.metrics import Metrics
from service.routing.cpu_pool import INLINE_BYTES, CpuPool
from service.routing.holdout import is_held_out, left_to_people
from service.routing.read import read_text
from service.routing.telemetry import Telemetry

ENCODE_SECONDS = 1e-6
"""CPU time of the tokenizer per character, for the costliest texts of up to INLINE_BYTES."""


@dataclass(eq=False, slots=True)
class EngineLease:
    """An engine and the number of requests that use it; `unused` is set when it is replaced and the last request
    ends."""

    engine: Engine
    users: int = 0
    replaced: bool = False
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self.users -= 1
        if not self.users:
            self.set_if_unused()

    def set_if_unused(self) -> None:
        if self.replaced and not self.users:
            self.unused.set()


class Router:
    """Decides tickets with the current engine. `automation`: None where nothing is recorded, and so no switches are."""

    def __init__(
        self,
        metrics: Metrics,
        telemetry: Telemetry,
        cpu_pool: CpuPool,
        automation: Automation | None,
        *,
        trust_spam_headers: bool,
        holdout_share: float,
    ) -> None:
        self._metrics = metrics
        self._telemetry = telemetry
        self._cpu_pool = cpu_pool
        self._automation = automation
        self._holdout_share = holdout_share
        self._untrusted = frozenset[MailFact]() if trust_spam_headers else frozenset({MailFact.SPAM})
        self._current: EngineLease | None = None
        self._replaced: set[EngineLease] = set()

    @property
    def has_engine(self) -> bool:
        return self._current is not None

    @property
    def engine(self) -> Engine:
        """The current engine.

        Raises:
            NotReady: there is none yet.
        """
        if self._current is None:
            raise NotReady(NOT_READY_REASONS["starting"])
        return self._current.engine

    def use(self, engine: Engine) -> EngineLease | None:
        """Decide with this engine from now on. Returns the previous one, which its current requests continue to use."""
        previous, self._current = self._current, EngineLease(engine)
        department, *further = (scoring.field for scoring in engine.graph.scorings)
        self._metrics.create_decision_series(department.labels, [field.name for field in further])
        if previous is not None:
            self._replaced.add(previous)
            previous.replaced = True
            previous.set_if_unused()
        return previous

    async def close_replaced(self, lease: EngineLease) -> None:
        """Close a replaced engine after the last request that started with it."""
        await lease.unused.wait()
        self._replaced.discard(lease)
        await lease.engine.close()

    def refuse(self) -> None:
        """Refuse all waiting tickets and new ones from now on, for all engines."""
        for engine in self._engines():
            engine.batcher.refuse()

    async def close(self) -> None:
        """Refuse waiting tickets and let runs finish. No effect if there was no engine."""
        for engine in self._engines():
            await engine.close()

    def _engines(self) -> list[Engine]:
        leases = (*self._replaced, *([self._current] if self._current else []))
        return [lease.engine for lease in leases]

    def check(self, context: RequestContext) -> None:
        """Check that a ticket would be accepted now, before its body is read.

        Raises:
            NotReady, ShuttingDown, DeadlinePassed, Overloaded: the ticket would be refused.
        """
        self.engine.batcher.check(context)

    def lease_engine(self) -> EngineLease:
        """The current engine, which stays open until `release`: all its decisions name one model version.

        Raises:
            NotReady: there is none yet.
        """
        if self._current is None:
            raise NotReady(NOT_READY_REASONS["starting"])
        self._current.users += 1
        return self._current

    async def decide(self, ticket: Ticket, context: RequestContext) -> Decision:
        """The decision for a ticket, by the current engine.

        Raises:
            ServiceError: there is no decision; the class says why.
        """
        lease = self.lease_engine()
        try:
            return await self.decide_with(lease.engine, ticket, context)
        finally:
            lease.release()

    async def decide_with(self, engine: Engine, ticket: Ticket, context: RequestContext) -> Decision:
        """Like `decide`, with an engine from `lease_engine`, for requests of many tickets."""
        if not self._untrusted.isdisjoint(ticket.facts):
            ticket = replace(ticket, facts=ticket.facts - self._untrusted)
        started = time.perf_counter()
        try:
            ticket, text = await read_text(self._cpu_pool, ticket, context)
        finally:
            self._telemetry.end_stage("prepare", started)
        text_digest = digest(text.text)
        verdict = verdict_without_model(ticket, text.text, engine.graph.scorings)
        flags: set[Flag] = set(text.flags)
        if verdict is None:
            result = await self._infer(engine, text.text, text_digest, context)
            verdict = result.verdict
            if result.truncated:
                flags.add("truncated")
            if not verdict.is_valid:
                self._metrics.count_invalid_scores()
        judged = None
        # After the model: what it says is recorded, to be compared with what people say.
        if verdict.department.candidates and is_held_out(self._holdout_share, ticket.id, text_digest):
            judged, verdict = verdict, left_to_people(verdict)
        elif self._automation is not None:
            verdict = self._automation.apply(ticket, verdict)
        decision = Decision(
            str(ULID()),
            ticket.id,
            verdict,
            tuple(sorted(flags)),
            engine.model,
            text_digest.hex(),
            engine.thresholds_of(judged or verdict),
            judged,
            text.text,
        )
        self._telemetry.record_decision(decision)
        return decision

    async def _infer(self, engine: Engine, text: str, text_digest: bytes, context: RequestContext) -> InferenceResult:
        """The model's result for a text: from the cache, from the run of another ticket, or from a new run."""
        key = text_digest if engine.cache.limit else None  # None: equal texts share neither results nor runs
        if key is not None:
            cached = engine.cache.get(key)
            if cached is not None:
                self._telemetry.record_result("cache", cached)
                return cached
            if engine.batcher.has_entry(key):
                result = await engine.batcher.join(key, context)
                self._telemetry.record_result("shared", result)
                return result
        if len(text) > INLINE_BYTES:  # before encoding a long text; a short one costs no more than this check
            engine.batcher.check(context)
        started = time.perf_counter()
        try:
            encoding = await self._cpu_pool.run(
                len(text), lambda: engine.bundle.encode(text), context, seconds_each=ENCODE_SECONDS
            )
        finally:
            self._telemetry.end_stage("encode", started)
        result = await engine.batcher.submit(encoding, context, key)
        self._telemetry.record_result("model", result)
        return result


def deadline_in(seconds: float) -> float:
    """The deadline this many seconds from now, in the running loop's time."""
    return asyncio.get_running_loop().time() + seconds
