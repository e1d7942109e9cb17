"""Trained network → its calibration, and its logits on every measuring part."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import FieldEntry, scorings_of
from models.scoring import FieldScoring, Logits, Outputs
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored
from training.run.dataset import Part
from training.run.trained import Learned


@dataclass(frozen=True, slots=True)
class Judged:
    """Each field's manifest entry and scoring, torch's logits by part, and its pooled vectors of the validation
    rows."""

    entries: tuple[FieldEntry, ...]
    scorings: tuple[FieldScoring, ...]
    logits: Mapping[str, Logits]
    parts: Mapping[str, Part]
    pooled: NDArray[np.float32]

    @property
    def validation(self) -> Outputs:
        return Outputs(self.logits["validation"], self.pooled)

    def scored(self, part: str, column: int) -> Scored:
        """A part's logits, with the labels of one field."""
        return Scored(self.logits[part], self.parts[part].labels[:, column])


def judge_learned(learned: Learned) -> Judged:
    """Predict every part except the training rows, and calibrate each field on two of them."""
    measured = {name: part for name, part in learned.parts.items() if name != "train" and part.rows}
    known = learned.candidate.outputs
    outputs = {
        name: known[name] if name in known else learned.outputs(part.encodings) for name, part in measured.items()
    }
    logits, pooled = {name: found.logits for name, found in outputs.items()}, outputs["validation"].pooled
    raw = Judged((), (), logits, learned.parts, pooled)
    space, recipe = learned.material.space, learned.request.recipe
    entries = tuple(
        calibrate_field(field, raw.scored("validation", column), raw.scored("calibration", column), recipe)
        for column, field in enumerate(space)
    )
    return Judged(entries, scorings_of(space, entries), logits, learned.parts, pooled)
