"""Where log lines go: standard output, without ever waiting for whoever reads it.

A reader that stops (a full disk behind it, a hung collector, a terminal on hold) would stop the whole service with its
next line: the pipe is full, and the write does not return. Lines that do not fit are dropped, counted, and told of when
the reader is back. `logs.py` writes here.
"""

import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO, cast

PIECE_BYTES = select.PIPE_BUF
"""What a pipe takes in one go once it says that it takes any."""
PATIENCE_SECONDS = 0.1
"""How long one line may wait for a reader that is only late. Nothing else is answered meanwhile."""
IMPATIENT_SECONDS = 10.0
"""After a wait in vain no line waits for so long: a reader that hangs must not hold up every request."""


class LogStream:
    """Never raises and hardly waits. Lines of several threads and processes do not mix, up to PIECE_BYTES.

    Args:
        descriptor: an open file; None: there is nowhere to write to.
        clock: seconds that only grow.
    """

    def __init__(self, descriptor: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._descriptor = descriptor
        self._clock = clock
        self._lock = threading.Lock()
        self._patient_from = -IMPATIENT_SECONDS
        self._lost = 0
        self._cut = False
        self._poll = select.poll()
        if descriptor is not None:
            self._poll.register(descriptor, select.POLLOUT)

    def write(self, text: str) -> int:
        """A line, or nothing of it; only what is longer than PIECE_BYTES may be cut off."""
        with self._lock:
            if self._lost and self._put(self._told()):
                self._lost = 0
            if self._lost or not self._put(text.encode(errors="backslashreplace")):
                self._lost += 1
        return len(text)

    def flush(self) -> None:
        """Nothing is held back."""

    def _put(self, line: bytes) -> bool:
        if self._cut:
            line = b"\n" + line
        while line:
            written = self._write(line[:PIECE_BYTES]) if self._has_room() else 0
            if not written:
                return False
            line = line[written:]
            self._cut = bool(line)
        return True

    def _told(self) -> bytes:
        moment = datetime.now(UTC).isoformat().replace("+00:00", "Z")
        told = {"event": "log lines lost", "level": "warning", "time": moment, "lines": self._lost}
        return json.dumps(told).encode() + b"\n"

    def _has_room(self) -> bool:
        if self._descriptor is None:
            return False
        if self._poll.poll(0):
            return True
        now = self._clock()
        if now < self._patient_from:
            return False
        if self._poll.poll(1000 * PATIENCE_SECONDS):
            return True
        self._patient_from = now + IMPATIENT_SECONDS
        return False

    def _write(self, piece: bytes) -> int:
        """How much of it; nothing where nobody reads any more, or the disk is full."""
        assert self._descriptor is not None
        try:
            return os.write(self._descriptor, piece)
        except OSError:
            return 0


def log_stream() -> TextIO:
    """Standard output. It may have been closed before we were started: then all is dropped."""
    try:
        descriptor = None if sys.stdout is None else sys.stdout.fileno()
    except OSError:  # it is no file at all, as in a notebook: there is nobody to wait for
        return sys.stdout
    return cast(TextIO, LogStream(descriptor))
