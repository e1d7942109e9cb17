"""Calibrated network → record: every figure for report, model card and promotion."""

import resource
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from models.fields import DEPARTMENT
from models.scoring import FieldVerdict, judge_batch
from training.calibration.precision_curve import TargetFigures, promise_curve
from training.calibration.remedies import find_remedies
from training.data.prepared import MISSING
from training.data.split import PARTS
from training.evaluation.advice import advise
from training.evaluation.baseline import baseline_figures, train_baseline
from training.evaluation.business_impact import effect
from training.evaluation.measured import predictions_of
from training.evaluation.metrics import AccuracyFigures, FieldFigures, accuracy_figures, field_figures, scope_figures
from training.evaluation.quantization_gate import VariantFigures
from training.evaluation.record import CostFigures, Findings, NgramFigures, Record, StageFigures
from training.evaluation.robustness.behavioural import RUN_LIMIT, behaviour
from training.evaluation.robustness.strangers import stranger_figures
from training.export.onnx import OnnxModel, Parity
from training.learn.linear.ngrams import telling_ngrams
from training.recipe import Recipe
from training.run.calibrated import Judged
from training.run.dataset import OUTSIDE, labelled
from training.run.trained import Folds, Learned


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
    baseline = _baseline(learned)
    baseline_stage = StageFigures(
        name="baseline", figures=baseline[DEPARTMENT], minutes=(time.monotonic() - begun) / 60
    )
    rows = {part: len(learned.material.split[part]) for part in PARTS}
    tickets = len({item.line for part in PARTS for item in learned.material.split[part]})  # in folds, rows do both
    figures = figures_of(judged)
    training_rows = {
        entry.name: Counter(
            label for row in learned.material.split["train"] if (label := row.labels[entry.name]) is not None
        )
        for entry in judged.entries
    }
    return Record(
        **dict(findings_of(judged, figures, served, learned.request.recipe, tickets, training_rows)),
        rows=rows,
        removed=learned.material.split.removed,
        epochs=learned.epochs,
        baseline=baseline,
        encoder=figures,
        beats_baseline=figures[DEPARTMENT]["validation"].macro_f1 > baseline[DEPARTMENT]["validation"].macro_f1,
        parity=parity,
        suspects=learned.material.suspects,
        variants=variants,
        cost=CostFigures(seconds=time.monotonic() - started, peak_megabytes=peak_megabytes()),
        stages=(baseline_stage, *learned.stages),
        kept=learned.kept,
        ngrams=_ngrams(learned),
    )


def findings_of(
    judged: Judged,
    figures: Mapping[str, Mapping[str, FieldFigures]],
    served: OnnxModel,
    recipe: Recipe,
    tickets: int,
    training_rows: Mapping[str, Mapping[str, int]] | None = None,
) -> Findings:
    """The findings on the test rows, or on the validation rows if there is no test.

    Args:
        judged: logits and calibration.
        figures: of `figures_of`.
        served: the fp32 graph.
        recipe: targets, effect and seed.
        tickets: rows of the run.
        training_rows: each label's number of training rows by field; None: no row trained.
    """
    part = "test" if "test" in judged.logits else "validation"
    measured = {
        scoring.field.name: predictions_of(judged.parts[part].examples, judged.scored(part, column), scoring)
        for column, scoring in enumerate(judged.scorings)
    }
    department = measured[DEPARTMENT]

    def answer(texts: Sequence[str]) -> list[FieldVerdict]:
        logits = served.logits([served.encoder.encode(text) for text in texts])
        return [verdict.department for verdict in judge_batch(logits, judged.scorings)]

    return Findings(
        slices={name: rows.slices() for name, rows in measured.items()},
        worst={name: rows.worst() for name, rows in measured.items()},
        targets={name: _targets(judged, column, part, recipe) for column, name in enumerate(measured)},
        advice=tuple(
            advice
            for entry in judged.entries
            if (found := figures[entry.name].get(part)) is not None
            for advice in advise(entry, found, training_rows[entry.name] if training_rows else None)
        ),
        scope=scope_figures(judged.entries[0], judged.scorings[0], department.logits, judged.logits.get(OUTSIDE)),
        effect=effect(department.outcomes, department.correct, recipe.effect),
        behaviour=behaviour(answer, judged.parts[part].examples, recipe.seed, RUN_LIMIT),
        strangers=stranger_figures(answer, recipe.seed),
        remedies=find_remedies(
            judged.scorings[0],
            judged.scored("validation", 0),
            judged.scored("calibration", 0),
            recipe,
            tickets,
            calibration_only=training_rows is None or judged.entries[0].promise.kind == "measured",
        ),
    )


def _ngrams(learned: Learned) -> NgramFigures | None:
    ngrams, shares = learned.candidate.ngrams, learned.candidate.shares
    if ngrams is None:
        return NgramFigures(ngrams=0, shares=shares) if shares else None
    department = learned.material.space.department
    telling = telling_ngrams(ngrams, department, learned.encoder) if shares[DEPARTMENT] else {}
    return NgramFigures(ngrams=len(ngrams.keys), shares=shares, telling=telling)


def figures_of(judged: Judged) -> dict[str, dict[str, FieldFigures]]:
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
        model = train_baseline(labelled(learned.parts["train"], column), field.name, learned.request.recipe.seed)
        rows = {part: labelled(learned.parts[part], column) for part in ("validation", "test")}
        result[field.name] = {
            part: baseline_figures(model, examples, field.name) for part, examples in rows.items() if examples
        }
        if learned.folds is not None:
            result[field.name]["validation"] = _baseline_in_folds(learned, learned.folds, column, field.name)
    return result


def _baseline_in_folds(learned: Learned, folds: Folds, column: int, field: str) -> AccuracyFigures:
    """The baseline's figures on the validation rows, each answered by a baseline fitted without the row's fold."""
    wanted: list[str] = []
    answers: list[str] = []
    for fold in np.unique(folds.numbers["validation"]):
        train = labelled(learned.parts["train"].where(folds.numbers["train"] != fold), column)
        model = train_baseline(train, field, learned.request.recipe.seed)
        left_out = labelled(learned.parts["validation"].where(folds.numbers["validation"] == fold), column)
        wanted += [str(example.labels[field]) for example in left_out]
        answers += model.predict([example.text for example in left_out]).tolist()
    return accuracy_figures(wanted, answers)


def _targets(judged: Judged, column: int, part: str, recipe: Recipe) -> tuple[TargetFigures, ...]:
    """Figures of other precision targets. On the validation rows they are a little optimistic: these chose the
    tests."""
    rows = {name: judged.scored(name, column) for name in ("validation", "calibration", part)}
    if not (rows[part].labels != MISSING).any():
        return ()
    field = judged.scorings[column].field
    return promise_curve(field, rows["validation"], rows["calibration"], rows[part], recipe)


def peak_megabytes() -> float:
    """The largest resident memory of this process so far, in MB of 10^6 bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak * (1 if sys.platform == "darwin" else 1024) / 1e6  # macOS counts bytes, Linux KiB
