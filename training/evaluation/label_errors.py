"""Rows with a probably wrong label, listed for people: cleanlab on out-of-sample probabilities.

A cheap model (TF-IDF and logistic regression) is cross-validated on the training rows; trained on all of them, it
scores the other parts. It never learns from measuring rows, so leaving suspects out of training does not bias the
calibration or the test. Confident learning: Northcutt et al., JAIR 2021.
"""

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Frozen
from models.fields import DEPARTMENT
from training.data.example import Example
from training.data.groups import near_duplicates, tied_groups

FOLDS = 5
MOST = 200
"""The longest list that a person can review."""
_SHARPNESS = 10.0
"""Inverse regularisation: flatter probabilities would mix wrong labels with uncertain ones."""


class Suspect(Frozen):
    """A row with a probably wrong label, by out-of-sample probabilities; the most probable mistakes come first."""

    line: int
    part: str
    label: str
    suggested: str
    quality: float
    """cleanlab's label quality, 0…1: the probability of the row's own label; low means suspicious."""


def find_suspects(
    parts: Mapping[str, Sequence[Example]], similarity: float, seed: int, field: str = DEPARTMENT
) -> tuple[Suspect, ...]:
    """At most MOST rows of all parts, most probable mistakes first; none if there are too few rows.

    Labels with fewer than FOLDS training rows are skipped: the cheap model cannot learn them.

    Args:
        parts: a split's rows by part.
        similarity: the recipe's threshold of near-duplicates; copies share a fold, otherwise a repeated mistake would
            confirm itself.
        seed: seed of the folds.
        field: the field to check.
    """
    counts = Counter(item.labels[field] for item in parts["train"])
    known = sorted(label for label, count in counts.items() if label is not None and count >= FOLDS)
    judged = {part: [item for item in rows if item.labels[field] in known] for part, rows in parts.items()}
    if len(known) < 2:
        return ()
    # Each row's fold, dealt out in turn label by label; related rows share a fold.
    groups = tied_groups(judged["train"], near_duplicates(judged["train"], similarity), requesters=True)
    random.Random(seed).shuffle(groups)
    groups.sort(key=lambda group: str(group[0].labels[field]))
    fold = {item.line: number % FOLDS for number, group in enumerate(groups) for item in group}
    folds = np.array([fold[item.line] for item in judged["train"]])
    found = [_out_of_fold(judged["train"], folds, known, field)]
    model = _fitted(judged["train"], field)
    others = [(part, item) for part, rows in judged.items() if part != "train" for item in rows]
    if others:
        found.append(_aligned(model, [item for _, item in others], known))
    placed = [("train", item) for item in judged["train"]] + others
    return _listed(placed, np.concatenate(found), known, field)


def without_suspects(rows: Sequence[Example], suspects: Sequence[Suspect]) -> tuple[Example, ...]:
    """The training rows without the suspects."""
    lines = {suspect.line for suspect in suspects if suspect.part == "train"}
    return tuple(item for item in rows if item.line not in lines)


def _out_of_fold(
    rows: Sequence[Example], folds: NDArray[np.int64], known: Sequence[str], field: str
) -> NDArray[np.float64]:
    """Each row's probabilities by a model trained without the row's fold, [rows, known]."""
    found = np.zeros((len(rows), len(known)))
    for fold in range(FOLDS):
        model = _fitted([item for item, own in zip(rows, folds, strict=True) if own != fold], field)
        left_out = [item for item, own in zip(rows, folds, strict=True) if own == fold]
        found[folds == fold] = _aligned(model, left_out, known)
    return found


def _fitted(rows: Sequence[Example], field: str) -> Any:
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode")
    model = make_pipeline(vectorizer, LogisticRegression(C=_SHARPNESS, max_iter=200))
    return model.fit([item.text for item in rows], [item.labels[field] for item in rows])


def _aligned(model: Any, rows: Sequence[Example], known: Sequence[str]) -> NDArray[np.float64]:
    """The model's probabilities over the known labels, [rows, known]; 0 for a label that was missing in its rows."""
    found = np.zeros((len(rows), len(known)))
    found[:, np.searchsorted(known, model.classes_)] = model.predict_proba([item.text for item in rows])
    return found


def _listed(
    placed: Sequence[tuple[str, Example]], probabilities: NDArray[np.float64], known: Sequence[str], field: str
) -> tuple[Suspect, ...]:
    from cleanlab.filter import find_label_issues
    from cleanlab.rank import get_label_quality_scores

    labels = np.searchsorted(known, [str(item.labels[field]) for _, item in placed])
    quality = get_label_quality_scores(labels, probabilities, method="self_confidence")
    # Confident learning estimates the number of wrong labels; the label quality selects them better than its own rules.
    doubtful = find_label_issues(labels, probabilities, filter_by="low_self_confidence", n_jobs=1)
    ranked = [number for number in np.argsort(quality, kind="stable") if doubtful[number]][:MOST]
    return tuple(
        Suspect(
            line=placed[number][1].line,
            part=placed[number][0],
            label=known[labels[number]],
            suggested=known[int(probabilities[number].argmax())],
            quality=float(quality[number]),
        )
        for number in ranked
    )
