"""The ticket fields that a model predicts, and the position of their labels in the logits vector.

`department` always comes first; further fields (`priority`, `sentiment`, …) follow when the data has them. The labels
of all fields are concatenated, so one forward pass predicts every field (docs/adr/0002).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

DEPARTMENT = "department"
FIELD_NAME = r"^[a-z][a-z0-9_]{0,49}$"


@dataclass(frozen=True, slots=True)
class Field:
    """One predicted field: its ordered label catalogue and its slice of the logits."""

    name: str
    labels: tuple[str, ...]
    start: int

    @property
    def slice(self) -> slice:
        """Where this field's logits lie in the whole vector."""
        return slice(self.start, self.start + len(self.labels))


@dataclass(frozen=True, slots=True)
class LabelSpace:
    """The labels of all fields, concatenated; `size` is the width of the logits."""

    fields: tuple[Field, ...]

    @classmethod
    def of(cls, catalogues: Mapping[str, Sequence[str]]) -> "LabelSpace":
        """Concatenate the catalogues in their order.

        Raises:
            ValueError: `department` is not first, a catalogue has fewer than two labels, or a label is repeated.
        """
        if next(iter(catalogues), None) != DEPARTMENT:
            raise ValueError(f"the first field must be '{DEPARTMENT}'")
        fields: list[Field] = []
        start = 0
        for name, labels in catalogues.items():
            if len(labels) < 2:
                raise ValueError(f"field '{name}' needs at least two labels, it has {len(labels)}")
            if len(set(labels)) != len(labels):
                raise ValueError(f"field '{name}' has a label that stands twice")
            fields.append(Field(name, tuple(labels), start))
            start += len(labels)
        return cls(tuple(fields))

    @property
    def size(self) -> int:
        """The number of logits."""
        return sum(len(field.labels) for field in self.fields)

    @property
    def department(self) -> Field:
        return self.fields[0]

    @property
    def flat_labels(self) -> list[str]:
        """`field=label` for each logit: the names the encoder's own configuration carries."""
        return [f"{field.name}={label}" for field in self.fields for label in field.labels]

    def __iter__(self) -> Iterator[Field]:
        return iter(self.fields)
