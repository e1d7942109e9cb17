"""Loads a server in a closed or open loop, and records when every request was due and when its answer came.

Closed: each caller sends its next request as soon as it is answered; this shows a server's capacity. Open: requests
come at random times independent of the server, as customers' mails do; latency counts from the time a request was due,
so that a client delayed by a slow server doesn't improve the server's figures (no coordinated omission).
"""

import asyncio
import gc
import itertools
import random
import resource
import threading
import time
from collections.abc import Callable, Coroutine, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

import uvloop

from tests.benchmarks.serving.connection import NO_ANSWER, Connection, Target

OK = 200
BACK_OFF = 0.1
"""Seconds that a caller waits after an error, as a real one would, instead of repeating at once."""
PATIENCE = 30.0
"""Longest wait, in seconds, for outstanding answers when the window ends; then they count as not answered."""
WARM_LIMIT = 30.0
POLL_SECONDS = 0.02
MOST_CONNECTIONS = 512
ANSWERS_EACH = 2
"""A closed loop's window lasts until each caller has this many answers, up to a limit."""
LONGEST = 10
"""Times the requested seconds: the limit of a window."""


@dataclass(frozen=True, slots=True)
class Answer:
    """One request. Times in seconds of `time.perf_counter`."""

    due: float
    finished: float
    status: int


@dataclass(frozen=True, slots=True)
class Load:
    """What a server did in one window.

    Args:
        answers: of the requests due inside the window, and those that finished inside it.
        begin, end: the window. A closed loop's begins and ends with an answer: a server that answers in batches would
            else seem faster or slower by a part of a batch.
        server_cpu: CPU seconds that the server spent inside it, its children's included.
        client_cpu: the same of this process.
    """

    answers: tuple[Answer, ...]
    begin: float
    end: float
    server_cpu: float
    client_cpu: float

    @property
    def seconds(self) -> float:
        return self.end - self.begin

    def finished(self) -> list[Answer]:
        return [answer for answer in self.answers if self.begin < answer.finished <= self.end]

    def due(self) -> list[Answer]:
        return [answer for answer in self.answers if self.begin <= answer.due < self.end]


@dataclass(frozen=True, slots=True)
class Spent:
    """CPU seconds so far."""

    server: float
    client: float


@dataclass(frozen=True, slots=True)
class Window:
    """How long to warm up and to measure, in seconds, and how to read the server's CPU seconds so far.

    A closed loop's lasts longer where it takes longer to get `answers` answers.
    """

    warm: float
    seconds: float
    server_cpu: Callable[[], float]
    answers: int = 0

    def spent(self) -> Spent:
        usage = resource.getrusage(resource.RUSAGE_SELF)
        return Spent(self.server_cpu(), usage.ru_utime + usage.ru_stime)


def closed_loop(target: Target, requests: Iterable[bytes], callers: int, window: Window) -> Load:
    """`callers` callers at once, each with one outstanding request; `requests` are sent in order, repeatedly."""
    return _run(_Run(target, requests).closed(callers, window))


def open_loop(target: Target, requests: Sequence[bytes], rate: float, window: Window, seed: int = 0) -> Load:
    """Requests at random moments, `rate` per second on average (a Poisson process)."""
    return _run(_Run(target, requests).open(rate, window, seed))


def arrivals(rate: float, seconds: float, rng: random.Random) -> list[float]:
    """Times of a Poisson process inside [0, seconds), ascending."""
    gaps = iter(lambda: rng.expovariate(rate), None)
    return list(itertools.takewhile(lambda moment: moment < seconds, accumulate(gaps)))


class _Run:
    """The state of one load."""

    def __init__(self, target: Target, requests: Iterable[bytes]) -> None:
        self._target = target
        self._requests: Iterator[bytes] = itertools.cycle(requests)
        self._answers: list[Answer] = []
        self._idle: list[Connection] = []
        self._opened = 0
        self._next: asyncio.Future[float] | None = None

    async def closed(self, callers: int, window: Window) -> Load:
        stopping = asyncio.Event()
        answered: set[int] = set()

        async def call(caller: int) -> None:
            connection = Connection(self._target)
            while not stopping.is_set():
                status = await self._ask(connection, time.perf_counter())
                answered.add(caller)
                if status != OK:
                    await asyncio.sleep(BACK_OFF)
            connection.close()

        tasks = [asyncio.create_task(call(caller)) for caller in range(callers)]
        await asyncio.sleep(window.warm)
        # a window before every caller was answered once would count a queue that is still filling
        await _until(lambda: len(answered) == callers, WARM_LIMIT)
        begin, before = await self._next_answer(), window.spent()
        enough = len(self._answers) + max(window.answers, ANSWERS_EACH * callers)
        await asyncio.sleep(window.seconds)
        await _until(lambda: len(self._answers) >= enough, (LONGEST - 1) * window.seconds)
        end, after = await self._next_answer(), window.spent()
        stopping.set()
        await self._settled(tasks)
        return self._load(begin, end, before, after)

    async def open(self, rate: float, window: Window, seed: int) -> Load:
        loop = asyncio.get_running_loop()
        tasks: list[asyncio.Task[None]] = []
        moments = arrivals(rate, window.warm + window.seconds, random.Random(seed))
        start = time.perf_counter()

        def feed() -> None:
            # a thread that sleeps, since an event loop's timers are only accurate to a millisecond
            for moment in moments:
                time.sleep(max(0.0, start + moment - time.perf_counter()))
                loop.call_soon_threadsafe(send, start + moment)

        def send(due: float) -> None:
            tasks.append(loop.create_task(self._ask_on_any(due)))

        feeder = threading.Thread(target=feed, daemon=True)
        feeder.start()
        await asyncio.sleep(window.warm)
        begin, before = time.perf_counter(), window.spent()
        await asyncio.sleep(window.seconds)
        end, after = time.perf_counter(), window.spent()
        await self._settled(tasks)
        for connection in self._idle:
            connection.close()
        return self._load(begin, end, before, after)

    async def _next_answer(self) -> float:
        """The time of the next answer, good or not; now, if none comes in time."""
        self._next = asyncio.get_running_loop().create_future()
        try:
            return await asyncio.wait_for(self._next, PATIENCE)
        except TimeoutError:
            return time.perf_counter()

    def _load(self, begin: float, end: float, before: "Spent", after: "Spent") -> Load:
        inside = (a for a in self._answers if begin <= a.due < end or begin < a.finished <= end)
        return Load(tuple(inside), begin, end, after.server - before.server, after.client - before.client)

    async def _settled(self, tasks: "list[asyncio.Task[None]]") -> None:
        """Wait for outstanding requests; a missing answer is recorded as no answer. An exception of this client is
        raised."""
        if not tasks:
            return
        ended, late = await asyncio.wait(tasks, timeout=PATIENCE)
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)
        for task in ended:
            task.result()

    async def _ask_on_any(self, due: float) -> None:
        if self._idle:
            connection = self._idle.pop()
        elif self._opened < MOST_CONNECTIONS:
            self._opened += 1
            connection = Connection(self._target)
        else:
            self._answers.append(Answer(due, time.perf_counter(), NO_ANSWER))
            return
        await self._ask(connection, due)
        self._idle.append(connection)

    async def _ask(self, connection: Connection, due: float) -> int:
        status = NO_ANSWER
        try:
            status = await connection.ask(next(self._requests))
        finally:
            answer = Answer(due, time.perf_counter(), status)
            self._answers.append(answer)
            if self._next is not None and not self._next.done():
                self._next.set_result(answer.finished)
            if status == NO_ANSWER:
                connection.close()
        return status


async def _until(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until the condition holds, at most `seconds`."""
    give_up = time.perf_counter() + seconds
    while not condition() and time.perf_counter() < give_up:  # noqa: ASYNC110 - an event would cost every request
        await asyncio.sleep(POLL_SECONDS)


def _run(load: Coroutine[None, None, Load]) -> Load:
    gc.collect()
    gc.disable()  # its pauses would count as the server's latency
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(load)
    finally:
        gc.enable()
