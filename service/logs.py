"""Logs: one JSON line per event on standard output. No ticket content, no addresses, no headers.

An exception's message may quote what it choked on, so a traceback is logged as places and class names only.
"""

import logging
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any, TextIO

import structlog
from pydantic_core import to_json
from structlog.typing import EventDict, Processor

from service.log_stream import log_stream

SELDOM_SECONDS = 60.0
"""How often OpenTelemetry may say the same thing: a collector that is down fails every few seconds."""

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
    seldom.addFilter(Seldom(SELDOM_SECONDS))
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(level)
    # uvicorn says at info what `server.py` says itself, and warns of every malformed request line.
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.setLevel(max(level, logging.ERROR))
    uvicorn.filters = [lambda record: _drain_is_no_error(record, level)]
    _quieten_opentelemetry(seldom, level)


def _quieten_opentelemetry(handler: logging.Handler, level: int) -> None:
    exporter = logging.getLogger("opentelemetry")
    exporter.handlers, exporter.propagate = [handler], False
    # It warns of trace headers that are not well-formed, and repeats them: they are the client's.
    logging.getLogger("opentelemetry.trace").setLevel(max(level, logging.ERROR))
    # The exporter's client tells every request at debug.
    logging.getLogger("urllib3").setLevel(max(level, logging.WARNING))


class Seldom(logging.Filter):
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


def _drain_is_no_error(record: logging.LogRecord, level: int) -> bool:
    """uvicorn's word at the end of the drain time is a warning: those requests get the 503 they are meant to get."""
    if str(record.msg).startswith("Cancel %s running task(s)"):
        record.levelno, record.levelname = logging.WARNING, "WARNING"
    return record.levelno >= level
