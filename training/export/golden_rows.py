"""Selects the golden rows from the validation rows, and writes their content."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.bundle.golden import GoldenRow
from models.encoding import Encoding
from models.scoring import FieldScoring, Logits, Outputs, familiarities, judge, probabilities, scope_scores
from models.text.prepare import prepare
from models.ticket import Ticket
from training.data.example import Example

GOLDEN_ROWS = 50
_MARGIN = 0.01
"""A golden row's confidence keeps this distance from every threshold: otherwise another processor's rounding (or
int8's) could make the service refuse a sound bundle."""
_SCOPE_MARGIN = 0.05
"""The same for the scope's score, in logits."""
_LONGEST_BODY = 5_000
_DECIMALS = 6


@dataclass(frozen=True, slots=True)
class Answers:
    """A graph's logits of some rows, [rows, labels], and the department's scoring that judges them."""

    logits: Logits
    department: FieldScoring


def choose_golden(
    rows: Sequence[Example],
    encodings: Sequence[Encoding],
    outputs: Outputs,
    department: FieldScoring,
    variants: Sequence[Answers] = (),
) -> list[GoldenRow]:
    """Up to GOLDEN_ROWS rows, evenly spaced over text lengths, from the shortest to the longest.

    `outputs` are torch's, judged by `department`. `variants` are the answers of the bundle's other graphs: a row with
    another verdict in one of them is no golden row.
    """
    graphs = (Answers(outputs.logits, department), *variants)
    settled = [
        n for n in range(len(rows)) if _suits(rows[n], [(graph.logits[n], graph.department) for graph in graphs])
    ]
    settled.sort(key=lambda number: len(encodings[number].ids))
    spread = np.unique(np.linspace(0, len(settled) - 1, min(GOLDEN_ROWS, len(settled))).round().astype(int))
    return [
        _golden(rows[n], encodings[n], Outputs(outputs.logits[n], outputs.pooled[n]), department)
        for n in (settled[i] for i in spread)
    ]


def rejudged(
    golden: Sequence[GoldenRow], department: FieldScoring, variants: Sequence[Answers] = ()
) -> list[GoldenRow]:
    """Golden rows under other thresholds, without those that are no longer clear of every threshold in every graph.

    Args:
        golden: the rows; their logits are the reference.
        department: the fp32 graph's scoring.
        variants: the answers of the bundle's other graphs to these rows.
    """
    reference = Answers(np.array([row.logits for row in golden], dtype=np.float32), department)
    kept = []
    for number, row in enumerate(golden):
        answers = [(graph.logits[number], graph.department) for graph in (reference, *variants)]
        if len({_verdict(*answer) for answer in answers}) == 1 and all(_is_clear(*answer) for answer in answers):
            outcome, label = _verdict(*answers[0])
            kept.append(row.model_copy(update={"outcome": outcome, "label": label}))
    return kept


def _suits(row: Example, answers: Sequence[tuple[Logits, FieldScoring]]) -> bool:
    alike = len({_verdict(logits, department) for logits, department in answers}) == 1
    clear = all(_is_clear(logits, department) for logits, department in answers)
    return alike and clear and len(row.ticket.body) <= _LONGEST_BODY and _needs_no_sender(row)


def _needs_no_sender(row: Example) -> bool:
    """A golden row has no addresses, and the text of a quoted thread can depend on the sender's."""
    ticket = row.ticket
    bare = Ticket(subject=ticket.subject, body=ticket.body, content_type=ticket.content_type)
    return not ticket.sender or prepare(bare).text == prepare(ticket).text


def _is_clear(logits: Logits, department: FieldScoring) -> bool:
    confidences = np.sort(probabilities(logits, department))
    levels = {level for t in department.thresholds for level in (t.route, t.suggest) if level is not None}
    far = all(abs(confidences[-1] - level) > _MARGIN for level in levels)
    if department.scope is not None:
        scope = department.scope
        score = float(scope_scores(logits, department.field, scope.similarity, scope.energy))
        far = far and abs(score - scope.threshold) > _SCOPE_MARGIN
        far = far and abs(float(familiarities(logits)) - scope.language) > _SCOPE_MARGIN
    return far and bool(confidences[-1] - confidences[-2] > _MARGIN)


def _verdict(logits: Logits, department: FieldScoring) -> tuple[str, str]:
    verdict = judge(logits, [department]).department
    return verdict.outcome, verdict.candidates[0].label if verdict.candidates else ""


def _golden(row: Example, encoding: Encoding, outputs: Outputs, department: FieldScoring) -> GoldenRow:
    outcome, label = _verdict(outputs.logits, department)
    ticket = row.ticket
    return GoldenRow(
        subject=ticket.subject,
        body=ticket.body,
        content_type=ticket.content_type,
        ids=encoding.ids,
        logits=tuple(float(value) for value in outputs.logits),
        pooled=tuple(round(float(value), _DECIMALS) for value in outputs.pooled),
        outcome=outcome,
        label=label,
    )
