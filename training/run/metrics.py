"""Calibrated network → record: every figure for report, model card and promotion."""

import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np

from models.fields import DEPARTMENT
from models.scoring import FieldVerdict, judge
from training.calibration.precision_curve import TargetFigures, promise_curve
from training.data.prepared import MISSING
from training.data.split import PARTS
from training.evaluation.advice import Advice, advise
from training.evaluation.baseline import baseline_figures, train_baseline
from training.evaluation.business_impact import effect
from training.evaluation.measured import MeasuredRows, measured_rows
from training.evaluation.metrics import AccuracyFigures, FieldFigures, accuracy_figures, field_figures, scope_figures
from training.evaluation.quantization_gate import VariantFigures
from training.evaluation.record import CostFigures, NgramFigures, Record, StageFigures
from training.evaluation.robustness.behavioural import behaviour
from training.evaluation.robustness.strangers import stranger_figures
from training.export.onnx import OnnxModel, Parity
from training.learn.linear.ngrams import telling_ngrams
from training.run.calibrated import Judged
from training.run.dataset import OUTSIDE, labelled
from training.run.trained import Folds, Learned

BEHAVIOUR_ROWS = 200
"""Enough rows to see a change that affects one ticket in fifty; each is tested eight times."""


def record_of(
    learned: Learned,
    judged: Judged,
    served: OnnxModel,
    parity: Parity,
    variants: tuple[VariantFigures, ...],
    started: float,
) -> Record:
    """All findings of a run that began at `started` (of `time.monotonic`); `served` is its fp32 graph."""
    begun = time.monotonic()
    figures, baseline = _figures(judged), _baseline(learned)
    baseline_stage = StageFigures(
        name="baseline", figures=baseline[DEPARTMENT], minutes=(time.monotonic() - begun) / 60
    )
    part = "test" if "test" in judged.logits else "validation"
    measured = [_measured(judged, column, part) for column in range(len(judged.scorings))]
    names = [scoring.field.name for scoring in judged.scorings]
    answer = partial(_answers, learned, judged, served)
    return Record(
        rows={part: len(learned.material.split[part]) for part in PARTS},
        removed=learned.material.split.removed,
        epochs=learned.epochs,
        baseline=baseline,
        encoder=figures,
        beats_baseline=figures[DEPARTMENT]["validation"].macro_f1 > baseline[DEPARTMENT]["validation"].macro_f1,
        parity=parity,
        suspects=learned.material.suspects,
        variants=variants,
        cost=CostFigures(seconds=time.monotonic() - started, peak_megabytes=peak_megabytes()),
        slices={name: rows.slices() for name, rows in zip(names, measured, strict=True)},
        worst={name: rows.worst() for name, rows in zip(names, measured, strict=True)},
        targets={name: _targets(learned, judged, column, part) for column, name in enumerate(names)},
        advice=_all_advice(learned, judged, figures, part),
        scope=scope_figures(judged.entries[0], judged.scorings[0], measured[0].logits, judged.logits.get(OUTSIDE)),
        effect=effect(measured[0].outcomes, measured[0].correct, learned.request.recipe.effect),
        behaviour=behaviour(answer, judged.parts[part].rows, learned.request.recipe.seed, BEHAVIOUR_ROWS),
        strangers=stranger_figures(answer, learned.request.recipe.seed),
        stages=(baseline_stage, *learned.stages),
        kept=learned.kept,
        ngrams=_ngrams(learned),
    )


def _ngrams(learned: Learned) -> NgramFigures | None:
    ngrams, shares = learned.candidate.ngrams, learned.candidate.shares
    if ngrams is None:
        return NgramFigures(ngrams=0, shares=shares) if shares else None
    department = learned.material.space.department
    telling = telling_ngrams(ngrams, department, learned.encoder) if shares[DEPARTMENT] else {}
    return NgramFigures(ngrams=len(ngrams.keys), shares=shares, telling=telling)


def _measured(judged: Judged, column: int, part: str) -> MeasuredRows:
    return measured_rows(judged.parts[part].rows, judged.scored(part, column), judged.scorings[column])


def _figures(judged: Judged) -> dict[str, dict[str, FieldFigures]]:
    """The encoder's figures by field and part."""
    return {
        scoring.field.name: {
            name: found
            for name, logits in judged.logits.items()
            if name != OUTSIDE
            and (found := field_figures(logits, judged.parts[name].labels[:, column], scoring)) is not None
        }
        for column, scoring in enumerate(judged.scorings)
    }


def _baseline(learned: Learned) -> dict[str, dict[str, AccuracyFigures]]:
    """The baseline's figures by field and part."""
    result: dict[str, dict[str, AccuracyFigures]] = {}
    for column, field in enumerate(learned.material.space):
        texts, labels = labelled(learned.parts["train"], column, field.name)
        model = train_baseline(texts, labels, learned.request.recipe.seed)
        rows = {part: labelled(learned.parts[part], column, field.name) for part in ("validation", "test")}
        result[field.name] = {part: baseline_figures(model, *found) for part, found in rows.items() if found[0]}
        if learned.folds is not None:
            result[field.name]["validation"] = _baseline_in_folds(learned, learned.folds, column, field.name)
    return result


def _baseline_in_folds(learned: Learned, folds: Folds, column: int, field: str) -> AccuracyFigures:
    """The baseline's figures on the validation rows, each answered by a baseline fitted without the row's fold."""
    wanted: list[str] = []
    answers: list[str] = []
    for fold in np.unique(folds.numbers["validation"]):
        train = labelled(learned.parts["train"].where(folds.numbers["train"] != fold), column, field)
        model = train_baseline(*train, learned.request.recipe.seed)
        texts, labels = labelled(learned.parts["validation"].where(folds.numbers["validation"] == fold), column, field)
        wanted += labels
        answers += model.predict(texts).tolist()
    return accuracy_figures(wanted, answers)


def _targets(learned: Learned, judged: Judged, column: int, part: str) -> tuple[TargetFigures, ...]:
    """Figures of other precision targets. On the validation rows they are a little optimistic: these chose the
    tests."""
    rows = {name: judged.scored(name, column) for name in ("validation", "calibration", part)}
    if not (rows[part].labels != MISSING).any():
        return ()
    field = judged.scorings[column].field
    return promise_curve(field, rows["validation"], rows["calibration"], rows[part], learned.request.recipe)


def _all_advice(
    learned: Learned, judged: Judged, figures: Mapping[str, Mapping[str, FieldFigures]], part: str
) -> tuple[Advice, ...]:
    return tuple(
        advice
        for entry in judged.entries
        if (found := figures[entry.name].get(part)) is not None
        for advice in advise(entry, found, _training_rows(learned, entry.name))
    )


def _training_rows(learned: Learned, field: str) -> Mapping[str, int]:
    return Counter(label for row in learned.material.split["train"] if (label := row.row.labels[field]) is not None)


def _answers(learned: Learned, judged: Judged, served: OnnxModel, texts: Sequence[str]) -> list[FieldVerdict]:
    """The served department verdicts on prepared texts."""
    logits = served.logits([learned.encoder.encode(text) for text in texts])
    return [judge(row, judged.scorings).department for row in logits]


def peak_megabytes() -> float:
    """The largest resident memory of this process so far, in MB of 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6  # macOS counts bytes, Linux KiB
