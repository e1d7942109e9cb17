"""Logits → probabilities → verdict."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring import (
    CANDIDATES,
    FieldScoring,
    Outcome,
    Reason,
    Scope,
    Threshold,
    energies,
    judge,
    judge_batch,
    outcome_at,
    probabilities,
    scope_scores,
    verdict_without_model,
)
from models.ticket import MailFact, Ticket
from tests.support.plain import SPACE, logits_of, scoring_of

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
vectors = st.lists(finite, min_size=SPACE.size, max_size=SPACE.size).map(lambda values: logits_of(*values))
temperatures = st.floats(math.exp(-3), math.exp(3))


@given(vectors, temperatures)
def test_probabilities_sum_to_one(logits: np.ndarray, temperature: float) -> None:
    """Whatever the finite logits, each field's probabilities are in 0…1 and sum to 1."""
    for number in range(2):
        found = probabilities(logits, scoring_of(number, temperature=temperature))
        assert found.shape == (len(SPACE.fields[number].labels),)
        assert np.isfinite(found).all()
        assert ((found >= 0) & (found <= 1)).all()
        assert found.sum() == pytest.approx(1)


@given(vectors, vectors)
def test_a_batch_is_scored_as_its_rows_are(first: np.ndarray, second: np.ndarray) -> None:
    """A row's probabilities do not depend on its neighbours in the batch."""
    batch = probabilities(np.stack([first, second]), scoring_of(1))
    assert (batch[0] == probabilities(first, scoring_of(1))).all()
    assert (batch[1] == probabilities(second, scoring_of(1))).all()


def test_probabilities_are_those_of_a_softmax_with_temperature() -> None:
    """Logits are divided by the temperature before the softmax, and only the field's own slice counts."""
    found = probabilities(logits_of(9, 9, 9, math.log(9) * 2, 0), scoring_of(1, temperature=2.0))
    assert found == pytest.approx([0.9, 0.1])


@given(vectors, st.integers(0, SPACE.size - 1), st.sampled_from([math.nan, math.inf, -math.inf]))
def test_a_logit_that_is_no_number_gives_review(logits: np.ndarray, place: int, bad: float) -> None:
    """A NaN or infinite logit makes its own field's outcome review/invalid_scores, and no other field's."""
    logits[place] = bad
    verdict = judge(logits, [scoring_of(0), scoring_of(1)])
    hurt, sound = verdict.department, verdict.fields["priority"]
    if place >= len(SPACE.department.labels):
        hurt, sound = sound, hurt
    assert (hurt.outcome, hurt.reason, hurt.candidates) == (Outcome.REVIEW, Reason.INVALID_SCORES, ())
    assert (hurt.predicted, hurt.confidence) == (None, 0.0)
    assert sound.reason is not Reason.INVALID_SCORES


@given(st.lists(vectors, min_size=1, max_size=5), st.lists(st.tuples(st.integers(0, 4), st.integers(0, 3)), max_size=2))
def test_a_batch_is_judged_as_its_tickets_are(rows: list[np.ndarray], bad: list[tuple[int, int]]) -> None:
    """Other tickets in the batch do not matter, even with scores that are no numbers."""
    logits = np.stack(rows)
    for row, place in bad:
        logits[row % len(rows), place] = math.nan
    scorings = [scoring_of(0), scoring_of(1)]
    assert judge_batch(logits, scorings) == [judge(row, scorings) for row in logits]


@given(vectors)
def test_candidates_are_the_likeliest_labels_best_first(logits: np.ndarray) -> None:
    """At most three candidates, sorted by confidence, the first the likeliest label."""
    found = judge(logits, [scoring_of(0)]).department
    assert len(found.candidates) == min(CANDIDATES, len(SPACE.department.labels))
    confidences = [candidate.confidence for candidate in found.candidates]
    assert confidences == sorted(confidences, reverse=True)
    assert found.confidence == probabilities(logits, scoring_of(0)).max()


def test_equal_confidences_keep_the_catalogues_order() -> None:
    """A tie is broken by the catalogue, so that every machine gives the same answer."""
    found = judge(logits_of(1, 1, 1, 0, 0), [scoring_of(0)]).department
    assert [candidate.label for candidate in found.candidates] == ["billing", "sales", "technical"]


@pytest.mark.parametrize(
    ("confidence", "threshold", "outcome", "reason"),
    [
        (0.9, Threshold(0.9, 0.6, False), Outcome.ROUTE, Reason.CONFIDENT),
        (math.nextafter(0.9, 0), Threshold(0.9, 0.6, False), Outcome.SUGGEST, Reason.BELOW_THRESHOLD),
        (0.6, Threshold(0.9, 0.6, False), Outcome.SUGGEST, Reason.BELOW_THRESHOLD),
        (math.nextafter(0.6, 0), Threshold(0.9, 0.6, False), Outcome.REVIEW, Reason.BELOW_THRESHOLD),
        (0.99, Threshold(0.9, None, False), Outcome.ROUTE, Reason.CONFIDENT),
        (0.89, Threshold(0.9, None, False), Outcome.REVIEW, Reason.BELOW_THRESHOLD),
        (1.0, Threshold(None, 0.6, True), Outcome.SUGGEST, Reason.LABEL_NOT_AUTOMATIC),
        (1.0, Threshold(None, None, True), Outcome.REVIEW, Reason.LABEL_NOT_AUTOMATIC),
        (0.0, Threshold(0.0, 0.0, False), Outcome.ROUTE, Reason.CONFIDENT),
        (math.nan, Threshold(0.0, 0.0, False), Outcome.REVIEW, Reason.BELOW_THRESHOLD),
    ],
)
def test_thresholds_are_inclusive(confidence: float, threshold: Threshold, outcome: Outcome, reason: Reason) -> None:
    """A confidence that equals a threshold passes it; None never passes, nor does a NaN."""
    assert outcome_at(confidence, threshold) == (outcome, reason)


def test_a_reviewed_ticket_keeps_its_candidates_but_has_no_prediction() -> None:
    """An untrusted answer is a candidate, not the predicted label."""
    found = judge(logits_of(0.1, 0, 0, 0, 0), [scoring_of(0)]).department
    assert found.outcome is Outcome.REVIEW
    assert found.predicted is None
    assert found.candidates[0].label == "billing"


def test_the_threshold_is_the_predicted_labels_own() -> None:
    """Each label is held against its own threshold, not its neighbour's."""
    scoring = scoring_of(1)
    own = type(scoring)(scoring.field, 1.0, (Threshold(None, None, True), Threshold(0.5, 0.5, False)))
    assert judge(logits_of(0, 0, 0, 9, 0), [own]).department.outcome is Outcome.REVIEW
    assert judge(logits_of(0, 0, 0, 0, 9), [own]).department.outcome is Outcome.ROUTE


def test_an_out_of_scope_ticket_goes_to_review_with_its_candidates() -> None:
    """A score below the field's scope means review, however confident the answer; at the bound it is in scope."""
    field, familiarity, similarity = scoring_of(0).field, -5.0, 0.5
    sure = np.append(logits_of(0.6, 0, 0, 0, 9), np.array([familiarity, similarity], np.float32))
    score = float(scope_scores(sure, field, (0.0, 1.0), (0.0, 1.0)))
    for language, least, reason in (
        (familiarity, score, Reason.CONFIDENT),
        (familiarity, math.nextafter(score, 9), Reason.OUT_OF_SCOPE),
        (math.nextafter(familiarity, 9), score, Reason.LANGUAGE),
        (familiarity, math.nan, Reason.OUT_OF_SCOPE),
    ):
        scope = Scope(language, (0.0, 1.0), (0.0, 1.0), least)
        scoring = FieldScoring(field, 0.01, (Threshold(0.9, 0.6, False),) * 3, scope)
        verdict = judge(sure, [scoring, scoring_of(1)])
        assert verdict.department.reason is reason
        assert verdict.department.candidates[0].label == "billing"
        expected = (Outcome.ROUTE, Reason.CONFIDENT) if reason is Reason.CONFIDENT else (Outcome.REVIEW, reason)
        assert (verdict.fields["priority"].outcome, verdict.fields["priority"].reason) == expected
    assert verdict.department.predicted is None


@given(vectors, st.floats(-50, 50, width=32))
def test_the_energy_is_the_same_for_shifted_logits(logits: np.ndarray, shift: float) -> None:
    """Only differences of logits mean anything; a flat row scores lowest, log of the number of labels."""
    field, small = scoring_of(0).field, np.clip(logits, -50, 50)
    assert energies(small, field) == pytest.approx(energies(small + np.float32(shift), field), abs=1e-3)
    assert energies(small, field) >= math.log(len(field.labels)) - 1e-9


@pytest.mark.parametrize(
    ("facts", "text", "reason"),
    [
        ({MailFact.BOUNCE, MailFact.AUTOMATIC, MailFact.LOOP}, "words", Reason.BOUNCE),
        ({MailFact.LOOP, MailFact.AUTOMATIC}, "words", Reason.LOOP),
        ({MailFact.AUTOMATIC, MailFact.VACATION}, "words", Reason.AUTOMATIC_MAIL),
        ({MailFact.AUTOMATIC}, "", Reason.AUTOMATIC_MAIL),
        (set(), "", Reason.EMPTY),
        ({MailFact.LIST}, "", Reason.EMPTY),
    ],
)
def test_some_tickets_need_no_model(facts: set[MailFact], text: str, reason: Reason) -> None:
    """A bounce, a loop, an automatic reply or an empty text is left to people, in that order, in every field."""
    verdict = verdict_without_model(Ticket(facts=frozenset(facts)), text, [scoring_of(0), scoring_of(1)])
    assert verdict is not None
    assert set(verdict.fields) == {"priority"}
    for found in (verdict.department, verdict.fields["priority"]):
        assert (found.outcome, found.reason, found.predicted) == (Outcome.REVIEW, reason, None)


@pytest.mark.parametrize(("facts", "reason"), [(set(), Reason.TOO_COMPLEX), ({MailFact.BOUNCE}, Reason.BOUNCE)])
def test_a_ticket_that_exceeded_its_budget_goes_to_review(facts: set[MailFact], reason: Reason) -> None:
    """It does not count as empty; the facts of its headers come first."""
    verdict = verdict_without_model(Ticket(facts=frozenset(facts), unread=True), "", [scoring_of(0)])
    assert verdict is not None
    assert (verdict.department.outcome, verdict.department.reason) == (Outcome.REVIEW, reason)


@pytest.mark.parametrize("facts", [set(), {MailFact.LIST}])
def test_a_persons_ticket_goes_to_the_model(facts: set[MailFact]) -> None:
    """Words written by a person, also through a mailing list, are for the model."""
    assert verdict_without_model(Ticket(facts=frozenset(facts)), "words", [scoring_of(0)]) is None
