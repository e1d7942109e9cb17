"""Reads values of JSON payloads that others have written."""

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from service.helpdesks.types import Malformed

MAX_ID = 100
_MISSING = object()


def json_of(body: bytes, delivery: str | None = None) -> Any:
    """Raises: Malformed"""
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        raise Malformed(delivery, "not JSON") from None


def at(value: Any, path: str, missing: Any = None) -> Any:
    """The value at a dotted path (`ticket.messages.0.body`), or `missing`. An empty path is the value itself."""
    for key in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(key, missing)
        elif isinstance(value, list) and key.isdigit() and int(key) < len(value):
            value = value[int(key)]
        else:
            return missing
    return value


def found_at(value: Any, paths: Mapping[str, str]) -> dict[str, str | None]:
    """By name, what is at the paths. One that is not there is unknown, which is not the same as unset."""
    there = {name: at(value, path, _MISSING) for name, path in paths.items()}
    return {name: optional(each) for name, each in there.items() if each is not _MISSING}


def text(value: Any) -> str:
    """A string as it is, a number as its digits, anything else as ''."""
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else ""


def optional(value: Any) -> str | None:
    return text(value) or None


def id_of(value: Any, delivery: str | None = None, why: str = "no id of a ticket") -> str:
    """Raises: Malformed: not an id."""
    found = text(value).strip()
    if not 0 < len(found) <= MAX_ID or not found.isprintable():
        raise Malformed(delivery, why)
    return found


def milliseconds(value: Any) -> int | None:
    """ISO 8601, UTC where it says nothing, or Unix seconds; None: neither."""
    try:
        if isinstance(value, int | float) and not isinstance(value, bool):
            moment = float(value)
            return int(moment if moment > 1e11 else moment * 1000)
        found = datetime.fromisoformat(text(value))
        return int((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError):
        return None
