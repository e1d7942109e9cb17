"""Pooled vectors of texts by the serving graph, without holding callers up: one thread of low priority, one batch at a
time."""

import asyncio
import contextlib
import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import numpy as np

from models.encoding import Encoding
from models.index_file import Vectors, unit
from service.inference.engine import Engine

T = TypeVar("T")

NICENESS = 10
"""Of the thread: on busy cores it gets about a tenth of a runner's time."""


class VectorMaker:
    """Use from one event loop only."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="vectors", initializer=lower_priority)

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    async def of(self, engine: Engine, texts: Sequence[str]) -> Vectors:
        """The texts' vectors in their order, of unit length. Others that wait get their turn between two batches."""
        loop = asyncio.get_running_loop()
        encodings = await loop.run_in_executor(self._executor, lambda: [engine.bundle.encode(text) for text in texts])
        result = np.zeros((len(texts), engine.bundle.manifest.encoder.width), dtype=np.float32)
        for rows in batches(encodings, engine.limits.packing.max_tokens):
            result[rows] = await loop.run_in_executor(self._executor, _pooled, engine, [encodings[row] for row in rows])
        return unit(result)

    async def beside(self, work: Callable[..., T], *arguments: Any) -> T:
        """Other work of low priority, in the same thread."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, work, *arguments)


def batches(encodings: Sequence[Encoding], max_tokens: int) -> Iterator[list[int]]:
    """The encodings' numbers in batches of similar lengths, each of at most this many padded tokens or one encoding."""
    rows: list[int] = []
    for row in sorted(range(len(encodings)), key=lambda row: len(encodings[row].ids)):
        if rows and (len(rows) + 1) * len(encodings[row].ids) > max_tokens:
            yield rows
            rows = []
        rows.append(row)
    if rows:
        yield rows


def _pooled(engine: Engine, encodings: Sequence[Encoding]) -> Vectors:
    batch = engine.bundle.encoder.batch(encodings, engine.limits.packing.multiple)
    return engine.sessions.run_with_pooled(batch).pooled


def lower_priority() -> None:
    """Of the calling thread."""
    with contextlib.suppress(OSError, AttributeError):  # on Linux, a thread has a priority of its own
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)
