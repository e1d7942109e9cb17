"""Logs: one JSON line per event on standard output. No ticket content, no addresses, no headers.

The message of an exception may quote its input, so a traceback is logged as code locations and class names only.

A reader that stops reading (full disk, hung collector, paused terminal) would block the whole service at its next line:
the pipe is full, and the write does not return. `LogStream` drops the lines that do not fit, counts them, and reports
the number when the reader continues.
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

REPEAT_SECONDS = 60.0
"""Shortest interval between equal messages of OpenTelemetry: while a collector is down, it fails every few seconds."""
ATOMIC_BYTES = select.PIPE_BUF
"""Bytes that a writable pipe accepts in one write."""
WRITE_TIMEOUT_SECONDS = 0.1
"""How long one line waits for a slow reader. The service answers nothing during that time."""
NO_WAIT_SECONDS = 10.0
"""After a write timeout no line waits for this time: a hung reader must not delay every request."""

_lost = {"audit": 0, "other": 0}
_AUDIT = '"event":"audit"'

# pydantic's serialiser takes a third of the time of Python's json module.
_RENDERER = structlog.processors.JSONRenderer(lambda event, **_options: to_json(event, fallback=repr).decode())


def configure_logging(level: str) -> None:
    """Send structlog and the standard library's loggers (uvicorn's) through one JSON renderer."""
    number, stream = logging.getLevelNamesMapping()[level.upper()], log_stream()
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
        remove_exception_messages,
    ]
    structlog.configure(
        processors=[*shared, _RENDERER],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _RENDERER],
    )
    handler, limited = logging.StreamHandler(stream), logging.StreamHandler(stream)
    handler.setFormatter(formatter)
    limited.setFormatter(formatter)
    limited.addFilter(RepeatFilter(REPEAT_SECONDS))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(number)
    # At info, uvicorn repeats what `server/serve.py` logs; its warnings report every malformed request line.
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.setLevel(max(number, logging.ERROR))
    uvicorn.filters = [lambda record: _downgrade_drain_error(record, number)]
    exporter = logging.getLogger("opentelemetry")
    exporter.handlers, exporter.propagate = [limited], False
    # Its warnings about malformed trace headers repeat the headers, which are content of the client.
    logging.getLogger("opentelemetry.trace").setLevel(max(number, logging.ERROR))
    # It quotes malformed OTEL_*_HEADERS, which may contain the key of the collector.
    logging.getLogger("opentelemetry.util.re").filters = [_hide_values]
    # At info, the HTTP client of the connections logs every URL; that of an event may contain a key.
    logging.getLogger("httpx2").setLevel(max(number, logging.WARNING))
    # The HTTP client of the exporter logs every request at debug.
    logging.getLogger("urllib3").setLevel(max(number, logging.WARNING))


def lost_lines() -> dict[str, int]:
    """How many lines this process has lost, by kind: an audit line that is lost is a record that is missing."""
    return dict(_lost)


def add_log_fields(scope: MutableMapping[str, Any], **fields: str | int) -> None:
    """Add fields to the log line of this ASGI request: only values of closed sets, numbers, and ids that we
    generate."""
    log_fields(scope).update(fields)


def log_fields(scope: MutableMapping[str, Any]) -> dict[str, str | int]:
    """The additional fields of this request's log line, beside route, code and time."""
    fields: dict[str, str | int] = scope.setdefault("state", {}).setdefault("log_fields", {})
    return fields


def remove_exception_messages(_logger: Any, _method: str, event: EventDict) -> EventDict:
    """Replace `exc_info` by the class names and code locations of the exception and all its causes."""
    info = event.pop("exc_info", None)
    if not info:
        return event
    error = info if isinstance(info, BaseException) else info[1] if isinstance(info, tuple) else sys.exc_info()[1]
    descriptions: list[str] = []
    while error is not None and len(descriptions) < 10:
        locations = [f"{frame.filename}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)]
        descriptions.append(f"{type(error).__qualname__} at {' < '.join(reversed(locations))}")
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if descriptions:
        event["error"] = " from ".join(descriptions)
    return event


class RepeatFilter(logging.Filter):
    """Passes each message template once per `seconds`, whatever its arguments."""

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self._seconds = seconds
        self._clock = clock
        self._last_logged: dict[str, float] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        now, message = self._clock(), str(record.msg)
        if now - self._last_logged.get(message, -self._seconds) < self._seconds:
            return False
        self._last_logged[message] = now
        return True


def _hide_values(record: logging.LogRecord) -> bool:
    record.args = ("(not shown)",) * len(record.args or ())
    return True


def _downgrade_drain_error(record: logging.LogRecord, level: int) -> bool:
    """uvicorn's message at the end of the drain time becomes a warning: those requests get their intended 503."""
    if str(record.msg).startswith("Cancel %s running task(s)"):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return record.levelno >= level


class LogStream:
    """Never raises and waits at most WRITE_TIMEOUT_SECONDS. Lines up to ATOMIC_BYTES from several threads and processes
    do not mix.

    Args:
        descriptor: an open file; None: drop all lines.
        clock: monotonic seconds.
    """

    def __init__(self, descriptor: int | None, clock: Callable[[], float] = time.monotonic) -> None:
        self._descriptor = descriptor
        self._clock = clock
        self._lock = threading.Lock()
        self._no_wait_until = -NO_WAIT_SECONDS
        self._lost_lines = 0
        self._last_line_incomplete = False
        self._poll = select.poll()
        if descriptor is not None:
            self._poll.register(descriptor, select.POLLOUT)

    def write(self, text: str) -> int:
        """Write the whole line or drop it; only a line longer than ATOMIC_BYTES may be truncated."""
        with self._lock:
            if self._lost_lines:
                now = datetime.now(UTC).isoformat().replace("+00:00", "Z")
                event = {"event": "log lines lost", "level": "warning", "time": now, "lines": self._lost_lines}
                if self._write_line(json.dumps(event).encode() + b"\n"):
                    self._lost_lines = 0
            if self._lost_lines or not self._write_line(text.encode(errors="backslashreplace")):
                self._lost_lines += 1
                _lost["audit" if _AUDIT in text else "other"] += 1
        return len(text)

    def flush(self) -> None:
        """Nothing is buffered."""

    def _write_line(self, line: bytes) -> bool:
        """Whether the whole line was written."""
        if self._last_line_incomplete:
            line = b"\n" + line
        while line:
            if self._descriptor is None or not self._is_writable():
                return False
            try:
                written = os.write(self._descriptor, line[:ATOMIC_BYTES])
            except OSError:  # the reader has closed the pipe, or the disk is full
                return False
            if not written:
                return False
            line = line[written:]
            self._last_line_incomplete = bool(line)
        return True

    def _is_writable(self) -> bool:
        if self._poll.poll(0):
            return True
        now = self._clock()
        if now < self._no_wait_until:
            return False
        if self._poll.poll(1000 * WRITE_TIMEOUT_SECONDS):
            return True
        self._no_wait_until = now + NO_WAIT_SECONDS
        return False


def log_stream() -> TextIO:
    """Standard output. If it was closed before the start, all lines are dropped."""
    try:
        descriptor = None if sys.stdout is None else sys.stdout.fileno()
    except OSError:  # not a file, as in a notebook: a write cannot block
        return sys.stdout
    return cast(TextIO, LogStream(descriptor))
