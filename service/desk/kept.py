"""Counts that are kept for a while: on a record of 100,000 decisions they take some hundred milliseconds."""

import asyncio
import math
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from service.errors import ServiceError
from service.lifecycle import end

T = TypeVar("T")


class Kept:
    """By key. A value is returned up to the age `stale_seconds`; from `fresh_seconds` on it is counted anew meanwhile.
    Use from one event loop only."""

    def __init__(self, fresh_seconds: float, stale_seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._fresh_seconds = fresh_seconds
        self._stale_seconds = stale_seconds
        self._clock = clock
        self._values: dict[object, tuple[float, Any]] = {}
        self._tasks: dict[object, asyncio.Task[Any]] = {}

    async def get(self, key: object, count: Callable[[], Awaitable[T]]) -> T:
        """The value of the key, of all readers at once counted by one.

        Raises:
            ServiceError: of `count`, if there is no value to show instead.
        """
        at, value = self._values.get(key, (-math.inf, None))
        age = self._clock() - at
        if age >= self._fresh_seconds and key not in self._tasks:
            task = self._tasks[key] = asyncio.create_task(self._count(key, count))
            task.add_done_callback(lambda done: self._ended(key, done))
        if key in self._values and age < self._stale_seconds:
            found: T = value
        else:
            found = await asyncio.shield(self._tasks[key])
        return found

    async def stop(self) -> None:
        await end(*self._tasks.values())

    async def _count(self, key: object, count: Callable[[], Awaitable[T]]) -> T:
        value = await count()
        self._values[key] = (self._clock(), value)
        return value

    def _ended(self, key: object, task: "asyncio.Task[Any]") -> None:
        del self._tasks[key]
        if not task.cancelled() and (error := task.exception()) is not None and not isinstance(error, ServiceError):
            raise error  # the event loop logs it
