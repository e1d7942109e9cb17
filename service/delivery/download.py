"""Bytes from a source into a file: counted, timed and hashed on their way, and asked for again when interrupted.

`sources.py` gives the stream, `fetch.py` says where it goes.
"""

import hashlib
import random
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import structlog

from service.delivery.errors import DeliveryError, Interruption, wrong_digest

WAITS = (0.5, 2.0, 8.0)
"""Seconds before the second, third and fourth attempt, on average: pods that start together shall not ask together."""

_log = structlog.get_logger()
_T = TypeVar("_T")


@dataclass(frozen=True)
class Limits:
    """What one delivery may take. `deadline` is on time.monotonic's clock; `seconds` is what it was set from."""

    max_bytes: int
    seconds: float
    deadline: float

    @classmethod
    def starting_now(cls, max_bytes: int, seconds: float) -> "Limits":
        return cls(max_bytes, seconds, time.monotonic() + seconds)

    def left(self) -> float:
        """Seconds until the deadline.

        Raises:
            DeliveryError: it has passed.
        """
        left = self.deadline - time.monotonic()
        if left <= 0:
            raise DeliveryError(f"not done within {self.seconds:g} s; raise --timeout if the way is slow")
        return left

    def refuse_size(self, size: int, what: str) -> None:
        """Raises DeliveryError when `size` bytes are too many."""
        if size > self.max_bytes:
            raise DeliveryError(f"{what} is larger than --max-bytes {self.max_bytes}")


@dataclass(frozen=True)
class Stream:
    """An archive on its way: the SHA-256 it must have, its size if that is known, and its bytes."""

    shown: str
    digest: str
    size: int | None
    chunks: Iterator[bytes]


def download(open_stream: Callable[[], AbstractContextManager[Stream]], path: Path, limits: Limits) -> int:
    """Write the archive to `path`, and return its size in bytes once its digest agrees.

    Raises:
        DeliveryError: it did not come, is too large, or is another archive.
        OSError: `path` cannot be written.
    """

    def attempt() -> int:
        with open_stream() as stream:
            return _receive(stream, path, limits)

    return _with_attempts(attempt, limits)


def _with_attempts(attempt: Callable[[], _T], limits: Limits) -> _T:
    """The attempt's result; an interrupted one is made again, a few times and while there is time.

    Raises:
        DeliveryError: the last attempt's, or one that another attempt would not help.
    """
    for wait in WAITS:
        try:
            return attempt()
        except Interruption as error:
            pause = wait * random.uniform(0.5, 1.5)
            if limits.left() <= pause:
                raise
            _log.warning("trying again", reason=str(error), seconds=round(pause, 1))
            time.sleep(pause)
    try:
        return attempt()
    except Interruption as error:
        raise DeliveryError(f"{error}; tried {len(WAITS) + 1} times") from error


def _receive(stream: Stream, path: Path, limits: Limits) -> int:
    limits.refuse_size(stream.size or 0, stream.shown)
    digest, size = hashlib.sha256(), 0
    with path.open("wb") as file:
        for chunk in stream.chunks:
            size += len(chunk)
            limits.refuse_size(size, stream.shown)
            limits.left()
            digest.update(chunk)
            file.write(chunk)
    if digest.hexdigest() != stream.digest:
        raise wrong_digest(stream.shown, stream.digest, digest.hexdigest())
    return size
