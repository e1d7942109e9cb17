"""Request → dataset: the file's rows, checked against the contract, split, and encoded for the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.encoding import Encoder, Encoding
from models.errors import TicketRouterError
from models.fields import LabelSpace
from training.data.contract import Checked
from training.data.mail_noise import with_mail_frames
from training.data.prepared import MISSING, PreparedRow, label_numbers, prepare_rows
from training.data.source import read_tickets
from training.data.split import PARTS, Split, split_rows
from training.evaluation.label_errors import Suspect, find_suspects, without_suspects
from training.evaluation.metrics import UNKNOWN
from training.learn.base import resolve_base
from training.recipe import Recipe
from training.run.request import Say, TrainRequest

_JUDGED = ("calibration", "test")
OUTSIDE = "outside"
"""Rows that the labels file declares out of scope: measured, never learned."""


@dataclass(frozen=True, slots=True)
class Material:
    """The split rows, every field's labels among the training rows, out-of-scope rows, and suspect labels; `base` is
    the folder of the base encoder."""

    base: Path
    split: Split
    space: LabelSpace
    outside: tuple[PreparedRow, ...]
    suspects: tuple[Suspect, ...]


@dataclass(frozen=True, slots=True)
class Part:
    """One part of the rows as network input; labels [rows, fields], MISSING if a row has none."""

    rows: tuple[PreparedRow, ...]
    encodings: tuple[Encoding, ...]
    labels: NDArray[np.int64]

    @property
    def weights(self) -> NDArray[np.float32]:
        """The rows' weights in training, [rows]."""
        return np.array([item.weight for item in self.rows], dtype=np.float32)

    def where(self, chosen: NDArray[np.bool_]) -> "Part":
        """The rows where the mask [rows] is true."""
        places = np.flatnonzero(chosen).tolist()
        return Part(
            tuple(self.rows[place] for place in places),
            tuple(self.encodings[place] for place in places),
            self.labels[places],
        )


def read_material(request: TrainRequest, say: Say) -> Material:
    """Read, check and split the file, resolve the base encoder, and find suspect labels.

    Raises:
        TicketRouterError: the file breaks the contract, too few rows are left, or the base is not available.
    """
    checked, recipe = read_tickets(request.file, request.fields), request.recipe
    split = split_rows(checked.rows, recipe, recipe.seed)
    for line in checked.notes:
        say(line)
    # After the table, so that its errors come before a download; before the suspects, which take a while to find.
    base = resolve_base(request.base)
    suspects = find_suspects(split.parts, recipe.data.near_duplicates, recipe.seed)
    if recipe.data.exclude_suspects:
        split = _without(split, suspects)
    split = _counted(split, checked)
    for line in _summary_lines(split, suspects):
        say(line)
    return Material(base, split, label_space(split["train"], request.fields), outside_rows(checked), suspects)


def outside_rows(checked: Checked) -> tuple[PreparedRow, ...]:
    """The out-of-scope rows to measure on: the file's own test rows among them; all of them if there are none."""
    filled, _ = prepare_rows(checked.outside)
    return tuple(row for row in filled if row.row.split == "test") or tuple(filled)


def _without(split: Split, suspects: Sequence[Suspect]) -> Split:
    kept = without_suspects(split["train"], suspects)
    removed = split.removed.model_copy(update={"suspects": len(split["train"]) - len(kept)})
    return replace(split, parts={**split.parts, "train": kept}, removed=removed)


def _counted(split: Split, checked: Checked) -> Split:
    """Add the rows that the contract left out before the split."""
    counts = {name: getattr(checked, name) for name in ("retired", "not_closed", "unlabelled", "faulty")}
    return replace(split, removed=split.removed.model_copy(update=counts))


def _summary_lines(split: Split, suspects: Sequence[Suspect]) -> list[str]:
    counts = ", ".join(f"{len(split[part])} {part}" for part in PARTS)
    left_out = [f"{count} {name.replace('_', ' ')}" for name, count in split.removed if count and name != "conflicting"]
    order = "the newest are the test" if split.by_time else "drawn label by label"
    listed = f"; {len(suspects)} labels look wrong (the report lists them)" if suspects else ""
    return [f"data: {counts} ({order}); left out: {', '.join(left_out) or 'none'}{listed}", *split.advice]


def label_space(rows: Sequence[PreparedRow], fields: Sequence[str]) -> LabelSpace:
    """Each field's labels among these rows, in alphabetical order.

    Raises:
        TicketRouterError: a field has fewer than two.
    """
    values = {field: sorted({label for row in rows if (label := row.row.labels[field])}) for field in fields}
    for field, labels in values.items():
        if len(labels) < 2:
            raise TicketRouterError(f"field {field} has {len(labels)} value(s) in the training rows; it needs two")
    return LabelSpace.of(values)


def encode_parts(material: Material, encoder: Encoder, recipe: Recipe) -> Mapping[str, Part]:
    """Every part's token ids and label numbers; out-of-scope rows, if there are any, are a separate part.

    Training rows get copies inside the frame of a mail. Labels without training rows count as wrong in calibration and
    test, because such mail will arrive; in the other parts they are masked.
    """
    train = with_mail_frames(material.split["train"], recipe.data.mail_frames, recipe.seed)
    rows = {**material.split.parts, "train": train, **({OUTSIDE: material.outside} if material.outside else {})}
    return {
        part: encode_rows(rows[part], encoder, material.space, UNKNOWN if part in _JUDGED else MISSING) for part in rows
    }


def encode_rows(rows: tuple[PreparedRow, ...], encoder: Encoder, space: LabelSpace, unknown: int) -> Part:
    """One part's token ids and label numbers; `unknown` is the number of a label that the space lacks."""
    labels = np.stack([label_numbers(rows, field, unknown) for field in space], axis=1)
    return Part(rows, tuple(encoder.encode(row.text) for row in rows), labels)


def labelled(part: Part, column: int, field: str) -> tuple[list[str], list[str], list[float]]:
    """Texts, labels and weights of the same rows that the encoder learns from or is measured on."""
    rows = [row for row, number in zip(part.rows, part.labels[:, column], strict=True) if number != MISSING]
    return [row.text for row in rows], [str(row.row.labels[field]) for row in rows], [row.weight for row in rows]
