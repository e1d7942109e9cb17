"""The result of training: a network with its n-grams, and the data for calibrating, exporting and writing it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from models.bundle.manifest import PromiseKind
from models.encoding import Encoder, Encoding
from models.fields import LabelSpace
from models.scoring import Logits, Outputs
from training.calibration.ngram_share import NgramShare, fit_ngram_share
from training.data.prepared import MISSING
from training.evaluation.metrics import AccuracyFigures, accuracy_figures
from training.evaluation.record import StageFigures, StageName
from training.learn.classifier import TicketClassifier
from training.learn.finetune import EpochFigures, predict, predict_with_pooled
from training.learn.general import TrainingData
from training.learn.linear.head import LinearHead
from training.learn.linear.ngrams import NgramModel, NgramRows, ngram_rows
from training.learn.linear.novelty import Novelty, fit_novelty
from training.learn.optimizer import encoder_weights, towards_base
from training.learn.rows import EncodedExamples
from training.recipe import Recipe
from training.run.dataset import Material
from training.run.request import Say, TrainRequest

BASE_SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Shares of the base encoder's weights that are tried; finer steps changed no figure (docs/log.md)."""

_CENTRE_ROWS = 100
"""Training rows for a label's mean vector."""
_TABLE_BYTES = 5_000_000
"""The n-grams' table may be this large, or a tenth of the fp32 graph if that is more."""


@dataclass(frozen=True, slots=True)
class Learned:
    """`model` holds the weights to ship, `candidate` its n-grams, `kept` is their stage; `base` is the folder of the
    configuration and the tokenizer."""

    request: TrainRequest
    base: Path
    model: TicketClassifier
    encoder: Encoder
    material: Material
    parts: Mapping[str, EncodedExamples]
    epochs: tuple[EpochFigures, ...]
    candidate: "Candidate"
    kept: StageName
    stages: tuple[StageFigures, ...]
    novelty: Novelty
    folds: "Folds | None" = None
    """With out-of-fold answers: `candidate.outputs` of validation and calibration rows are these; the model and the
    n-grams are the folds' mean."""

    @property
    def promise_kind(self) -> PromiseKind:
        return "exact" if self.folds is None else "measured"

    def outputs(self, encodings: Sequence[Encoding]) -> Outputs:
        """Logits and pooled vectors of the rows: the reference of every exported graph."""
        network = predict_with_pooled(self.model, self.encoder, encodings)
        logits = with_ngrams(network.logits, self.candidate.ngrams, encodings)
        return with_novelty(network._replace(logits=logits), self.novelty, encodings)


@dataclass(frozen=True, slots=True)
class Folds:
    """Linear models on the frozen encoder, each fitted without the rows of its fold.

    `heads`, `ngrams` and `novelties` [folds]; the n-grams are scaled, and empty if there are none. `numbers` is each
    row's fold by part (train, validation, calibration), [rows].
    """

    heads: tuple[LinearHead, ...]
    ngrams: tuple[NgramModel, ...]
    novelties: tuple[Novelty, ...]
    numbers: Mapping[str, NDArray[np.int64]]

    def logits(self, part: str, pooled: NDArray[np.float32], encodings: Sequence[Encoding]) -> Logits:
        """Out-of-fold logits and novelty scores of a part's rows, [rows, labels of all fields + 2], from their pooled
        vectors [rows, width] and wordpieces."""
        logits = self.network(part, pooled) + self.words(part, encodings)
        return np.concatenate([logits, self.novelty(part, pooled, encodings)], axis=1)

    def network(self, part: str, pooled: NDArray[np.float32]) -> Logits:
        """The heads' share of `logits`."""
        found = np.empty((len(pooled), len(self.heads[0].bias)), np.float32)
        for fold, head in enumerate(self.heads):
            rows = self.numbers[part] == fold
            found[rows] = head.logits(pooled[rows])
        return found

    def novelty(self, part: str, pooled: NDArray[np.float32], encodings: Sequence[Encoding]) -> NDArray[np.float32]:
        """Out-of-fold novelty scores of a part's rows, [rows, 2]."""
        found = np.empty((len(pooled), 2), np.float32)
        for fold, novelty in enumerate(self.novelties):
            rows = np.flatnonzero(self.numbers[part] == fold).tolist()
            found[rows] = novelty.scores([encodings[row] for row in rows], pooled[rows])
        return found

    def words(self, part: str, encodings: Sequence[Encoding]) -> Logits:
        """The n-grams' share of `logits`; 0 without n-grams."""
        found = np.zeros((len(encodings), len(self.heads[0].bias)), np.float32)
        for fold, ngrams in enumerate(self.ngrams):
            rows = np.flatnonzero(self.numbers[part] == fold).tolist()
            found[rows] = ngrams.logits([encodings[row] for row in rows])
        return found


@dataclass(frozen=True, slots=True)
class Candidate:
    """A network with its n-grams on validation and test rows: its outputs and department figures by part.

    `ngrams` is scaled to the network's logits, and None if it does not help; `shares` is the scale by field. `alone`
    are the figures without the n-grams; `together` and `outputs` are with them.
    """

    ngrams: NgramModel | None
    shares: Mapping[str, float]
    alone: Mapping[str, AccuracyFigures]
    together: Mapping[str, AccuracyFigures]
    outputs: Mapping[str, Outputs]

    @property
    def macro_f1(self) -> float:
        return self.together["validation"].macro_f1


def with_ngrams(network: Logits, ngrams: NgramModel | None, encodings: Sequence[Encoding]) -> Logits:
    """The sum of both models' logits, [rows, labels of all fields]."""
    return network if ngrams is None else network + ngrams.logits(encodings)


def with_novelty(outputs: Outputs, novelty: Novelty, encodings: Sequence[Encoding]) -> Outputs:
    """The outputs with the novelty scores behind the labels' logits."""
    scores = novelty.scores(encodings, outputs.pooled)
    return outputs._replace(logits=np.concatenate([outputs.logits, scores], axis=1))


def learn_novelty(model: TicketClassifier, encoder: Encoder, train: EncodedExamples) -> Novelty:
    """The novelty scores of a trained network; the labels' mean vectors are those of _CENTRE_ROWS rows each."""
    labels = train.labels[:, 0]  # the department is the first field
    chosen = [np.flatnonzero(labels == label)[:_CENTRE_ROWS] for label in range(int(labels.max()) + 1)]
    places = np.concatenate(chosen).tolist()
    pooled = predict_with_pooled(model, encoder, [train.encodings[place] for place in places]).pooled
    return novelty_of(model, encoder, train.encodings, pooled, labels[places])


def novelty_of(
    model: TicketClassifier,
    encoder: Encoder,
    encodings: Sequence[Encoding],
    pooled: NDArray[np.float32],
    labels: NDArray[np.int64],
) -> Novelty:
    """`fit_novelty` with the network's vocabulary and the encoder's special tokens."""
    return fit_novelty(encodings, pooled, labels, vocabulary=model.config.vocab_size, special=encoder.special_ids)


def known_ngrams(
    model: TicketClassifier,
    encoder: Encoder,
    space: LabelSpace,
    encodings: Sequence[Encoding],
    recipe: Recipe,
    say: Say,
) -> NgramRows | None:
    """The n-grams of the training rows; None if the recipe has none, or the rows share no n-gram."""
    if not recipe.ngrams:
        return None
    weights = sum(parameter.numel() for parameter in model.parameters())
    known = ngram_rows(
        encodings,
        space,
        vocabulary=model.config.vocab_size,
        pad_id=encoder.pad_id,
        most_bytes=max(_TABLE_BYTES, 4 * weights // 10),
    )
    if known is None:
        say("n-grams: left out, no wordpiece stands in two training rows")
    return known


def learn_ngrams(
    model: TicketClassifier, encoder: Encoder, space: LabelSpace, train: EncodedExamples, recipe: Recipe, say: Say
) -> NgramModel | None:
    """The n-gram model of the training rows; None as in `known_ngrams`."""
    known = known_ngrams(model, encoder, space, train.encodings, recipe, say)
    return None if known is None else known.fit(train.labels, space, recipe.seed, row_weights=train.weights)


def candidate_of(
    model: TicketClassifier,
    encoder: Encoder,
    space: LabelSpace,
    ngrams: NgramModel | None,
    parts: Mapping[str, EncodedExamples],
) -> Candidate:
    """Scale the n-grams to the network by the validation rows, and measure both on validation and test rows."""
    measured = _measured(parts)
    network = {name: predict_with_pooled(model, encoder, part.encodings) for name, part in measured.items()}
    alone = {name: department_figures(found.logits, measured[name], space) for name, found in network.items()}
    if ngrams is None:
        return Candidate(None, {}, alone, alone, network)
    validation = measured["validation"]
    raw = ngrams.logits(validation.encodings)
    fitted = shares_of(network["validation"].logits, raw, validation.labels, space)
    shares = {name: share.factor for name, share in fitted.items()}
    factors = factors_of(shares, space)
    if not factors.any():
        return Candidate(None, shares, alone, alone, network)
    scaled = ngrams.scaled(factors)
    outputs = {
        name: found._replace(logits=with_ngrams(found.logits, scaled, measured[name].encodings))
        for name, found in network.items()
    }
    together = {name: department_figures(found.logits, measured[name], space) for name, found in outputs.items()}
    return Candidate(scaled, shares, alone, together, outputs)


def settle_base_share(
    model: TicketClassifier,
    base: Mapping[str, Tensor],
    data: TrainingData,
    ngrams: NgramModel | None,
    recipe: Recipe,
) -> float:
    """Move the fine-tuned encoder a share of the way back to the base encoder, and return the share.

    Without a share in the recipe, it is the one with the lowest negative log-likelihood on the validation rows, with
    the n-grams: a finer measure than macro-F1, which hardly moves on a few hundred rows.

    Args:
        model: the fine-tuned network; its encoder is changed in place.
        base: the encoder's weights before the fine-tuning, by name.
        data: has the validation rows.
        ngrams: the n-gram model beside the network, unscaled; None without one.
        recipe: has the share, or None.
    """
    if recipe.base_share is not None:
        towards_base(model, base, recipe.base_share)
        return recipe.base_share
    learned, validation = encoder_weights(model), data.validation
    raw = None if ngrams is None else ngrams.logits(validation.encodings)
    best, lowest = 0.0, np.inf
    for share in BASE_SHARES:
        model.encoder.load_state_dict(learned, strict=False)
        towards_base(model, base, share)
        logits = predict(model, data.encoder, validation.encodings)
        fitted = shares_of(logits, np.zeros_like(logits) if raw is None else raw, validation.labels, data.space)
        loss = sum(field.loss for field in fitted.values())
        if loss < lowest:
            best, lowest = share, loss
    model.encoder.load_state_dict(learned, strict=False)
    towards_base(model, base, best)
    return best


def shares_of(network: Logits, ngrams: Logits, labels: NDArray[np.int64], space: LabelSpace) -> dict[str, NgramShare]:
    """Each field's share of the n-grams from both models' logits [rows, labels] and label numbers [rows, fields]."""
    return {
        field.name: fit_ngram_share(network[:, field.slice], ngrams[:, field.slice], labels[:, column])
        for column, field in enumerate(space)
    }


def factors_of(shares: Mapping[str, float], space: LabelSpace) -> NDArray[np.float32]:
    """The factor on the n-grams' logit of each label, [labels of all fields]."""
    return np.concatenate([np.full(len(field.labels), shares[field.name], np.float32) for field in space])


def department_figures(logits: Logits, part: EncodedExamples, space: LabelSpace) -> AccuracyFigures:
    """Accuracy and macro-F1 of the department on the rows that have one."""
    labels = part.labels[:, 0]  # the department is the first field
    present = labels != MISSING
    predicted = logits[:, space.department.slice].argmax(axis=1)
    return accuracy_figures(labels[present], predicted[present])


def ngram_figures(
    ngrams: NgramModel, parts: Mapping[str, EncodedExamples], space: LabelSpace
) -> dict[str, AccuracyFigures]:
    """The n-grams' own department figures by part."""
    return {
        name: department_figures(ngrams.logits(part.encodings), part, space) for name, part in _measured(parts).items()
    }


def _measured(parts: Mapping[str, EncodedExamples]) -> dict[str, EncodedExamples]:
    return {name: part for name, part in parts.items() if name in ("validation", "test") and len(part)}
