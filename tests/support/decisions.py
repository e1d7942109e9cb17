"""Lines of `python -m service records export`, for tests of training: the format is the contract between the two."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

START = datetime(2025, 9, 1, 8, tzinfo=UTC)


def day(number: float) -> str:
    return (START + timedelta(days=number)).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def feedback(value: str, at: float = 1, *, field: str = "department", source: str = "agent") -> dict[str, Any]:
    return {"field": field, "value": value, "source": source, "at": day(at)}


def decision(
    number: int,
    department: str = "billing",
    outcome: str = "route",
    *said: Mapping[str, Any],
    at: float = 0,
    holdout: bool = False,
    text: tuple[str, str] | None = ("Invoice", "Charged twice."),
    fields: Mapping[str, Mapping[str, Any]] | None = None,
    **changes: Any,
) -> dict[str, Any]:
    """A decision on ticket `T-number`, `at` days after START."""
    verdict = {"value": department, "confidence": 0.97, "outcome": outcome, "threshold": 0.9}
    return {
        "decision_id": f"D{number:025}",
        "ticket_id": f"T-{number}",
        "created_at": day(at),
        "caller": "desk",
        "text_digest": "0" * 64,
        "outcome": outcome,
        "reason": "confident",
        "fields": {"department": verdict, **(fields or {})},
        "flags": [],
        "rule": None,
        "bundle": "0123456789abcdef",
        "variant": "fp32",
        "latency_ms": 3.1,
        "holdout": holdout,
        "text": None if text is None else {"subject": text[0], "body": text[1]},
        "feedback": list(said),
        **changes,
    }
