"""Advice on the label catalogue: labels that overlap, are absorbed by another, lack rows, or are never automatic.

Advice for people; no label is merged or dropped automatically.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

from models.bundle.manifest import FieldEntry, Frozen
from training.evaluation.metrics import OTHER, FieldFigures

SCARCE = 30
"""A label with fewer training rows is rarely learned well: usually merge it, or leave it to people."""
OVERLAP = 0.1
"""Two labels overlap if at least this share of each label's rows goes to the other."""
SWALLOWED = 1 / 3
"""A label is absorbed by another if at least this share of its rows goes there."""
FEWEST = 3
"""With fewer confused tickets in one direction, a share is unreliable."""

Kind = Literal["overlap", "swallowed", "starving", "never_automatic"]


class Advice(Frozen):
    """One piece of advice on a field: the labels concerned, and a sentence with the figures."""

    field: str
    kind: Kind
    labels: tuple[str, ...]
    text: str


def advise(
    entry: FieldEntry, figures: FieldFigures, training_rows: Mapping[str, int] | None = None
) -> tuple[Advice, ...]:
    """Advice on one field's labels, from its measured figures and each label's number of training rows (None: not
    known)."""
    advice = list(_confusions(entry.name, figures))
    if training_rows is not None:
        counts = sorted((training_rows.get(label.name, 0), label.name) for label in entry.labels)
        if scarce := [(count, name) for count, name in counts if count < SCARCE]:
            least, names = scarce[0][0], tuple(name for _, name in scarce)
            text = f"Fewer than {SCARCE} training rows (least: {least}): add closed tickets, merge, or leave to people."
            advice.append(Advice(field=entry.name, kind="starving", labels=names, text=text))
    if never := tuple(label.name for label in entry.labels if label.route is None):
        share = sum(label.rows for label in figures.labels if label.label in never) / max(figures.rows, 1)
        text = f"Never routed without a person ({share:.0%} of tickets): add closed tickets, or promise less."
        advice.append(Advice(field=entry.name, kind="never_automatic", labels=never, text=text))
    return tuple(advice)


def _confusions(field: str, figures: FieldFigures) -> Iterator[Advice]:
    rows = {label.label: label.rows for label in figures.labels}
    wrong = {(wanted, predicted): count for wanted, predicted, count in figures.confused if wanted != OTHER}
    for (wanted, predicted), count in wrong.items():
        back = wrong.get((predicted, wanted), 0)
        there, behind = _weighty(count, rows[wanted], OVERLAP), _weighty(back, rows[predicted], OVERLAP)
        figure = f"{count} of {rows[wanted]} tickets go to the other"
        if there and behind and wanted < predicted:
            text = f"{figure}, {back} of {rows[predicted]} the other way. One label, or a clearer line between them?"
            yield Advice(field=field, kind="overlap", labels=(wanted, predicted), text=text)
        elif _weighty(count, rows[wanted], SWALLOWED) and not behind:
            text = f"{figure}, {back} come back. Is the first a part of the second, or too rarely seen?"
            yield Advice(field=field, kind="swallowed", labels=(wanted, predicted), text=text)


def _weighty(count: int, rows: int, share: float) -> bool:
    return count >= FEWEST and count >= share * rows
