"""A quick bundle from all rows: out-of-fold answers set the thresholds, and the mean of the folds' models is served.

Each row is answered by a model that was fitted without the row's fold. So every row can plan or test a threshold and
train as well: from 1,500 tickets, one split proves next to nothing. The served mean is better than each fold's model,
so the promise is measured, not exact (docs/training.md). Methods: Vovk, "Cross-conformal predictors", 2015; Barber et
al., "Predictive inference with the jackknife+", Annals of Statistics 2021.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from models.encoding import Encoder, Encoding
from models.errors import TicketRouterError
from models.scoring import Outputs
from training.data.draw import ALWAYS_TRAINED, draw_folds, sample_of_all
from training.data.mail_noise import framed_copies
from training.data.prepared import MISSING
from training.data.split import PARTS
from training.evaluation.metrics import UNKNOWN
from training.evaluation.record import StageFigures
from training.learn.classifier import TicketClassifier
from training.learn.finetune import predict_with_pooled
from training.learn.linear.head import fit_linear_head, mean_head, pooled
from training.learn.linear.ngrams import mean_ngrams
from training.learn.linear.novelty import Novelty
from training.recipe import Recipe
from training.run.dataset import OUTSIDE, Material, Part, encode_rows
from training.run.request import Say, TrainRequest
from training.run.trained import (
    Candidate,
    Folds,
    Learned,
    department_figures,
    factors_of,
    known_ngrams,
    novelty_of,
    shares_of,
    with_ngrams,
)

QUICK_FOLDS = 6
"""Of quick runs without `promise.folds`: with 3, each model lacks a third of the rows; more cost minutes."""
_LEAST_ROWS = 10
"""Rows of a fold."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """All rows but the test, and after them copies in mail frames.

    `encodings` and `labels` [rows and copies, fields] are for fitting (MISSING: not learned), `folds` and `weights`
    [rows and copies] are their folds and weights; a copy has its row's. `parts` are rows to measure, without copies:
    those of the planning folds (validation), of the others (calibration), and all that are learned (train); `masks`
    [rows] choose them. Only rows that stand for all mail plan and test.
    """

    encodings: Sequence[Encoding]
    labels: NDArray[np.int64]
    folds: NDArray[np.int64]
    weights: NDArray[np.float32]
    parts: Mapping[str, Part]
    masks: Mapping[str, NDArray[np.bool_]]


def learn_in_folds(
    request: TrainRequest,
    base: Path,
    model: TicketClassifier,
    encoder: Encoder,
    material: Material,
    count: int,
    say: Say,
) -> Learned:
    """Fit a linear head and the n-grams once per fold; put the mean of the heads into `model`.

    The result's training rows are all rows but the test, its validation rows those of the planning folds, its
    calibration rows those of the other folds.

    Raises:
        TicketRouterError: the rows are too few for this number of folds.
    """
    started = time.monotonic()
    space, recipe = material.space, request.recipe
    pool = _pool_of(material, encoder, recipe, count, say)
    vectors = pooled(model, encoder, pool.encodings)
    learned = pool.labels[:, 0] != MISSING
    known = known_ngrams(model, encoder, space, pool.encodings, recipe, say)
    heads, ngrams, novelties = [], [], []
    for fold in range(count):
        rows = np.flatnonzero((pool.folds != fold) & learned)
        heads.append(fit_linear_head(space, vectors[rows], pool.labels[rows], pool.weights[rows]))
        novelties.append(_novelty(model, encoder, pool, vectors, rows))
        if known is not None:
            ngrams.append(known.fit(pool.labels, space, recipe.seed, rows, pool.weights))
    numbers = {part: pool.folds[: len(mask)][mask] for part, mask in pool.masks.items()}
    raw = Folds(tuple(heads), tuple(ngrams), tuple(novelties), numbers)
    measured = ("validation", "calibration")
    own = vectors[: len(pool.masks["train"])]
    inside = {part: own[pool.masks[part]] for part in measured}
    network = {part: raw.network(part, inside[part]) for part in measured}
    words = {part: raw.words(part, pool.parts[part].encodings) for part in measured}
    shares: dict[str, float] = {}
    factors = np.zeros(space.size, np.float32)
    if raw.ngrams:
        planned = pool.parts["validation"].labels
        fitted = shares_of(network["validation"], words["validation"], planned, space)
        shares = {name: share.factor for name, share in fitted.items()}
        factors = factors_of(shares, space)
    folds = replace(raw, ngrams=tuple(each.scaled(factors) for each in raw.ngrams) if factors.any() else ())
    served = mean_ngrams(folds.ngrams) if folds.ngrams else None
    mean_head(raw.heads).put_into(model)

    parts = {**pool.parts, "test": encode_rows(material.split["test"], encoder, space, UNKNOWN)}
    if material.outside:
        parts[OUTSIDE] = encode_rows(material.outside, encoder, space, MISSING)
    outputs = {part: Outputs(network[part] + factors * words[part], inside[part]) for part in measured}
    stages = {"n-grams": words, "frozen encoder": network}
    if parts["test"].rows:
        test = predict_with_pooled(model, encoder, parts["test"].encodings)
        outputs["test"] = test._replace(logits=with_ngrams(test.logits, served, parts["test"].encodings))
        network["test"] = test.logits
        if raw.ngrams:
            words["test"] = mean_ngrams(raw.ngrams).logits(parts["test"].encodings)
    stages["quick"] = {part: found.logits for part, found in outputs.items()}
    minutes = (time.monotonic() - started) / 60
    figures = {
        name: {part: department_figures(logits[part], parts[part], space) for part in logits if part != "calibration"}
        for name, logits in stages.items()
    }
    candidate = Candidate(served, shares, figures["frozen encoder"], figures["quick"], outputs)
    split = replace(material.split, parts={name: parts[name].rows for name in PARTS})
    return Learned(
        request,
        base,
        model,
        encoder,
        replace(material, split=split),
        parts,
        (),
        candidate,
        "quick",
        tuple(
            StageFigures(name=name, figures=figures[name], minutes=minutes)
            for name in ("n-grams", "frozen encoder", "quick")
            if raw.ngrams or name != "n-grams"
        ),
        _novelty(model, encoder, pool, vectors, np.flatnonzero(learned)),
        folds,
    )


def _pool_of(material: Material, encoder: Encoder, recipe: Recipe, count: int, say: Say) -> _Pool:
    space, split = material.space, material.split
    rows = (*split["train"], *split["validation"], *split["calibration"], *split.unlearned)
    if len(rows) < _LEAST_ROWS * count:
        raise TicketRouterError(
            f"promise.folds: {count} folds need {_LEAST_ROWS * count} rows, there are {len(rows)}: add closed tickets, "
            "or set it to 0"
        )
    whole = encode_rows(rows, encoder, space, UNKNOWN)
    if np.unique(whole.labels[:, 0], return_counts=True)[1].max() < count:
        raise TicketRouterError(
            f"promise.folds: no department has {count} rows, one for each fold: add closed tickets, or set it to 0"
        )
    folds = draw_folds([item.row.line for item in rows], whole.labels, split.groups, count, recipe.seed)
    alone = sorted({space.department.labels[label] for label in whole.labels[folds == ALWAYS_TRAINED, 0] if label >= 0})
    if alone:
        say(f"promise: all rows of one fold, so learned and not tested: {', '.join(alone)}")
    lines = {item.row.line for item in sample_of_all(rows)}
    sampled = np.array([item.row.line in lines for item in rows])
    planning, testing = sampled & (folds >= 0) & (folds < count // 3), sampled & (folds >= count // 3)
    say(f"promise: out-of-fold answers, {count} folds; {planning.sum()} rows plan it, {testing.sum()} test it")
    framed = framed_copies(rows, recipe.data.mail_frames, recipe.seed)
    copies = encode_rows(tuple(copy for _, copy in framed), encoder, space, UNKNOWN)
    origins = [number for number, _ in framed]
    labels = np.concatenate([whole.labels, whole.labels[origins]])
    labels = np.where(labels == UNKNOWN, MISSING, labels)
    masks = {"train": labels[: len(rows), 0] != MISSING, "validation": planning, "calibration": testing}
    # Unknown labels are wrong where they test, and missing where they plan: temperature and shares cannot use them.
    known = replace(whole, labels=labels[: len(rows)])
    parts = {part: (whole if part == "calibration" else known).where(mask) for part, mask in masks.items()}
    encodings = (*whole.encodings, *copies.encodings)
    weights = np.concatenate([whole.weights, copies.weights])
    return _Pool(encodings, labels, np.concatenate([folds, folds[origins]]), weights, parts, masks)


def _novelty(
    model: TicketClassifier, encoder: Encoder, pool: _Pool, vectors: NDArray[np.float32], rows: NDArray[np.int64]
) -> Novelty:
    encodings = [pool.encodings[row] for row in rows.tolist()]
    return novelty_of(model, encoder, encodings, vectors[rows], pool.labels[rows, 0])
