"""Trained network → its calibration, and its logits on every measuring part."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from models.bundle.manifest import FieldEntry, scorings_of
from models.scoring import FieldScoring, Logits, Outputs
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored
from training.learn.linear.head import mean_head
from training.learn.rows import EncodedExamples
from training.run.trained import Learned, with_ngrams, with_novelty


@dataclass(frozen=True, slots=True)
class Judged:
    """Each field's manifest entry and scoring, torch's logits by part, and its outputs for the validation rows as they
    are served. Both differ for out-of-fold answers, which the served mean of the folds never gives."""

    entries: tuple[FieldEntry, ...]
    scorings: tuple[FieldScoring, ...]
    logits: Mapping[str, Logits]
    parts: Mapping[str, EncodedExamples]
    served: Outputs

    def scored(self, part: str, column: int) -> Scored:
        """A part's logits, with the labels of one field."""
        return Scored(self.logits[part], self.parts[part].labels[:, column])


def judge_learned(learned: Learned) -> Judged:
    """Predict every part except the training rows, and calibrate each field on two of them."""
    measured = {name: part for name, part in learned.parts.items() if name != "train" and len(part)}
    known = learned.candidate.outputs
    folds = learned.folds
    outputs: dict[str, Outputs] = {}
    for name, part in measured.items():
        if name not in known:
            outputs[name] = learned.outputs(part.encodings)
        elif folds is not None and name in folds.numbers:
            novelty = folds.novelty(name, known[name].pooled, part.encodings)
            outputs[name] = known[name]._replace(logits=np.concatenate([known[name].logits, novelty], axis=1))
        else:
            outputs[name] = with_novelty(known[name], learned.novelty, part.encodings)
    logits, served = {name: found.logits for name, found in outputs.items()}, outputs["validation"]
    if folds is not None:
        encodings = learned.parts["validation"].encodings
        network = with_ngrams(mean_head(folds.heads).logits(served.pooled), learned.candidate.ngrams, encodings)
        served = with_novelty(served._replace(logits=network), learned.novelty, encodings)
    raw = Judged((), (), logits, learned.parts, served)
    space, recipe = learned.material.space, learned.request.recipe
    entries = tuple(
        calibrate_field(
            field, raw.scored("validation", column), raw.scored("calibration", column), recipe, learned.promise_kind
        )
        for column, field in enumerate(space)
    )
    return Judged(entries, scorings_of(space, entries), logits, learned.parts, served)
