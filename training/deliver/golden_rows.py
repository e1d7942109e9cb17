"""Which validation rows become golden rows, and what they hold."""

from collections.abc import Sequence

import numpy as np

from models.encoding import Encoding
from models.golden import GoldenRow
from models.scoring import FieldScoring, Logits, judge, probabilities
from training.data.split import PreparedRow

GOLDEN_ROWS = 50
_MARGIN = 0.01
"""A golden row's confidence keeps this distance from every threshold: another processor's rounding (or int8's) must
not turn a sound bundle into one that refuses to start."""
_LONGEST_BODY = 5_000


def choose_golden(
    rows: Sequence[PreparedRow], encodings: Sequence[Encoding], logits: Logits, scorings: Sequence[FieldScoring]
) -> list[GoldenRow]:
    """Up to GOLDEN_ROWS rows spread evenly over text lengths, from the shortest to the longest."""
    settled = [number for number in range(len(rows)) if _suits(rows[number], logits[number], scorings[0])]
    settled.sort(key=lambda number: len(encodings[number].ids))
    spread = np.unique(np.linspace(0, len(settled) - 1, min(GOLDEN_ROWS, len(settled))).round().astype(int))
    return [_golden(rows[n], encodings[n], logits[n], scorings) for n in (settled[i] for i in spread)]


def _suits(row: PreparedRow, logits: Logits, department: FieldScoring) -> bool:
    confidences = np.sort(probabilities(logits, department))
    levels = {level for t in department.thresholds for level in (t.route, t.suggest) if level is not None}
    clear = all(abs(confidences[-1] - level) > _MARGIN for level in levels)
    unambiguous = confidences[-1] - confidences[-2] > _MARGIN
    return clear and bool(unambiguous) and len(row.row.ticket.body) <= _LONGEST_BODY


def _golden(row: PreparedRow, encoding: Encoding, logits: Logits, scorings: Sequence[FieldScoring]) -> GoldenRow:
    verdict = judge(logits, scorings).department
    ticket = row.row.ticket
    return GoldenRow(
        subject=ticket.subject,
        body=ticket.body,
        content_type=ticket.content_type,
        ids=encoding.ids,
        logits=tuple(float(value) for value in logits),
        outcome=verdict.outcome,
        label=verdict.candidates[0].label,
    )
