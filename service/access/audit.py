"""The audit log: one line for each thing an administrator did, or was kept from doing.

Among the other lines, as event `audit`. Names come from closed sets: keys' names, and those of `RESERVED`.
"""

import structlog

SIGNAL = "signal"
WATCH = "watch"
UNKNOWN = "unknown"
"""Whoever sent no key that is known."""
RESERVED = frozenset({"anonymous", SIGNAL, WATCH, UNKNOWN})
"""Names that no key may have, so that a line says for certain who it was."""

_log = structlog.get_logger()


def audit(who: str, action: str, outcome: str, **details: str | int | list[str]) -> None:
    """Put on record who did what and what came of it: `done`, or the code of a problem."""
    # A warning, though nothing is wrong: a quieter log level must not drop the record.
    _log.warning("audit", who=who, action=action, outcome=outcome, **details)
