"""Logs: one JSON line per event on standard output. No ticket content, no addresses, no headers.

An exception's message may quote what it choked on, so a traceback is logged as places and class names only.

A reader that stops (a full disk behind it, a hung collector, a terminal on hold) would stop the whole service with its
next line: the pipe is full, and the write does not return. `LogStream` drops the lines that do not fit, counts them,
and reports the number when the reader is back.
"""

import json
import logging
import os
import select
import sys
import threading
import time
import traceback
from collections.abc import Callable, MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO, cast

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor

SELDOM_SECONDS = 60.0
"""How often OpenTelemetry may say the same thing: a collector that is down fails every few seconds."""
PIECE_BYTES = select.PIPE_BUF
"""What a pipe takes in one go once it says that it takes any."""
PATIENCE_SECONDS = 0.1
"""How long one line may wait for a reader that is only late. Nothing else is answered meanwhile."""
IMPATIENT_SECONDS = 10.0
"""After a wait in vain no line waits for so long: a reader that hangs must not hold up every request."""

# pydantic's serialiser writes a line in a third of the time of Python's own.
_RENDERER = structlog.processors.JSONRenderer(lambda event, **_options: to_json(event, fallback=repr).decode())


def configure_logging(level: str) -> None:
    """Send structlog and the standard library's loggers (uvicorn's) through one JSON renderer."""
    number, stream = logging.getLevelNamesMapping()[level.upper()], log_stream()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        without_messages,
    ]
    structlog.configure(
        processors=[*shared, _RENDERER],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    _bridge(shared, number, stream)


def add_log_fields(scope: MutableMapping[str, Any], **fields: str | int) -> None:
    """Put fields on the log line of this ASGI request: values of closed sets, numbers, ids of our own."""
    log_fields(scope).update(fields)


def log_fields(scope: MutableMapping[str, Any]) -> dict[str, str | int]:
    """What the log line of this request has beside route, code and time."""
    fields: dict[str, str | int] = scope.setdefault("state", {}).setdefault("log_fields", {})
    return fields


def without_messages(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the class names and places of the whole chain of causes."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else sys.exc_info()[1]
    if error is not None:
        event["error"] = " from ".join(_chain(error))
    return event


def _chain(error: BaseException) -> list[str]:
    links: list[str] = []
    current: BaseException | None = error
    while current is not None and len(links) < 10:
        places = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(current.__traceback__)]
        links.append(f"{type(current).__qualname__} at {' < '.join(reversed(places))}")
        current = current.__cause__ or (None if current.__suppress_context__ else current.__context__)
    return links


def _bridge(shared: list[Processor], level: int, stream: TextIO) -> None:
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _RENDERER],
    )
    handler, seldom = logging.StreamHandler(stream), logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    seldom.setFormatter(formatter)
    seldom.addFilter(RepeatFilter(SELDOM_SECONDS))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # uvicorn says at info what `server/serve.py` logs itself, and warns of every malformed request line.
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.setLevel(max(level, logging.ERROR))
    uvicorn.filters = [lambda record: _drain_is_no_error(record, level)]
    _quieten_opentelemetry(seldom, level)


def _quieten_opentelemetry(handler: logging.Handler, level: int) -> None:
    exporter = logging.getLogger("opentelemetry")
    exporter.handlers, exporter.propagate = [handler], False
    # It warns of trace headers that are not well-formed, and repeats them: they are the client's.
    logging.getLogger("opentelemetry.trace").setLevel(max(level, logging.ERROR))
    # It quotes the OTEL_*_HEADERS that it cannot read, and the collector's key may be among them.
    logging.getLogger("opentelemetry.util.re").filters = [_hide_values]
    # The exporter's client tells every request at debug.
    logging.getLogger("urllib3").setLevel(max(level, logging.WARNING))


class RepeatFilter(logging.Filter):
    """Lets a message through once in so many seconds, whatever values it is filled with."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._told: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now, message = self._clock(), str(record.msg)
        if now - self._told.get(message, -self._seconds) < self._seconds:
            return False
        self._told[message] = now
        return True


def _hide_values(record: logging.LogRecord) -> bool:
    record.args = ("(not shown)",) * len(record.args or ())
    return True


def _drain_is_no_error(record: logging.LogRecord, level: int) -> bool:
    """uvicorn's word at the end of the drain time is a warning: those requests get the 503 they are meant to get."""
    if str(record.msg).startswith("Cancel %s running task(s)"):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return record.levelno >= level


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
