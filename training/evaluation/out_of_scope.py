"""Out-of-scope detection, measured: what it refuses of ordinary mail, and of mail that lies outside."""

from models.bundle.manifest import FieldEntry, Frozen
from models.scoring import FieldScoring, Logits, in_scope
from training.evaluation.intervals import share


class ScopeFigures(Frozen):
    """Out-of-scope detection: the share asked for, and what was achieved on the measured rows."""

    requested_refused: float
    refused: float
    """Share of the measured in-scope rows that are refused."""
    refused_high: float
    """Its upper 95 % bound (Wilson)."""
    outside_rows: int
    recall: float | None
    """Share of the out-of-scope rows that are refused; None: the data has none."""


def scope_figures(
    entry: FieldEntry, scoring: FieldScoring, inside: Logits, outside: Logits | None
) -> ScopeFigures | None:
    """None where the field has no scope: its detection is off, or had too few rows to be sure of.

    Args:
        entry: the department's, with the share that was asked for.
        scoring: the department's.
        inside: logits of ordinary rows (at least one), [rows, labels of all fields].
        outside: of the out-of-scope rows; None: there are none.
    """
    if entry.scope is None:
        return None
    refused = share(int((~in_scope(inside, scoring)).sum()), len(inside))
    assert refused is not None  # measured rows are there
    return ScopeFigures(
        requested_refused=entry.scope.refused,
        refused=refused.value,
        refused_high=refused.high,
        outside_rows=0 if outside is None else len(outside),
        recall=None if outside is None else float((~in_scope(outside, scoring)).mean()),
    )
