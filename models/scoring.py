"""Logits → calibrated probabilities → `Verdict`. Training's evaluation and the service call the very same functions.

Everything a verdict rests on (temperature, thresholds) comes from the bundle, never from an environment variable.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from models.fields import DEPARTMENT, Field
from models.ticket import MailFact, Ticket

Logits = NDArray[np.float32]
"""One ticket's logits, shape [labels of all fields], or a batch's, [tickets, labels of all fields]. In a bundle that
detects out-of-scope tickets two scores follow: familiarity and similarity (`training.learn.linear.novelty`)."""


class Outputs(NamedTuple):
    """The outputs of a graph for some tickets: logits [tickets, labels of all fields], and pooled vectors [tickets,
    width], each the mean of the encoder's last hidden state over a ticket's tokens."""

    logits: Logits
    pooled: NDArray[np.float32]


CANDIDATES = 3
SCOPE_TEMPERATURE = 2.0
"""Higher than the calibrated temperatures: the best of 1 to 6 on held-out out-of-scope queries (docs/log.md)."""


class Outcome(StrEnum):
    ROUTE = "route"
    SUGGEST = "suggest"
    REVIEW = "review"


class Reason(StrEnum):
    """Why a ticket got its outcome: a closed set, so that it can be counted."""

    CONFIDENT = "confident"
    BELOW_THRESHOLD = "below_threshold"
    LABEL_NOT_AUTOMATIC = "label_not_automatic"
    EMPTY = "empty"
    AUTOMATIC_MAIL = "automatic_mail"
    BOUNCE = "bounce"
    LOOP = "loop"
    SPAM = "spam"
    UNREADABLE = "unreadable"
    INVALID_SCORES = "invalid_scores"
    OUT_OF_SCOPE = "out_of_scope"
    LANGUAGE = "language"
    TOO_COMPLEX = "too_complex"
    AUDIT = "audit"
    """Of the random share that is kept for people."""
    AUTOMATION_OFF = "automation_off"
    """A person has switched the automation of the label, or of such tickets, off or to suggestions."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """The lowest calibrated confidence at which a label is routed or suggested; None: never.

    `pooled`: the precision behind `route` was proven for several labels together, not for this label alone.
    """

    route: float | None
    suggest: float | None
    pooled: bool


@dataclass(frozen=True, slots=True)
class Scope:
    """The bounds of in-scope tickets: the lowest familiarity, and the lowest sum of similarity and energy.

    `similarity` and `energy` are the mean and the standard deviation that each is relative to.
    """

    language: float
    similarity: tuple[float, float]
    energy: tuple[float, float]
    threshold: float


@dataclass(frozen=True, slots=True)
class FieldScoring:
    """How one field's logits become a verdict. `scope` says which tickets are in scope; None: all are."""

    field: Field
    temperature: float
    thresholds: tuple[Threshold, ...]
    scope: Scope | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    label: str
    confidence: float


@dataclass(frozen=True, slots=True)
class FieldVerdict:
    """One field's answer. `candidates` are the most likely labels, best first; empty when no model was asked."""

    outcome: Outcome
    reason: Reason
    candidates: tuple[Candidate, ...]

    @property
    def predicted(self) -> str | None:
        """The label for route and suggest; None for review, because the answer is not trusted."""
        return None if self.outcome is Outcome.REVIEW else self.candidates[0].label

    @property
    def confidence(self) -> float:
        """The best candidate's calibrated probability, 0 when no model was asked."""
        return self.candidates[0].confidence if self.candidates else 0.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """A ticket's verdicts: the department's, and those of the further fields by name."""

    department: FieldVerdict
    fields: Mapping[str, FieldVerdict]

    def of(self, field: str) -> FieldVerdict | None:
        """The verdict on a field, the department included."""
        return self.department if field == DEPARTMENT else self.fields.get(field)

    @property
    def is_valid(self) -> bool:
        """Whether the model's scores were numbers in every field."""
        invalid = Reason.INVALID_SCORES
        return self.department.reason is not invalid and all(f.reason is not invalid for f in self.fields.values())


def probabilities(logits: Logits, scoring: FieldScoring) -> NDArray[np.float64]:
    """Calibrated probabilities of one field, shape [..., labels of the field]; each row sums to 1.

    Temperature scaling: Guo et al., "On Calibration of Modern Neural Networks", ICML 2017.
    """
    scaled = logits[..., scoring.field.slice].astype(np.float64) / scoring.temperature
    exponentials = np.exp(scaled - _greatest(scaled))
    return np.asarray(exponentials / np.add.reduce(exponentials, axis=-1, keepdims=True))


def energies(logits: Logits, field: Field) -> NDArray[np.float64]:
    """How much a ticket looks like one of the field's labels, shape [...]: low values are out of scope.

    The energy (Liu et al., "Energy-based Out-of-distribution Detection", NeurIPS 2020) above the mean logit: up to a
    constant the divergence of a softmax at SCOPE_TEMPERATURE from the uniform distribution.
    """
    scaled = logits[..., field.slice].astype(np.float64) / SCOPE_TEMPERATURE
    above = scaled - _greatest(scaled)
    return np.asarray(np.log(np.add.reduce(np.exp(above), axis=-1)) - np.add.reduce(above, axis=-1) / above.shape[-1])


def familiarities(logits: Logits) -> NDArray[np.float64]:
    """How common a ticket's wordpieces are in the training rows, shape [...]."""
    return np.asarray(logits[..., -2], dtype=np.float64)


def scope_scores(
    logits: Logits, field: Field, similarity: tuple[float, float], energy: tuple[float, float]
) -> NDArray[np.float64]:
    """How much a ticket is like the field's labels, shape [...]: similarity and energy, each less its mean and in its
    standard deviations, added."""
    alike = (np.asarray(logits[..., -1], dtype=np.float64) - similarity[0]) / similarity[1]
    return np.asarray(alike + (energies(logits, field) - energy[0]) / energy[1])


def _greatest(scaled: NDArray[np.float64]) -> NDArray[np.float64]:
    # Ufuncs instead of array methods, here and above: for so few numbers the method call doubles the time.
    return np.asarray(np.maximum.reduce(scaled, axis=-1, keepdims=True))


def in_scope(logits: Logits, scoring: FieldScoring) -> NDArray[np.bool_]:
    """Whether tickets are in scope, shape [...]."""
    scope = scoring.scope
    if scope is None:
        return np.ones(logits.shape[:-1], dtype=np.bool_)
    ours = scope_scores(logits, scoring.field, scope.similarity, scope.energy) >= scope.threshold
    return np.asarray(ours & (familiarities(logits) >= scope.language))


def judge(logits: Logits, scorings: Sequence[FieldScoring]) -> Verdict:
    """One ticket's verdict on every field from its logits, shape [labels]. The first scoring is the department's."""
    return judge_batch(logits[None], scorings)[0]


def judge_batch(logits: Logits, scorings: Sequence[FieldScoring]) -> list[Verdict]:
    """The tickets' verdicts on every field from their logits, shape [tickets, labels]; each as `judge` gives it.

    An out-of-scope ticket goes to review in every field: the training rows of no field were like it.
    """
    first, *further = scorings
    fields = {scoring.field.name: _judge_field(logits, scoring) for scoring in further}
    verdicts = []
    for row, department in enumerate(_judge_field(logits, first)):
        found = {name: verdicts_of[row] for name, verdicts_of in fields.items()}
        if department.reason in (Reason.LANGUAGE, Reason.OUT_OF_SCOPE):
            found = {
                name: FieldVerdict(Outcome.REVIEW, department.reason, field.candidates) for name, field in found.items()
            }
        verdicts.append(Verdict(department, found))
    return verdicts


def verdict_without_model(ticket: Ticket, text: str, scorings: Sequence[FieldScoring]) -> Verdict | None:
    """The verdict on a ticket that needs no model (empty, unreadable or automatic), or None: ask the model."""
    if MailFact.BOUNCE in ticket.facts:
        reason = Reason.BOUNCE
    elif MailFact.LOOP in ticket.facts:
        reason = Reason.LOOP
    elif MailFact.AUTOMATIC in ticket.facts:
        reason = Reason.AUTOMATIC_MAIL
    elif MailFact.SPAM in ticket.facts:
        reason = Reason.SPAM
    elif ticket.unread:
        reason = Reason.TOO_COMPLEX
    elif MailFact.UNREADABLE in ticket.facts:
        reason = Reason.UNREADABLE
    elif not text:
        reason = Reason.EMPTY
    else:
        return None
    answer = FieldVerdict(Outcome.REVIEW, reason, ())
    return Verdict(answer, {scoring.field.name: answer for scoring in scorings[1:]})


def _judge_field(logits: Logits, scoring: FieldScoring) -> list[FieldVerdict]:
    # One NaN or infinite logit makes the sum NaN or infinite.
    valid = np.isfinite(np.add.reduce(logits[:, scoring.field.slice], axis=-1, dtype=np.float64))
    if not valid.all():
        logits = np.where(valid[:, None], logits, np.float32(0))
    confidences = probabilities(logits, scoring)
    # A stable sort of the negated values: equal confidences keep the catalogue's order, on every machine.
    ranked = (-confidences).argsort(axis=-1, kind="stable")[:, :CANDIDATES]
    best = np.take_along_axis(confidences, ranked, axis=-1)
    ordinary, labels = in_scope(logits, scoring).tolist(), scoring.field.labels
    verdicts = []
    for row, (numbers, values) in enumerate(zip(ranked.tolist(), best.tolist(), strict=True)):
        if not valid[row]:
            verdicts.append(FieldVerdict(Outcome.REVIEW, Reason.INVALID_SCORES, ()))
            continue
        candidates = tuple([Candidate(labels[number], value) for number, value in zip(numbers, values, strict=True)])
        if ordinary[row]:
            outcome, reason = outcome_at(candidates[0].confidence, scoring.thresholds[numbers[0]])
        else:
            assert scoring.scope is not None
            foreign = float(familiarities(logits[row])) < scoring.scope.language
            outcome, reason = Outcome.REVIEW, Reason.LANGUAGE if foreign else Reason.OUT_OF_SCOPE
        verdicts.append(FieldVerdict(outcome, reason, candidates))
    return verdicts


def outcome_at(confidence: float, threshold: Threshold) -> tuple[Outcome, Reason]:
    """The outcome, and why, of a label predicted with this confidence."""
    if threshold.route is not None and confidence >= threshold.route:
        return Outcome.ROUTE, Reason.CONFIDENT
    reason = Reason.LABEL_NOT_AUTOMATIC if threshold.route is None else Reason.BELOW_THRESHOLD
    if threshold.suggest is not None and confidence >= threshold.suggest:
        return Outcome.SUGGEST, reason
    return Outcome.REVIEW, reason
