"""`service.inference.cache`: what is remembered, how much of it, and what is not."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.inference.cache import Answer, ResponseCache, digest
from tests.support.plain import logits_of

ANSWER = Answer(logits_of(1, 2), tokens=5, truncated=True)


def known(answers: ResponseCache, key: bytes) -> int | None:
    """An answer's tokens, which tell these tests which one it is."""
    found = answers.get(key)
    return None if found is None else found.tokens


@given(st.integers(0, 4), st.lists(st.sampled_from([b"a", b"b", b"c", b"d", b"e", b"f"])))
def test_least_recently_used_answer_is_evicted_first(limit: int, keys: list[bytes]) -> None:
    """Like a list that is sorted by last use and cut at the limit; 0 keeps none."""
    answers, used = ResponseCache(limit), list[tuple[bytes, int]]()
    for number, key in enumerate(keys):
        expected = dict(used).get(key)
        assert known(answers, key) == expected
        if expected is None:
            answers.put(key, replace(ANSWER, tokens=number))
        used = [*(each for each in used if each[0] != key), (key, number if expected is None else expected)]
        used = used[max(0, len(used) - limit) :]
        assert len(answers) == len(used)


def test_cached_answer_is_complete() -> None:
    """Logits, tokens and flag as they were put."""
    answers = ResponseCache(1)
    answers.put(b"a", ANSWER)
    found = answers.get(b"a")
    assert found is not None
    assert (found.logits.tolist(), found.tokens, found.truncated) == ([1, 2], 5, True)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_non_finite_logits_are_not_stored(bad: float) -> None:
    """Nor does it take the place of an answer that is."""
    answers = ResponseCache(2)
    answers.put(b"a", replace(ANSWER, logits=logits_of(0, bad)))
    assert (len(answers), answers.get(b"a")) == (0, None)


def test_cached_row_does_not_keep_its_batch_in_memory() -> None:
    """A hundred rows would be kept alive for one, and what is kept may not change with what it was taken from."""
    batch = np.ones((100, 3), dtype=np.float32)
    answers = ResponseCache(1)
    answers.put(b"a", replace(ANSWER, logits=batch[7]))
    found = answers.get(b"a")
    assert found is not None
    assert found.logits.base is None
    batch[:] = 0
    assert found.logits.tolist() == [1, 1, 1]


@given(st.text(), st.text())
def test_texts_share_a_digest_only_when_they_are_equal(one: str, other: str) -> None:
    """Also those that look alike; a digest is of one size, whatever the text's."""
    assert (digest(one) == digest(other)) == (one == other)
    assert len(digest(one)) == 32
