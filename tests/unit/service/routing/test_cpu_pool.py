"""`service.routing.cpu_pool`: large inputs in threads, fair order, no work for cancelled callers."""

import asyncio
import threading
import time

import pytest

from service.context import RequestContext
from service.errors import DeadlinePassed, Overloaded
from service.routing.cpu_pool import INLINE_BYTES, MAX_PENDING_BYTES, THREADS, CpuPool
from tests.support.batching import in_loop, soon

LARGE = INLINE_BYTES + 1
NOISY, POLITE = "noisy", "polite"


class Busy:
    """A CpuPool whose threads are blocked, and the order in which the waiting jobs run."""

    def __init__(self) -> None:
        self.cpu_pool = CpuPool()
        self.gate = threading.Event()
        self.order: list[str] = []

    async def __aenter__(self) -> "Busy":
        self._blockers = [asyncio.create_task(self.cpu_pool.run(LARGE, self.gate.wait, soon())) for _ in range(THREADS)]
        await asyncio.sleep(0)
        return self

    async def __aexit__(self, *_error: object) -> None:
        self.gate.set()
        await asyncio.gather(*self._blockers)
        self.cpu_pool.close()

    def submit(self, name: str, context: RequestContext, size: int = LARGE) -> "asyncio.Task[None]":
        return asyncio.create_task(self.cpu_pool.run(size, lambda: self.order.append(name), context))


def test_small_inputs_run_inline_within_the_budget_of_a_loop_iteration() -> None:
    """A thread would cost more than the work, but hundreds of inputs in one iteration would delay every request."""

    async def test() -> None:
        async with Busy() as busy:
            assert await busy.cpu_pool.run(INLINE_BYTES, threading.get_ident, soon()) == threading.get_ident()
            waiting = [
                asyncio.create_task(busy.cpu_pool.run(1000, threading.get_ident, soon(), seconds_each=1e-6))
                for _ in range(50)
            ]
            await asyncio.sleep(0)
            assert 15 <= sum(each.done() for each in waiting) <= 20
            await asyncio.sleep(0)
            assert (
                await busy.cpu_pool.run(1000, threading.get_ident, soon(), seconds_each=1e-6) == threading.get_ident()
            )
            busy.gate.set()
            numbers = [await each for each in waiting]
            inline = numbers.count(threading.get_ident())
            assert numbers[:inline] == [threading.get_ident()] * inline

    in_loop(test)


def test_single_job_of_a_caller_runs_before_the_flood_of_another() -> None:
    async def test() -> None:
        async with Busy() as busy:
            tasks = [busy.submit(f"noisy {number}", soon(caller=NOISY)) for number in range(10)]
            await asyncio.sleep(0)
            tasks.append(busy.submit("polite", soon(caller=POLITE)))
            await asyncio.sleep(0)
            busy.gate.set()
            await asyncio.gather(*tasks)
            assert busy.order.index("polite") <= 1 + THREADS
            assert [name for name in busy.order if name != "polite"] == sorted(busy.order)[:10]

    in_loop(test)


def test_job_that_would_start_too_late_is_refused_at_once() -> None:
    """Estimated from recent jobs: a later deadline is accepted, and so is another caller."""

    async def test() -> None:
        async with Busy() as busy:
            busy.gate.set()
            await asyncio.gather(*(busy.cpu_pool.run(LARGE, lambda: time.sleep(0.05), soon()) for _ in range(60)))
            busy.gate.clear()
            blockers = [asyncio.create_task(busy.cpu_pool.run(LARGE, busy.gate.wait, soon())) for _ in range(THREADS)]
            await asyncio.sleep(0)
            waiting = [busy.submit("noisy", soon(60, NOISY)) for _ in range(20)]  # half a second's work
            await asyncio.sleep(0)
            with pytest.raises(Overloaded) as refused:
                await busy.submit("noisy in haste", soon(0.5, NOISY))
            assert refused.value.retry_after >= 1
            polite = busy.submit("polite in haste", soon(0.5, POLITE))
            await asyncio.sleep(0)
            busy.gate.set()
            await asyncio.gather(polite, *waiting, *blockers)

    in_loop(test)


def test_cancelled_and_late_jobs_are_not_run() -> None:
    async def test() -> None:
        async with Busy() as busy:
            left, late = busy.submit("left", soon()), busy.submit("late", soon(0.01))
            await asyncio.sleep(0.03)
            left.cancel()
            busy.gate.set()
            with pytest.raises(DeadlinePassed):
                await late
            await busy.submit("last", soon())
            assert busy.order == ["last"]

    in_loop(test)


def test_waiting_jobs_are_limited_and_accepted_ones_are_run() -> None:
    """One caller reaches its own limit before the limit of all; accepted jobs are run."""

    async def test() -> None:
        async with Busy() as busy:
            piece = MAX_PENDING_BYTES // 8
            tasks = [busy.submit("noisy", soon(caller=NOISY), piece) for _ in range(8)]
            await asyncio.sleep(0)
            refused = [task for task in tasks if task.done()]
            assert 0 < len(refused) < 3
            assert all(isinstance(task.exception(), Overloaded) for task in refused)
            polite = [busy.submit("polite", soon(caller=POLITE), piece) for _ in range(8)]
            await asyncio.sleep(0)
            assert not polite[0].done()
            assert isinstance(polite[7].exception(), Overloaded)
            busy.gate.set()
            await asyncio.gather(*tasks, *polite, return_exceptions=True)
            done = sum(task.exception() is None for task in (*tasks, *polite))
            assert len(busy.order) == done

    in_loop(test)


def test_exception_reaches_the_caller() -> None:
    """The thread continues with other jobs."""

    async def test() -> None:
        async with Busy() as busy:
            busy.gate.set()
            with pytest.raises(ZeroDivisionError):
                await busy.cpu_pool.run(LARGE, lambda: 1 // 0, soon())
            await busy.submit("next", soon())
            assert busy.order == ["next"]

    in_loop(test)
