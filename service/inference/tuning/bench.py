"""Measures one plan on the sessions it would serve with. Holds two of them at most, so that tuning needs no more memory
than serving, with its session for lone tickets.

`search.py` decides what is measured; `engine.py` says how sessions are loaded.
"""

import statistics
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

from models.bundle.bundle import Bundle
from models.encoding import Batch, Encoding
from models.scoring import Logits
from service.inference.hardware import Machine
from service.inference.onnx_session import faults_of
from service.inference.packing import Packing
from service.inference.plan import Plan, kind_of
from service.inference.tuning.closed_loop import ClosedLoop, golden_tickets, tokens_per_second, waiting_line
from service.inference.tuning.lone import LoneTimes

WARM_SECONDS = 0.1
HELD = 2
WAITING = {"cpu": 64, "cuda": 1024}
"""Tickets in the closed loop: that many clients at a busy time, enough to fill a GPU's batches."""
WAITING_PER_CORE = 16
MIN_LONE_ROUNDS = 5


class Runs(Protocol):
    """Loaded sessions."""

    def run(self, batch: Batch, *, lone: bool = False) -> Logits: ...


class Bench:
    """Figures of one bundle's plans.

    Args:
        bundle: whose graphs run, and whose golden rows are the tickets.
        machine: its cores decide how many tickets wait.
        device: "cpu" or "cuda".
        load: loads what a plan needs.
        figure_seconds: how long one measurement takes.

    `lengths` are the golden rows' padded lengths in tokens.

    Raises:
        BundleError: the golden rows are damaged.
    """

    def __init__(
        self, bundle: Bundle, machine: Machine, device: str, load: Callable[[Plan], Runs], figure_seconds: float
    ) -> None:
        self._bundle = bundle
        self._figure_seconds = figure_seconds
        self._load = load
        self._loaded: OrderedDict[tuple[object, ...], Runs] = OrderedDict()
        self._tickets = golden_tickets(bundle)
        self.lengths = [ticket.length for ticket in self._tickets]
        self._waiting = max(WAITING[kind_of(device)], WAITING_PER_CORE * machine.cores)

    def tickets_per_second(self, plan: Plan) -> float:
        """The plan's throughput while always some wait, in tickets as long as the golden rows are on average.

        Raises:
            BundleError: the graph cannot be loaded or run.
            DeviceError: the device is not there.
        """
        return self._rate(self._sessions(plan), plan, self._figure_seconds)

    def lone_times(self, plan: Plan, lengths: Sequence[int], seconds: float) -> LoneTimes:
        """Milliseconds of one ticket by its padded length, on the plan's ordinary session and on its lone one.

        The least of all rounds: a lone ticket has the machine to itself, and what is slower had not.

        Raises:
            BundleError, DeviceError: as `tickets_per_second`.
        """
        self._loaded.clear()
        runs, until = self._sessions(plan), time.perf_counter() + seconds
        batches = [self._of_length(length) for length in lengths]
        rounds: list[list[tuple[float, float]]] = []
        while len(rounds) < MIN_LONE_ROUNDS or time.perf_counter() < until:
            rounds.append([(self._time(runs, batch, False), self._time(runs, batch, True)) for batch in batches])
        ordinary, lone = (
            [min(measured[place][which] for measured in rounds) for place in range(len(lengths))] for which in (0, 1)
        )
        return LoneTimes(plan.lone_threads, lengths, ordinary, lone)

    def _sessions(self, plan: Plan) -> Runs:
        key = plan.variant, plan.graph, plan.intra_op_threads, plan.lone_threads
        if key in self._loaded:
            self._loaded.move_to_end(key)
            return self._loaded[key]
        if len(self._loaded) == HELD:  # let go before the next is loaded, or three would be held for a while
            self._loaded.popitem(last=False)
        self._loaded[key] = self._load(plan)
        self._rate(self._loaded[key], plan, WARM_SECONDS)
        return self._loaded[key]

    def _rate(self, runs: Runs, plan: Plan, seconds: float) -> float:
        def infer(encodings: Sequence[Encoding]) -> Logits:
            return self._run(runs, self._bundle.encoder.batch(encodings), False)

        packing = Packing(plan.max_batch_tokens, plan.max_padding)
        loop = ClosedLoop(waiting_line(self._tickets, self._waiting), packing, plan.runners)
        tokens = tokens_per_second(infer, loop, plan.runners, seconds)
        return tokens / statistics.fmean(self.lengths)

    def _of_length(self, length: int) -> Batch:
        """A ticket of exactly this length, made of a real one's tokens: how long a run takes depends on no more."""
        ids = max((ticket.encoding.ids for ticket in self._tickets), key=len)
        return self._bundle.encoder.batch([Encoding((ids * length)[:length], truncated=False)])

    def _time(self, runs: Runs, batch: Batch, lone: bool) -> float:
        started = time.perf_counter()
        self._run(runs, batch, lone)
        return 1000 * (time.perf_counter() - started)

    def _run(self, runs: Runs, batch: Batch, lone: bool) -> Logits:
        with faults_of(self._bundle.version):
            return runs.run(batch, lone=lone)
