"""Words, sentences and the phrases that are shown, for any text."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from service.explain.phrases import SHOWN, choose, neighbours, sentences_of, without, words_of, words_within

TEXTS = st.text(st.sampled_from("ab é'-.!?\n\t@7_請退ß…"), max_size=60) | st.text(max_size=60)


def shown(text: str, spans: list[tuple[int, int]]) -> list[str]:
    return [text[start:end] for start, end in spans]


def test_words_keep_what_one_sign_joins_and_ideographs_stand_alone() -> None:
    assert shown("I can't e-mail a@b.de, 3.50 for 退款!", words_of("I can't e-mail a@b.de, 3.50 for 退款!")) == [
        "I",
        "can't",
        "e-mail",
        "a@b.de",
        "3.50",
        "for",
        "退",
        "款",
    ]


def test_sentences_end_at_their_signs_and_at_lines_and_have_a_word() -> None:
    text = "Hi, it costs 3.50. Why?!\n\n--\nBest  wishes"
    assert shown(text, sentences_of(text)) == ["Hi, it costs 3.50.", "Why?!", "Best  wishes"]


@given(TEXTS)
def test_words_and_sentences_are_in_order_and_hold_every_letter(text: str) -> None:
    words, sentences = words_of(text), sentences_of(text)
    for spans in (words, sentences):
        assert all(0 <= start < end <= len(text) for start, end in spans)
        assert all(first[1] <= second[0] for first, second in itertools.pairwise(spans))
    for number, character in enumerate(text):
        if character.isalnum():
            assert any(start <= number < end for start, end in words)
            assert any(start <= number < end for start, end in sentences)


@given(TEXTS, st.integers(0, 60), st.integers(1, 20))
def test_words_within_a_span_are_those_it_touches(text: str, start: int, length: int) -> None:
    words = words_of(text)
    expected = [n for n, word in enumerate(words) if word[0] < start + length and start < word[1]]
    assert list(words_within(words, (start, start + length))) == expected


@given(TEXTS, st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), max_size=4))
def test_text_without_parts_has_the_rest_and_nothing_of_the_parts(text: str, spans: list[tuple[int, int]]) -> None:
    spans = sorted((min(each), max(each)) for each in spans)
    kept = [c for n, c in enumerate(text) if not any(start <= n < end for start, end in spans)]
    assert without(text, spans).replace(" ", "") == "".join(kept).replace(" ", "")


@given(TEXTS, st.data())
def test_chosen_phrases_are_whole_words_that_do_not_overlap(text: str, data: st.DataObject) -> None:
    words = words_of(text)
    possible = [range(n, n + 1) for n in range(len(words))] + neighbours(text, words)
    scores = {each: data.draw(st.floats(-1, 1)) for each in possible}
    pro = choose(scores, 1)
    contra = choose(scores, -1, pro)
    assert max(len(pro), len(contra)) <= SHOWN
    assert all(scores[each] > 0 for each in pro)
    assert all(scores[each] < 0 for each in contra)
    numbers = [number for each in (*pro, *contra) for number in each]
    assert len(numbers) == len(set(numbers))


def test_pair_is_shown_only_if_it_says_more_than_its_better_word() -> None:
    card, pair = range(1, 2), range(0, 2)
    assert choose({range(0, 1): 0.01, card: 0.5, pair: 0.51}, 1) == [card, range(0, 1)]
    assert choose({range(0, 1): 0.01, card: 0.5, pair: 0.9}, 1) == [pair]
