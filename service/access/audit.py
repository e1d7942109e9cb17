"""The audit log: one line for each administrative action, whether done or refused.

The lines are part of the normal log, with the event `audit`. `who` comes from a closed set: the names in the keys file,
and the names in `RESERVED`.
"""

import structlog

SIGNAL = "signal"
WATCH = "watch"
UNKNOWN = "unknown"
"""A caller without a known key."""
RESERVED = frozenset({"anonymous", SIGNAL, WATCH, UNKNOWN})
"""Names that no key may have, so that `who` is unambiguous."""

_log = structlog.get_logger()


def audit(actor: str, action: str, outcome: str, **details: str | int | list[str]) -> None:
    """Write an audit line. `outcome` is `done`, `refused` or a problem code."""
    # At level "warning" although nothing is wrong: a higher log level must not drop the record.
    _log.warning("audit", who=actor, action=action, outcome=outcome, **details)
