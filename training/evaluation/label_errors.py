"""Rows with a probably wrong label, listed for people: cleanlab on out-of-sample probabilities.

A cheap model (TF-IDF and logistic regression) is cross-validated on the training rows; fitted to all of them, it
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
_MANY = 1_000
_FINE_ENOUGH = 1e-3
"""Of the fit: a tenth of it takes twice the time and lists the same rows."""


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
    train = judged["train"]
    others = [(part, item) for part, rows in judged.items() if part != "train" for item in rows]
    vectors, other_vectors = _vectors(train, [item for _, item in others])
    # Each row's fold, dealt out in turn label by label; related rows share a fold.
    groups = tied_groups(train, near_duplicates(train, similarity), requesters=True)
    random.Random(seed).shuffle(groups)
    groups.sort(key=lambda group: str(group[0].labels[field]))
    fold_of = {item.line: number % FOLDS for number, group in enumerate(groups) for item in group}
    folds = np.array([fold_of[item.line] for item in train])
    labels = np.array([item.labels[field] for item in train])
    found = np.zeros((len(train) + len(others), len(known)))
    for fold in range(FOLDS):
        own = folds == fold
        found[: len(train)][own] = _probabilities(vectors[~own], labels[~own], vectors[own], known)
    if others:
        found[len(train) :] = _probabilities(vectors, labels, other_vectors, known)
    return _listed([*(("train", item) for item in train), *others], found, known, field)


def without_suspects(rows: Sequence[Example], suspects: Sequence[Suspect]) -> tuple[Example, ...]:
    """The training rows without the suspects."""
    lines = {suspect.line for suspect in suspects if suspect.part == "train"}
    return tuple(item for item in rows if item.line not in lines)


def _vectors(train: Sequence[Example], others: Sequence[Example]) -> tuple[Any, Any]:
    """Sparse TF-IDF rows of both, weighted once on all training rows: no label takes part in them.

    Of _MANY rows and more, words and pairs in a single one are left out: they are most of the features of long texts,
    and hardly say anything about other rows (docs/log.md).
    """
    from sklearn.feature_extraction.text import TfidfVectorizer

    least = 2 if len(train) >= _MANY else 1
    vectorizer = TfidfVectorizer(
        ngram_range=(1, 2), sublinear_tf=True, strip_accents="unicode", min_df=least, dtype=np.float32
    )
    vectors = vectorizer.fit_transform([item.text for item in train])
    return vectors, vectorizer.transform([item.text for item in others]) if others else None


def _probabilities(vectors: Any, labels: NDArray[np.str_], asked: Any, known: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities over the known labels for the asked rows, [asked rows, known], by a logistic regression on
    `vectors` and `labels`; 0 for a label without a row there."""
    from sklearn.linear_model import LogisticRegression

    learner = LogisticRegression(C=_SHARPNESS, max_iter=200, tol=_FINE_ENOUGH).fit(vectors, labels)
    found = np.zeros((asked.shape[0], len(known)))
    found[:, np.searchsorted(known, learner.classes_)] = learner.predict_proba(asked)
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
