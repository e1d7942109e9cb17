"""CPU-heavy work on larger inputs goes to threads, so that no single ticket holds the event loop.

Parsing and cleaning are Python: a thread does not make them faster, it lets the loop answer others in between.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from models.budget import Budget
from models.errors import TooComplex
from service.errors import Overloaded

T = TypeVar("T")

INLINE_BYTES = 4_000
"""Inputs up to this size are handled at once: mostly under 2 ms."""
INLINE_SECONDS = 0.02
"""Made to cost time, they can take 100 ms: then they go to a thread after all."""
THREADS = 2
"""More than two rarely help: they share the interpreter lock, and the tokenizer is fast beside the model."""
MAX_PENDING = 64
"""Large inputs waiting here hold their whole text in memory; beyond this many the service is overloaded."""
_RETRY_SECONDS = 1.0


class Offload:
    """Runs work inline when its input is small, else in one of a few threads."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(THREADS, thread_name_prefix="prepare")
        self._pending = 0

    async def run(self, size: int, work: Callable[[], T]) -> T:
        """The work's result. `size` is its input's, in bytes or characters.

        Raises:
            Overloaded: too many large inputs wait already.
        """
        if size <= INLINE_BYTES:
            return work()
        return await self._in_thread(work)

    async def run_within(self, seconds: float, size: int, work: Callable[[Budget], T]) -> T:
        """The same for work that keeps to a budget of CPU seconds.

        Raises:
            TooComplex: it is used up.
            Overloaded: as `run`.
        """
        if size <= INLINE_BYTES:
            try:
                return work(Budget(INLINE_SECONDS))
            except TooComplex:
                pass  # begun anew where nobody else waits for it
        return await self._in_thread(lambda: work(Budget(seconds)))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._pending >= MAX_PENDING:
            raise Overloaded(_RETRY_SECONDS)
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        self._pending += 1
        future.add_done_callback(self._done)
        return await future

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, _future: "asyncio.Future[T]") -> None:
        self._pending -= 1
