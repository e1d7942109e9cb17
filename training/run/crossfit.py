"""A bundle from all rows: out-of-fold answers set the thresholds, and the mean of the folds' networks is served.

Each row is answered by a network that was fitted without the row's fold. So every row can plan or test a threshold and
train as well: from 1,500 tickets, one split proves next to nothing. The served mean is better than each fold's network,
so the promise is measured, not exact (docs/training.md). Methods: Vovk, "Cross-conformal predictors", 2015; Barber et
al., "Predictive inference with the jackknife+", Annals of Statistics 2021.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from transformers import TrainerCallback

from models.encoding import Encoder
from models.errors import TicketRouterError
from models.scoring import Outputs
from training.data.draw import ALWAYS_TRAINED, draw_folds, sample_of_all
from training.data.mail_noise import framed_copies
from training.data.prepared import MISSING
from training.data.split import PARTS
from training.evaluation.metrics import UNKNOWN
from training.evaluation.record import StageFigures, StageName
from training.learn.checkpoints import FOLD
from training.learn.classifier import TicketClassifier, load_classifier, seeded
from training.learn.distributed import processes
from training.learn.ensemble import ensemble_of
from training.learn.finetune import EpochFigures, finetune, predict_with_pooled
from training.learn.general import TrainingData, read_general
from training.learn.linear.head import LinearHead, fit_linear_head, mean_head, pooled, start_at_centroids
from training.learn.linear.ngrams import NgramModel, mean_ngrams
from training.learn.linear.novelty import Novelty
from training.learn.optimizer import encoder_weights
from training.learn.rows import EncodedExamples
from training.recipe import Recipe
from training.run.dataset import OUTSIDE, Material, encode_rows
from training.run.request import Say, TrainRequest
from training.run.trained import (
    Candidate,
    Folds,
    Learned,
    department_figures,
    factors_of,
    known_ngrams,
    novelty_of,
    settle_base_share,
    shares_of,
    with_ngrams,
)

QUICK_FOLDS = 6
"""Of quick runs without `promise.folds`: with 3, each model lacks a third of the rows; more cost minutes."""
_LEAST_ROWS = 10
"""Rows of a fold."""
_LARGEST_GRAPH = 2_000_000_000
"""Bytes of weights in an ONNX file: protobuf ends at 2 GiB."""


@dataclass(frozen=True, slots=True)
class _Pool:
    """All rows but the test, and after them copies in mail frames.

    `rows` are for fitting (MISSING: not learned), `folds` [rows and copies] are their folds; a copy has its row's.
    Fine-tuning chooses its epoch on rows with `watched` [rows and copies] and does not learn them. `parts` are rows to
    measure, without copies: those of the planning folds (validation), of the others (calibration), and all that are
    learned (train); `masks` [rows] choose them. Only rows that stand for all mail plan and test.
    """

    rows: EncodedExamples
    folds: NDArray[np.int64]
    watched: NDArray[np.bool_]
    parts: Mapping[str, EncodedExamples]
    masks: Mapping[str, NDArray[np.bool_]]

    @property
    def learned(self) -> NDArray[np.bool_]:
        """Whether a row or copy has a department to learn, [rows and copies]."""
        return np.not_equal(self.rows.labels[:, 0], MISSING)

    def outside(self, fold: int) -> NDArray[np.int64]:
        """The places of the rows and copies to fit without a fold."""
        return np.flatnonzero((self.folds != fold) & self.learned)

    def divided(self, fold: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """The places of the rows and copies to fine-tune on without a fold, and of the rows that choose the epoch."""
        places = self.outside(fold)
        watched, labels = self.watched[places], self.rows.labels[places]
        for column in range(labels.shape[1]):  # a label that would have no row to learn keeps all of its rows
            watched &= np.isin(labels[:, column], labels[~watched, column])
        originals = places < len(self.masks["train"])
        return places[~watched], places[watched & originals]


@dataclass(frozen=True, slots=True)
class _Networks:
    """The folds' networks as one: `model` has their mean logits, `vectors` [rows and copies, width] are its pooled
    vectors.

    `heads` [folds] are the networks' own heads on such a vector, `views` [folds, width] are 1 in the share of it that
    is the network's and 0 elsewhere. `names` are the stages without and with the n-grams.
    """

    model: TicketClassifier
    vectors: NDArray[np.float32]
    heads: tuple[LinearHead, ...]
    views: NDArray[np.float32]
    names: tuple[StageName, StageName]


@dataclass(frozen=True, slots=True)
class FoldRun:
    """One run in `count` folds of all rows but the test.

    Its results' training rows are all of these, their validation rows those of the planning folds, their calibration
    rows those of the other folds.
    """

    request: TrainRequest
    encoder: Encoder
    material: Material
    count: int
    say: Say

    def learn(self, folder: Path, callbacks: Sequence[TrainerCallback] = ()) -> Learned:
        """Fit a linear head on the base encoder and the n-grams once per fold; unless the request is quick, fine-tune
        an encoder per fold as well, with checkpoints in `folder`. The fine-tuned ones are kept if they beat the quick
        ones on the planning rows.

        Raises:
            TicketRouterError: the rows are too few for this number of folds, or the encoders too large for one graph.
        """
        started = time.monotonic()
        space, recipe = self.material.space, self.request.recipe
        model = load_classifier(self.material.base, space, recipe)
        if not self.request.quick:
            self._refuse_encoders(model)
        pool = _pool_of(self.material, self.encoder, recipe, self.count, self.say)
        vectors = pooled(model, self.encoder, pool.rows.encodings)
        known = known_ngrams(model, self.encoder, space, pool.rows.encodings, recipe, self.say)
        heads, ngrams = [], []
        for fold in range(self.count):
            rows = pool.outside(fold)
            heads.append(fit_linear_head(space, vectors[rows], pool.rows.labels[rows], pool.rows.weights[rows]))
            if known is not None:
                ngrams.append(known.fit(pool.rows.labels, space, recipe.seed, rows, pool.rows.weights))
        mean_head(heads).put_into(model)
        views = np.ones((self.count, vectors.shape[1]), np.float32)
        networks = _Networks(model, vectors, tuple(heads), views, ("frozen encoder", "quick"))
        quick = self._learned(pool, networks, tuple(ngrams), started)
        if self.request.quick:
            return quick

        self.say(
            f"encoder: {self.count} folds, each fine-tunes {self.request.base}, up to {recipe.epochs} epochs; to beat: "
            f"macro-F1 {quick.candidate.macro_f1:.3f}"
        )
        networks, epochs = self._fine_tuned(pool, vectors, folder, callbacks)
        full = self._learned(pool, networks, tuple(ngrams), started)
        stages = (*quick.stages, *full.stages[-2:])
        if full.candidate.macro_f1 > quick.candidate.macro_f1:
            return replace(full, epochs=epochs, stages=stages)
        self.say("the fine-tuned networks do not beat the quick one on the planning rows: the quick one is kept")
        return replace(quick, epochs=epochs, stages=stages)

    def _refuse_encoders(self, model: TicketClassifier) -> None:
        size = self.count * sum(value.numel() * value.element_size() for value in model.parameters())
        if size > _LARGEST_GRAPH:
            raise TicketRouterError(
                f"promise.folds: {self.count} networks of {self.request.base} are {size / 1e9:.1f} GB, and an ONNX "
                "file holds 2; set fewer folds, or choose a smaller --base"
            )
        if processes() > 1:
            raise TicketRouterError("promise.folds: fine-tuning in folds has one process; start it without torchrun")

    def _fine_tuned(
        self, pool: _Pool, vectors: NDArray[np.float32], folder: Path, callbacks: Sequence[TrainerCallback]
    ) -> tuple[_Networks, tuple[EpochFigures, ...]]:
        """Networks fine-tuned without their folds' rows, and the epochs of the first."""
        space, recipe = self.material.space, self.request.recipe
        general = read_general(recipe)
        networks, epochs = [], []
        for fold in range(self.count):
            rows, watched = pool.divided(fold)
            if not len(watched):
                raise TicketRouterError(
                    f"promise.folds: no validation row is outside fold {fold + 1}; add closed tickets, or set it to 0"
                )
            train, validation = pool.rows.at(rows), pool.rows.at(watched)
            self.say(f"encoder: fold {fold + 1} of {self.count}, {len(train)} rows")
            seeded(recipe.seed)  # a resumed run does not train finished folds again: the next must not depend on them
            network = load_classifier(self.material.base, space, recipe)
            if recipe.head_start == "centroids":
                start_at_centroids(network, space, vectors[rows], train)
            weights = encoder_weights(network)
            place = folder / f"{FOLD}{fold}"
            data = TrainingData(self.encoder, space, train, validation, general)
            epochs.append(finetune(network, data, recipe, place, callbacks))
            settle_base_share(network, weights, data, None, recipe)
            networks.append(network)
        model, heads = ensemble_of(networks)
        views = np.repeat(np.eye(self.count, dtype=np.float32), vectors.shape[1], axis=1)
        vectors = pooled(model, self.encoder, pool.rows.encodings)
        return _Networks(model, vectors, heads, views, ("encoder", "full")), epochs[0]

    def _learned(self, pool: _Pool, networks: _Networks, ngrams: tuple[NgramModel, ...], started: float) -> Learned:
        """The mean of the networks with the n-grams beside them, and the out-of-fold answers of its rows."""
        space, encoder, model = self.material.space, self.encoder, networks.model
        vectors = networks.vectors
        numbers = {part: pool.folds[: len(mask)][mask] for part, mask in pool.masks.items()}
        novelties = []
        for fold, view in enumerate(networks.views):
            novelty = self._novelty(pool, model, vectors * view, pool.outside(fold))
            # A network's share of a vector of length 1 is shorter: with this factor, its cosine is as large as its own.
            novelties.append(replace(novelty, centres=novelty.centres * np.sqrt(len(view) / view.sum())))
        raw = Folds(networks.heads, ngrams, tuple(novelties), numbers)
        measured = ("validation", "calibration")
        own = vectors[: len(pool.masks["train"])]
        inside = {part: own[pool.masks[part]] for part in measured}
        network = {part: raw.network(part, inside[part]) for part in measured}
        words = {part: raw.words(part, pool.parts[part].encodings) for part in measured}
        shares: dict[str, float] = {}
        factors = np.zeros(space.size, np.float32)
        if ngrams:
            planned = pool.parts["validation"].labels
            fitted = shares_of(network["validation"], words["validation"], planned, space)
            shares = {name: share.factor for name, share in fitted.items()}
            factors = factors_of(shares, space)
        folds = replace(raw, ngrams=tuple(each.scaled(factors) for each in ngrams) if factors.any() else ())
        served = mean_ngrams(folds.ngrams) if folds.ngrams else None

        parts = {**pool.parts, "test": encode_rows(self.material.split["test"], encoder, space, UNKNOWN)}
        if self.material.outside:
            parts[OUTSIDE] = encode_rows(self.material.outside, encoder, space, MISSING)
        outputs = {part: Outputs(network[part] + factors * words[part], inside[part]) for part in measured}
        if len(parts["test"]):
            test = predict_with_pooled(model, encoder, parts["test"].encodings)
            outputs["test"] = test._replace(logits=with_ngrams(test.logits, served, parts["test"].encodings))
            network["test"] = test.logits
            if ngrams:
                words["test"] = mean_ngrams(ngrams).logits(parts["test"].encodings)
        alone, together = networks.names
        stages = {**({"n-grams": words} if ngrams and alone == "frozen encoder" else {}), alone: network}
        stages[together] = {part: found.logits for part, found in outputs.items()}
        minutes = (time.monotonic() - started) / 60
        figures = {
            name: {
                part: department_figures(logits[part], parts[part], space) for part in logits if part != "calibration"
            }
            for name, logits in stages.items()
        }
        split = replace(self.material.split, parts={name: parts[name].examples for name in PARTS})
        return Learned(
            self.request,
            self.material.base,
            model,
            encoder,
            replace(self.material, split=split),
            parts,
            (),
            Candidate(served, shares, figures[alone], figures[together], outputs),
            together,
            tuple(StageFigures(name=name, figures=found, minutes=minutes) for name, found in figures.items()),
            self._novelty(pool, model, vectors, np.flatnonzero(pool.learned)),
            folds,
        )

    def _novelty(
        self, pool: _Pool, model: TicketClassifier, vectors: NDArray[np.float32], rows: NDArray[np.int64]
    ) -> Novelty:
        encodings = [pool.rows.encodings[row] for row in rows.tolist()]
        return novelty_of(model, self.encoder, encodings, vectors[rows], pool.rows.labels[rows, 0])


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
    folds = draw_folds([item.line for item in rows], whole.labels, split.groups, count, recipe.seed)
    alone = sorted({space.department.labels[label] for label in whole.labels[folds == ALWAYS_TRAINED, 0] if label >= 0})
    if alone:
        say(f"promise: all rows of one fold, so learned and not tested: {', '.join(alone)}")
    lines = {item.line for item in sample_of_all(rows)}
    sampled = np.array([item.line in lines for item in rows])
    planning, testing = sampled & (folds >= 0) & (folds < count // 3), sampled & (folds >= count // 3)
    say(f"promise: all rows but the test's answer in {count} folds; {planning.sum()} plan it, {testing.sum()} test it")
    framed = framed_copies(rows, recipe.data.mail_frames, recipe.seed)
    copies = encode_rows(tuple(copy for _, copy in framed), encoder, space, UNKNOWN)
    origins = [number for number, _ in framed]
    labels = np.concatenate([whole.labels, whole.labels[origins]])
    labels = np.where(labels == UNKNOWN, MISSING, labels)
    masks = {"train": labels[: len(rows), 0] != MISSING, "validation": planning, "calibration": testing}
    # Unknown labels are wrong where they test, and missing where they plan: temperature and shares cannot use them.
    known = replace(whole, labels=labels[: len(rows)])
    parts = {part: (whole if part == "calibration" else known).where(mask) for part, mask in masks.items()}
    every = EncodedExamples((*rows, *copies.examples), (*whole.encodings, *copies.encodings), labels)
    early = np.zeros(len(rows), bool)
    early[len(split["train"]) : len(split["train"]) + len(split["validation"])] = True
    watched = np.concatenate([early, early[origins]])
    return _Pool(every, np.concatenate([folds, folds[origins]]), watched, parts, masks)
