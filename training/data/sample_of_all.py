"""Which rows stand for all mail, so that promises may rest on them. Used by `split`.

Once a router works, the tickets that people labelled are no sample of all mail: of what it routed they saw the wrong
ones only. Thresholds set on such rows would be far too strict, and a few months later nothing would be routed. The
random share that is kept for people (`audit`) is a sample, and so are the tickets from before the router worked.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from models.label_source import LabelSource
from training.data.prepared import PreparedRow

FEWEST = 100
"""With fewer such rows no usual promise can be planned and tested on them alone."""
_DOMINATE = 0.5


def is_checked(item: PreparedRow) -> bool:
    """Whether a person chose the label, or saw it and let it stand."""
    return item.row.label_source is not LabelSource.ROUTER_UNCHECKED


def weighed(rows: Sequence[PreparedRow], unchecked_weight: float) -> list[PreparedRow]:
    """The rows with their weights in training; without those of weight 0, and without unchecked ones that the file
    wants to measure on."""
    kept = []
    for item in rows:
        if is_checked(item):
            kept.append(item)
        elif unchecked_weight and item.row.split in ("train", ""):
            kept.append(replace(item, weight=unchecked_weight))
    return kept


def sample_of_all(rows: Sequence[PreparedRow]) -> list[PreparedRow]:
    """The rows that stand for all mail: the audited ones and those from before the router worked; all rows if none is
    audited or unchecked. With fewer than FEWEST of these, all checked rows: the best there is."""
    routed = [item.row.created_at for item in rows if _is_audited(item) or not is_checked(item)]
    dates = [date for date in routed if date is not None]
    begin = min(dates, default=None) if len(dates) == len(routed) else None
    if not routed:
        return list(rows)
    chosen = [item for item in rows if is_checked(item) and (_is_audited(item) or _is_before(item, begin))]
    return chosen if len(chosen) >= FEWEST else [item for item in rows if is_checked(item)]


def audited_first(item: PreparedRow) -> bool:
    """A sort key."""
    return not _is_audited(item)


def source_advice(rows: Sequence[PreparedRow]) -> Sequence[str]:
    """Warnings about the sources of all rows' labels, for people."""
    unchecked, audited = sum(not is_checked(item) for item in rows), sum(map(_is_audited, rows))
    advice = []
    if unchecked > _DOMINATE * len(rows):
        advice.append(
            f"warning: {unchecked} of {len(rows)} labels are the router's own and nobody checked them; the model "
            "confirms itself: keep a larger random share for people, and mark those rows label_source = audit"
        )
    if unchecked and audited < FEWEST and len(sample_of_all(rows)) == len(rows) - unchecked:
        advice.append(
            f"warning: {audited} rows are audited, {FEWEST - audited} more are needed to stand for all mail; the "
            "thresholds rest on all checked rows, which lack the right automatic routes: they are too strict"
        )
    return advice


def _is_audited(item: PreparedRow) -> bool:
    return item.row.label_source is LabelSource.AUDIT


def _is_before(item: PreparedRow, begin: datetime | None) -> bool:
    date = item.row.created_at
    return begin is not None and date is not None and date < begin
