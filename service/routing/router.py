"""`Router.decide`: from a ticket to its decision, step by step.

`api/routes.py` and `cli/main.py` call it; `reload.py` gives it the engine.
"""

import asyncio
import time
from dataclasses import replace
from typing import Protocol

from ulid import ULID

from models.scoring import Verdict, verdict_without_model
from models.ticket import MailFact, Ticket
from service.automation.in_force import InForce
from service.context import RequestContext
from service.decision import Decision, Flag
from service.drift.window import Drift, DriftWindow
from service.errors import NotReady
from service.inference.cache import InferenceResult, digest
from service.inference.engine import Engine
from service.lifecycle import NOT_READY_REASONS
from service.metrics.metrics import Metrics
from service.routing.canary import Canary
from service.routing.cpu_pool import INLINE_BYTES, CpuPool
from service.routing.holdout import left_to_people
from service.routing.lease import Lease
from service.routing.read import read_text
from service.routing.sampling import is_in_share
from service.routing.telemetry import Telemetry

ENCODE_SECONDS = 1e-6
"""CPU time of the tokenizer per character, for the costliest texts of up to INLINE_BYTES."""


class ShadowOffer(Protocol):
    """Takes a decision for another bundle to compute beside the answer; returns at once."""

    def __call__(self, decision: Decision, verdict: Verdict) -> None:
        """`verdict`: what the serving bundle's model said."""


class Router:
    """Decides tickets with the current engine. `canary` answers a share of them, `offer_to_shadow` takes decisions for
    a bundle that does not answer; None: there is no such bundle. `automation`: None where nothing is recorded, and so
    there are no switches."""

    def __init__(
        self,
        metrics: Metrics,
        telemetry: Telemetry,
        cpu_pool: CpuPool,
        automation: InForce | None,
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
        self._window: DriftWindow | None = None
        self._current: Lease[Engine] | None = None
        self._replaced: set[Lease[Engine]] = set()
        self.canary: Canary[Engine] | None = None
        self.offer_to_shadow: ShadowOffer | None = None

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

    def use(self, engine: Engine) -> Lease[Engine] | None:
        """Decide with this engine from now on. Returns the previous one, which its current requests continue to use."""
        previous, self._current = self._current, Lease(engine)
        if previous is None or previous.engine.model != engine.model:  # the same after a failed run: the window goes on
            self._window = DriftWindow(engine.graph.entry)
        department, *further = (scoring.field for scoring in engine.graph.scorings)
        self._metrics.create_decision_series(department.labels, [field.name for field in further])
        if previous is not None:
            self._mark_replaced(previous)
        return previous

    def drift(self) -> Drift | None:
        """How far the last tickets are from the bundle's reference; None before the first model."""
        return None if self._window is None else self._window.read()

    def use_canary(self, canary: Canary[Engine] | None) -> Lease[Engine] | None:
        """Let this canary answer its share from now on. Returns the previous canary's engine."""
        previous, self.canary = self.canary, canary
        if previous is None:
            return None
        self._mark_replaced(previous.lease)
        return previous.lease

    async def close_replaced(self, lease: Lease[Engine]) -> None:
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
        return [lease.engine for lease in leases] + ([self.canary.engine] if self.canary else [])

    def _mark_replaced(self, lease: Lease[Engine]) -> None:
        self._replaced.add(lease)
        lease.replaced = True
        lease.set_if_unused()

    def check(self, context: RequestContext) -> None:
        """Check that a ticket would be accepted now, before its body is read.

        Raises:
            NotReady, ShuttingDown, DeadlinePassed, Overloaded: the ticket would be refused.
        """
        self.engine.batcher.check(context)

    def lease_engine(self) -> Lease[Engine]:
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
        # Tickets that need no model are on the canary's side too: both sides have the same mixture.
        canary = self.canary if self.canary is not None and self.canary.takes(ticket.id, text_digest) else None
        result = None
        if verdict is None:
            if canary is not None:
                result = await canary.answer(lambda other: self._infer(other, text.text, text_digest, context))
            if result is None:  # there is no canary, or it failed
                canary, result = None, await self._infer(engine, text.text, text_digest, context)
            verdict = result.verdict
            if result.truncated:
                flags.add("truncated")
            if not verdict.is_valid:
                self._metrics.count_invalid_scores()
        if canary is not None:
            engine = canary.engine
        judged = None
        # After the model: what it says is recorded, to be compared with what people say.
        if verdict.department.candidates and is_in_share(self._holdout_share, "holdout", ticket.id, text_digest):
            judged, verdict = verdict, left_to_people(verdict)
        elif self._automation is not None:
            verdict = self._automation.apply(ticket, verdict, context.caller)
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
            ticket.thread,
            None if canary is None else "canary",
        )
        if self.offer_to_shadow is not None and result is not None and canary is None:
            self.offer_to_shadow(decision, result.verdict)
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
        if self._window is not None and engine.model == self.engine.model:  # not of a replaced model
            self._window.add(text, result.tokens, result.verdict)
        return result


def deadline_in(seconds: float) -> float:
    """The deadline this many seconds from now, in the running loop's time."""
    return asyncio.get_running_loop().time() + seconds
