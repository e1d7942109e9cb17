"""What fine-tuning says of itself: one entry per epoch. `measure.record` keeps them in `metrics.json`."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from models.bundle.manifest import Frozen


class EpochFigures(Frozen):
    """One epoch: the mean training loss, and macro-F1 of the department on the validation rows."""

    epoch: float
    loss: float | None
    macro_f1: float


def epoch_figures(log: Sequence[Mapping[str, Any]]) -> tuple[EpochFigures, ...]:
    """The epochs of a Trainer's log; each loss is the mean over the epoch's steps."""
    return tuple(_epochs(log))


def _epochs(log: Sequence[Mapping[str, Any]]) -> Iterator[EpochFigures]:
    total, steps, last = 0.0, 0, 0
    for entry in log:
        if "loss" in entry:  # the mean since the entry before
            total += entry["loss"] * (entry["step"] - last)
            steps += entry["step"] - last
            last = entry["step"]
        if "eval_macro_f1" in entry:
            loss = round(total / steps, 4) if steps else None
            yield EpochFigures(epoch=entry["epoch"], loss=loss, macro_f1=entry["eval_macro_f1"])
            total, steps = 0.0, 0
