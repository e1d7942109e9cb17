"""Request → dataset: the file's rows, checked against the contract, split, and encoded for the network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.encoding import Encoder
from models.errors import TicketRouterError
from models.fields import LabelSpace
from training.data.contract import Checked
from training.data.example import Example
from training.data.mail_noise import with_mail_frames
from training.data.prepared import MISSING, label_numbers, prepare_rows
from training.data.source import read_tickets
from training.data.split import PARTS, Split, split_rows
from training.evaluation.label_errors import Suspect, find_suspects, without_suspects
from training.evaluation.metrics import UNKNOWN
from training.learn.base import resolve_base
from training.learn.rows import EncodedExamples
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
    outside: tuple[Example, ...]
    suspects: tuple[Suspect, ...]


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
    removed = {name: getattr(checked, name) for name in ("retired", "not_closed", "unlabelled", "faulty")}
    if recipe.data.exclude_suspects:
        train = without_suspects(split["train"], suspects)
        removed["suspects"] = len(split["train"]) - len(train)
        split = replace(split, parts={**split.parts, "train": train})
    split = replace(split, removed=split.removed.model_copy(update=removed))
    counts = ", ".join(f"{len(split[part])} {part}" for part in PARTS)
    left_out = [f"{count} {name.replace('_', ' ')}" for name, count in split.removed if count and name != "conflicting"]
    order = "the newest are the test" if split.by_time else "drawn label by label"
    listed = f"; {len(suspects)} labels look wrong (the report lists them)" if suspects else ""
    summary = f"data: {counts} ({order}); left out: {', '.join(left_out) or 'none'}{listed}"
    for line in (summary, *split.advice):
        say(line)
    return Material(base, split, label_space(split["train"], request.fields), outside_rows(checked), suspects)


def outside_rows(checked: Checked) -> tuple[Example, ...]:
    """The out-of-scope rows to measure on: the file's own test rows among them; all of them if there are none."""
    filled, _ = prepare_rows(checked.outside)
    return tuple(row for row in filled if row.split == "test") or tuple(filled)


def label_space(rows: Sequence[Example], fields: Sequence[str]) -> LabelSpace:
    """Each field's labels among these rows, in alphabetical order.

    Raises:
        TicketRouterError: a field has fewer than two.
    """
    values = {field: sorted({label for row in rows if (label := row.labels[field])}) for field in fields}
    for field, labels in values.items():
        if len(labels) < 2:
            raise TicketRouterError(f"field {field} has {len(labels)} value(s) in the training rows; it needs two")
    return LabelSpace.of(values)


def encode_parts(material: Material, encoder: Encoder, recipe: Recipe) -> Mapping[str, EncodedExamples]:
    """Every part's token ids and label numbers; out-of-scope rows, if there are any, are a separate part.

    Training rows get copies inside the frame of a mail. Labels without training rows count as wrong in calibration and
    test, because such mail will arrive; in the other parts they are masked.
    """
    train = with_mail_frames(material.split["train"], recipe.data.mail_frames, recipe.seed)
    rows = {**material.split.parts, "train": train, **({OUTSIDE: material.outside} if material.outside else {})}
    return {
        part: encode_rows(rows[part], encoder, material.space, UNKNOWN if part in _JUDGED else MISSING) for part in rows
    }


def encode_rows(examples: tuple[Example, ...], encoder: Encoder, space: LabelSpace, unknown: int) -> EncodedExamples:
    """Token ids and label numbers; `unknown` is the number of a label that the space lacks."""
    labels = np.stack([label_numbers(examples, field, unknown) for field in space], axis=1)
    return EncodedExamples(examples, tuple(encoder.encode(example.text) for example in examples), labels)


def labelled(rows: EncodedExamples, column: int) -> tuple[Example, ...]:
    """The rows that have a value of a field, by the field's number."""
    return rows.where(rows.labels[:, column] != MISSING).examples
