"""Labels with too few training rows: found, named and not learned. Used by `split`."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from models.fields import DEPARTMENT
from training.data.example import Example

Scarce = Mapping[str, Mapping[str, int]]
"""By field, the labels that are not learned, with their training rows."""


def scarce_labels(parts: Mapping[str, Sequence[Example]], minimum: int) -> Scarce:
    """Every field's labels, of any part, with fewer than `minimum` training rows among the learned departments."""
    first = next((item for rows in parts.values() for item in rows), None)
    scarce: dict[str, Mapping[str, int]] = {}
    # The department first: rows of a scarce department are not learned, so they count for no other field.
    for field in sorted(first.labels if first else (), key=lambda name: name != DEPARTMENT):
        trained = Counter(item.labels[field] for item in without_scarce(parts["train"], scarce))
        labels = {label for rows in parts.values() for item in rows if (label := item.labels[field]) is not None}
        scarce[field] = {label: trained[label] for label in sorted(labels) if trained[label] < minimum}
    return scarce


def without_scarce(rows: Sequence[Example], scarce: Scarce) -> tuple[Example, ...]:
    """The rows of learned departments; in other fields a scarce value becomes missing."""
    kept = []
    for item in rows:
        if item.labels[DEPARTMENT] in scarce.get(DEPARTMENT, ()):
            continue
        labels = {field: None if value in scarce.get(field, ()) else value for field, value in item.labels.items()}
        kept.append(item if labels == item.labels else replace(item, labels=labels))
    return tuple(kept)


def scarce_advice(scarce: Scarce, minimum: int) -> Iterator[str]:
    for field, labels in scarce.items():
        if labels:
            named = ", ".join(f"{label} ({count})" for label, count in labels.items())
            yield (
                f"{field}: not learned, with fewer than {minimum} training rows: {named}; collect more, merge them, "
                "or leave them to people"
            )
