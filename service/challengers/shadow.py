"""`Shadow`: a bundle that computes decisions without answering, in a process of its own (`worker.py`).

It never slows the serving bundle beyond a stated share, by four rules:

1. The process is in the kernel's idle class: it gets a core only while nothing else wants it.
2. It is given tickets only while a core is free of model runs (`has_free_core`): with a CPU quota, even idle cores are
   paid for. While the quota throttles the service, it is given none.
3. The event loop spends at most `LOOP_SHARE` of its time on it.
4. What waits for longer than `WAIT_SECONDS`, or finds the queue full, is shed and counted.
"""

import asyncio
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

import structlog
from pydantic_core import from_json, to_json

from models.fields import DEPARTMENT
from models.scoring import Verdict
from service.challengers.metrics import ChallengerMetrics
from service.challengers.worker import PASSED, Agreement, Answer, Item, Portion, Ready
from service.decision import Decision
from service.errors import ChallengerRefused
from service.inference.cgroup import cpu_throttling
from service.routing.sampling import is_in_share
from service.settings import Settings

LOOP_SHARE = 0.03
WAIT_SECONDS = 1.0
QUEUE = 256
PORTION_TICKETS = 16
PORTION_CHARACTERS = 4_000
"""Some 50 to 300 ms of one core with a six-layer model."""
GATE_SECONDS = 0.02
"""How often to look for a free core while tickets wait."""
THROTTLE_SECONDS = 1.0
MAX_FAILURES = 3
"""Portions in a row that fail before the shadow is given up."""
_LINE_BYTES = 1 << 20
_ROOT = Path(__file__).resolve().parents[2]

_log = structlog.get_logger()


class ShadowEnded(Exception):
    """The process is gone, or its runs fail. The message is the cause."""


class Shadow:
    """`has_free_core`: whether no run of the service needs this core. `on_verdicts`: called with ids and `fields` as
    JSON. Use from one event loop only."""

    def __init__(
        self,
        share: float,
        metrics: ChallengerMetrics,
        has_free_core: Callable[[], bool],
        on_verdicts: Callable[["list[tuple[str, str]]"], None],
    ) -> None:
        self.share = share
        self._metrics = metrics
        self._has_free_core = has_free_core
        self._on_verdicts = on_verdicts
        self._process: Process | None = None
        self._waiting: deque[tuple[float, Item]] = deque()
        self._offered = asyncio.Event()
        self._throttle = _Throttle()

    async def open(self, settings: Settings, bundle: Path) -> str:
        """Start the process and load the bundle; return the variant that runs.

        Raises:
            ChallengerRefused: it cannot be loaded; the message says why.
        """
        passed = settings.model_dump(mode="json", include=set(PASSED))
        passed["state_dir"] = str(settings.state_dir.absolute())
        passed["bundle_key"] = None if settings.bundle_key is None else str(settings.bundle_key.absolute())
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "service.challengers.worker",
                stdin=PIPE,
                stdout=PIPE,
                cwd=_ROOT,
                limit=_LINE_BYTES,
                # Not in the terminal's group: an interrupt there is for the service, which ends this process.
                start_new_session=True,
            )
            self._send({"bundle": str(bundle), "settings": passed})
            ready = Ready(*await self._receive())
        except (OSError, ShadowEnded) as error:
            raise ChallengerRefused(f"the shadow's process cannot start ({error})") from error
        if ready.cause is not None:
            raise ChallengerRefused(ready.cause)
        if ready.version != bundle.name:
            raise ChallengerRefused(f"{bundle}: holds bundle {ready.version}; rename the folder")
        return ready.variant

    def offer(self, decision: Decision, verdict: Verdict) -> None:
        """Let this decision be computed, if it is in the share; `verdict` is the model's. `Router` calls it."""
        if not is_in_share(self.share, "shadow", decision.ticket_id, bytes.fromhex(decision.text_digest)):
            return
        if len(self._waiting) >= QUEUE:
            self._metrics.count("shed")
            return
        fields = {DEPARTMENT: verdict.department, **verdict.fields}
        answers = {
            name: Answer(each.candidates[0].label, each.outcome.value, each.confidence)
            for name, each in fields.items()
            if each.candidates
        }
        self._waiting.append((time.monotonic(), Item(decision.id, decision.text, answers)))
        self._offered.set()

    async def run(self) -> None:
        """Compute what is offered, until cancelled.

        Raises:
            ShadowEnded
        """
        assert self._process is not None
        # The process may end while nothing is offered.
        both = [asyncio.create_task(self._process.wait()), asyncio.create_task(self._compute())]
        try:
            await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
            if both[1].done():
                both[1].result()
            raise _ended(await self._process.wait())
        finally:
            for task in both:
                task.cancel()

    async def _compute(self) -> None:
        failures = 0
        while True:
            await self._offered.wait()
            started = time.perf_counter()
            portion = self._take()
            if not self._waiting:
                self._offered.clear()
            if not portion:
                await asyncio.sleep(GATE_SECONDS)
                continue
            self._send(portion)
            spent = time.perf_counter() - started
            line = await self._receive()
            started = time.perf_counter()
            answer = Portion(*line)
            failures = failures + 1 if answer.cause is not None else 0
            self._record(portion, answer)
            if failures == MAX_FAILURES:
                raise ShadowEnded(f"{failures} runs in a row failed ({answer.cause})")
            spent += time.perf_counter() - started
            await asyncio.sleep(spent / LOOP_SHARE)

    async def close(self) -> None:
        """End the process. What waits is shed."""
        self._metrics.count("shed", len(self._waiting))
        self._waiting.clear()
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    def _take(self) -> list[Item]:
        """The next portion; empty: nothing waits, or there is no core for it."""
        latest = time.monotonic() - WAIT_SECONDS
        old = 0
        while self._waiting and self._waiting[0][0] < latest:
            self._waiting.popleft()
            old += 1
        self._metrics.count("shed", old)
        if not self._waiting or not self._has_free_core() or self._throttle.is_on():
            return []
        portion: list[Item] = []
        characters = 0
        while self._waiting and len(portion) < PORTION_TICKETS:
            characters += len(self._waiting[0][1].text)
            if portion and characters > PORTION_CHARACTERS:
                break
            portion.append(self._waiting.popleft()[1])
        return portion

    def _record(self, portion: list[Item], answer: Portion) -> None:
        if answer.cause is not None:
            _log.error("shadow run failed", tickets=len(portion), cause=answer.cause)
            self._metrics.count("failed", len(portion))
            return
        self._metrics.count("computed", len(answer.verdicts))
        for each in answer.agreements:
            self._metrics.compared(Agreement(*each))
        self._on_verdicts([(decision_id, fields) for decision_id, fields in answer.verdicts])

    def _send(self, content: object) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        # Not drained: the process reads a portion at once, since it has answered the one before.
        self._process.stdin.write(to_json(content) + b"\n")

    async def _receive(self) -> list[Any]:
        assert self._process is not None
        assert self._process.stdout is not None
        line = await self._process.stdout.readline()
        if not line.endswith(b"\n"):
            raise _ended(await self._process.wait())
        content: list[Any] = from_json(line)
        return content


def _ended(code: int) -> ShadowEnded:
    return ShadowEnded(f"it ended with signal {-code}" if code < 0 else f"it ended with status {code}")


class _Throttle:
    """Whether the cgroup's CPU quota was used up since the last look."""

    def __init__(self) -> None:
        self._looked = 0.0
        self._throttled = 0
        self._on = False

    def is_on(self) -> bool:
        now = time.monotonic()
        if now - self._looked >= THROTTLE_SECONDS:
            found = cpu_throttling()
            throttled = 0 if found is None else found.throttled
            self._on = bool(self._looked) and throttled > self._throttled
            self._looked, self._throttled = now, throttled
        return self._on
