"""`service.inference.cache`: which results are stored, and how many."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring import FieldVerdict, Outcome, Reason, Verdict
from service.inference.cache import InferenceResult, ResponseCache, digest
from tests.support.batching import verdict_of

ANSWER = InferenceResult(verdict_of(7), tokens=5, truncated=True)


def known(answers: ResponseCache, key: bytes) -> int | None:
    """The number of tokens identifies the result in these tests."""
    found = answers.get(key)
    return None if found is None else found.tokens


@given(st.integers(0, 4), st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"])))
def test_least_recently_used_result_is_evicted_first(limit: int, keys: list[bytes]) -> None:
    """A limit of 0 stores nothing."""
    answers, used = ResponseCache(limit), list[tuple[bytes, int]]()
    for number, key in enumerate(keys):
        expected = dict(used).get(key)
        assert known(answers, key) == expected
        if expected is None:
            answers.put(key, replace(ANSWER, tokens=number))
        used = [*(each for each in used if each[0] != key), (key, number if expected is None else expected)]
        used = used[max(0, len(used) - limit) :]
        assert len(answers) == len(used)


def test_cached_result_is_complete() -> None:
    """Verdict, tokens and flag are those that were stored."""
    answers = ResponseCache(1)
    answers.put(b"a", ANSWER)
    assert answers.get(b"a") == ANSWER


@pytest.mark.parametrize("field", ["department", "priority"])
def test_invalid_scores_are_not_stored(field: str) -> None:
    """Of any field; such a result does not replace a valid one."""
    invalid = FieldVerdict(Outcome.REVIEW, Reason.INVALID_SCORES, ())
    valid = verdict_of(7).department
    verdict = Verdict(invalid, {}) if field == "department" else Verdict(valid, {field: invalid})
    answers = ResponseCache(2)
    answers.put(b"a", replace(ANSWER, verdict=verdict))
    assert (len(answers), answers.get(b"a")) == (0, None)


@given(st.text(), st.text())
def test_texts_share_a_digest_only_when_they_are_equal(one: str, other: str) -> None:
    """Also similar texts; the size of a digest is constant."""
    assert (digest(one) == digest(other)) == (one == other)
    assert len(digest(one)) == 32
