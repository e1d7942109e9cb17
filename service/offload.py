"""CPU-heavy work on larger inputs goes to threads, so that no single ticket holds the event loop.

Parsing and cleaning are Python: a thread does not make them faster, it lets the loop answer others in between.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from service.errors import Overloaded

T = TypeVar("T")

INLINE_BYTES = 4_000
"""Inputs up to this size are handled at once: mostly under 2 ms, 5 at worst. Longer ones take up to 70 ms."""
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
        if self._pending >= MAX_PENDING:
            raise Overloaded(_RETRY_SECONDS)
        future = asyncio.get_running_loop().run_in_executor(self._executor, work)
        self._pending += 1
        future.add_done_callback(self._done)
        try:
            return await future
        finally:
            # What it raises holds this frame, and would hold itself through it: a refused body of megabytes would stay
            # until the collector comes by, which in an idle service is never.
            del future

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _done(self, _future: "asyncio.Future[T]") -> None:
        self._pending -= 1
