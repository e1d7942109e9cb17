"""Trained network → its calibration, and its logits on every measuring part."""

from collections.abc import Mapping
from dataclasses import dataclass

from models.bundle.manifest import FieldEntry, PromiseKind, scorings_of
from models.scoring import FieldScoring, Logits, Outputs
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored
from training.learn.head import mean_head
from training.run.dataset import Part
from training.run.trained import Learned, with_ngrams


@dataclass(frozen=True, slots=True)
class Judged:
    """Each field's manifest entry and scoring, torch's logits by part, and its outputs for the validation rows as they
    are served. Both differ for out-of-fold answers, which the served mean of the folds never gives."""

    entries: tuple[FieldEntry, ...]
    scorings: tuple[FieldScoring, ...]
    logits: Mapping[str, Logits]
    parts: Mapping[str, Part]
    served: Outputs

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
    logits, served = {name: found.logits for name, found in outputs.items()}, outputs["validation"]
    if learned.folds is not None:
        network = mean_head(learned.folds.heads).logits(served.pooled)
        served = served._replace(
            logits=with_ngrams(network, learned.candidate.ngrams, learned.parts["validation"].encodings)
        )
    kind: PromiseKind = "exact" if learned.folds is None else "measured"
    raw = Judged((), (), logits, learned.parts, served)
    space, recipe = learned.material.space, learned.request.recipe
    entries = tuple(
        calibrate_field(field, raw.scored("validation", column), raw.scored("calibration", column), recipe, kind)
        for column, field in enumerate(space)
    )
    return Judged(entries, scorings_of(space, entries), logits, learned.parts, served)
