"""Figures of a field on some rows: quality, calibration, and the results of the bundle's thresholds."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import accuracy_score, f1_score, precision_recall_fscore_support

from models.bundle.manifest import FieldEntry, Frozen
from models.fields import Field
from models.scoring import FieldScoring, Logits, Outcome, in_scope, probabilities
from training.calibration.predictions import outcomes_of
from training.calibration.threshold_tests import precision_bound
from training.data.prepared import MISSING
from training.evaluation.intervals import share

ECE_BINS = 15
CURVE_POINTS = 100
UNKNOWN = -1
"""A label at close that the bundle does not know: every prediction is wrong."""
OTHER = "(not in the bundle)"


class AccuracyFigures(Frozen):
    """Accuracy and macro-F1 of one field on one part's rows."""

    accuracy: float
    macro_f1: float
    rows: int


class LabelFigures(Frozen):
    """One label's precision, recall and F1, its number of rows, and the share of them that is refused as strange."""

    label: str
    precision: float
    recall: float
    f1: float
    rows: int
    refused: float = 0.0


class OutcomeFigures(Frozen):
    """Outcomes of tickets under the thresholds. Shares are of all rows; None: nothing was routed or suggested."""

    routed: float
    suggested: float
    reviewed: float
    refused: float = 0.0
    """The part of `reviewed` that is strange (`language` and `out_of_scope`)."""
    route_precision: float | None
    route_precision_low: float | None
    """Lower 95 % bound (Clopper-Pearson) of the precision of the routed rows."""
    suggest_precision: float | None


class CurvePoint(Frozen):
    """The precision of routing this share of the tickets, highest confidence first."""

    coverage: float
    precision: float
    confidence: float


class ReliabilityBin(Frozen):
    """Rows of similar confidence: their mean confidence, and the share that was right."""

    confidence: float
    accuracy: float
    rows: int


class FieldFigures(Frozen):
    """One field's figures on one part's rows."""

    rows: int
    accuracy: float
    macro_f1: float
    ece: float
    outcomes: OutcomeFigures
    labels: tuple[LabelFigures, ...]
    confused: tuple[tuple[str, str, int], ...]
    """All confusions, most frequent first: label at close, predicted label, rows."""
    curve: tuple[CurvePoint, ...]
    reliability: tuple[ReliabilityBin, ...]


def field_figures(logits: Logits, labels: NDArray[np.int64], scoring: FieldScoring) -> FieldFigures | None:
    """Figures over the rows that have a label; None: no row has one.

    Args:
        logits: [rows, labels of all fields].
        labels: the field's, [rows]; MISSING: the row has no label.
        scoring: calibration and thresholds.
    """
    present = labels != MISSING
    if not present.any():
        return None
    confidences = probabilities(logits[present], scoring)
    wanted, predicted, confidence = labels[present], confidences.argmax(axis=1), confidences.max(axis=1)
    bins = reliability_bins(confidence, predicted == wanted)
    return FieldFigures(
        rows=len(wanted),
        accuracy=float(accuracy_score(wanted, predicted)),
        macro_f1=macro_f1(wanted, predicted),
        ece=sum(abs(b.confidence - b.accuracy) * b.rows for b in bins) / len(wanted),
        outcomes=outcome_figures(logits[present], predicted, wanted, scoring),
        labels=_label_figures(wanted, predicted, ~in_scope(logits[present], scoring), scoring.field),
        confused=_confused(wanted, predicted, scoring.field),
        curve=coverage_curve(confidence, predicted == wanted),
        reliability=bins,
    )


def accuracy_figures(wanted: Sequence[Any], predicted: Sequence[Any]) -> AccuracyFigures:
    """Accuracy, and macro-F1 over the labels that occur in these rows or in the answers; both [rows]."""
    return AccuracyFigures(
        accuracy=float(accuracy_score(wanted, predicted)),
        macro_f1=macro_f1(wanted, predicted),
        rows=len(wanted),
    )


def macro_f1(wanted: Sequence[Any], predicted: Sequence[Any]) -> float:
    """Mean F1 over the labels that occur at close or among the answers; a label unknown to the model counts 0."""
    return float(f1_score(wanted, predicted, average="macro", zero_division=0))


def coverage_curve(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> tuple[CurvePoint, ...]:
    """Precision against coverage at CURVE_POINTS evenly spaced coverages (El-Yaniv & Wiener, JMLR 2010)."""
    order = np.argsort(-confidence, kind="stable")
    right = np.cumsum(correct[order])
    counts = np.unique(np.linspace(1, len(order), min(CURVE_POINTS, len(order))).round().astype(int))
    return tuple(
        CurvePoint(
            coverage=float(count / len(order)),
            precision=float(right[count - 1] / count),
            confidence=float(confidence[order[count - 1]]),
        )
        for count in counts
    )


def reliability_bins(confidence: NDArray[np.float64], correct: NDArray[np.bool_]) -> tuple[ReliabilityBin, ...]:
    """Rows in 15 equal bins of confidence; the weighted gaps are the ECE (Naeini et al., AAAI 2015)."""
    bins = np.clip((confidence * ECE_BINS).astype(int), 0, ECE_BINS - 1)
    return tuple(
        ReliabilityBin(
            confidence=float(confidence[bins == number].mean()),
            accuracy=float(correct[bins == number].mean()),
            rows=int((bins == number).sum()),
        )
        for number in np.unique(bins)
    )


def outcome_figures(
    logits: Logits, predicted: NDArray[np.int64], wanted: NDArray[np.int64], scoring: FieldScoring
) -> OutcomeFigures:
    """Outcomes of rows with these logits [rows, labels of all fields], predicted and wanted labels [rows]."""
    outcomes = outcomes_of(logits, scoring)
    right = predicted == wanted
    routed, suggested = outcomes == Outcome.ROUTE, outcomes == Outcome.SUGGEST
    count = int(routed.sum())
    return OutcomeFigures(
        routed=float(routed.mean()),
        suggested=float(suggested.mean()),
        reviewed=float((outcomes == Outcome.REVIEW).mean()),
        refused=float((~in_scope(logits, scoring)).mean()),
        route_precision=float(right[routed].mean()) if count else None,
        route_precision_low=precision_bound(int(right[routed].sum()), count, 0.05) if count else None,
        suggest_precision=float(right[suggested].mean()) if suggested.any() else None,
    )


def _label_figures(
    wanted: NDArray[np.int64], predicted: NDArray[np.int64], refused: NDArray[np.bool_], field: Field
) -> tuple[LabelFigures, ...]:
    numbers = list(range(len(field.labels)))
    columns = precision_recall_fscore_support(wanted, predicted, labels=numbers, zero_division=0)
    strange = [float(refused[wanted == number].mean()) if (wanted == number).any() else 0.0 for number in numbers]
    return tuple(
        LabelFigures(label=label, precision=float(p), recall=float(r), f1=float(f), rows=int(n), refused=s)
        for label, p, r, f, n, s in zip(field.labels, *columns, strange, strict=True)
    )


def _confused(
    wanted: NDArray[np.int64], predicted: NDArray[np.int64], field: Field
) -> tuple[tuple[str, str, int], ...]:
    wrong = wanted != predicted
    names = [*field.labels, OTHER]  # index -1: a label at close that the bundle does not know
    pairs, counts = np.unique(np.stack([wanted[wrong], predicted[wrong]]), axis=1, return_counts=True)
    order: Sequence[int] = np.argsort(-counts, kind="stable").tolist()
    return tuple((names[pairs[0, i]], names[pairs[1, i]], int(counts[i])) for i in order)


class ScopeFigures(Frozen):
    """Out-of-scope detection: the requested share of refused mail, and the measured shares."""

    requested_refused: float
    refused: float
    """Share of the measured in-scope rows that are refused."""
    refused_high: float
    """The upper 95 % bound of that share (Wilson)."""
    outside_rows: int
    recall: float | None
    """Share of the out-of-scope rows that are refused; None: the data has none."""


def scope_figures(
    entry: FieldEntry, scoring: FieldScoring, inside: Logits, outside: Logits | None
) -> ScopeFigures | None:
    """None: the field has no scope, because detection is off or had too few rows.

    Args:
        entry: the department's, with the requested share.
        scoring: the department's.
        inside: logits of ordinary rows (at least one), [rows, labels of all fields].
        outside: logits of the out-of-scope rows; None: there are none.
    """
    if entry.scope is None:
        return None
    refused = share(int((~in_scope(inside, scoring)).sum()), len(inside))
    assert refused is not None  # `inside` has at least one row
    return ScopeFigures(
        requested_refused=entry.scope.refused,
        refused=refused.value,
        refused_high=refused.high,
        outside_rows=0 if outside is None else len(outside),
        recall=None if outside is None else float((~in_scope(outside, scoring)).mean()),
    )
