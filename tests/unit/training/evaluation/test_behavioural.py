"""Changes that must not change the department."""

import random
from collections.abc import Callable, Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.scoring import Candidate, FieldVerdict, Outcome, Reason
from models.ticket import Ticket
from tests.support.rows import prepared
from training.data.example import Example
from training.data.mail_noise import likely_language
from training.evaluation.robustness.behavioural import CHANGES, BehaviourFigures, _phrases, _swap_letters, behaviour

TEXT = "I was charged twice for the same month, please refund the second payment."
SENTENCES = [f"{TEXT} My order is the number {number} of it." for number in range(30)]


def routes(label_of: Callable[[str], str]) -> Callable[[Sequence[str]], list[FieldVerdict]]:
    """Something that answers every text, and routes it."""

    def answer(texts: Sequence[str]) -> list[FieldVerdict]:
        return [FieldVerdict(Outcome.ROUTE, Reason.CONFIDENT, (Candidate(label_of(text), 0.9),)) for text in texts]

    return answer


def found(label_of: Callable[[str], str], rows: Sequence[Example]) -> dict[str, BehaviourFigures]:
    return {one.change: one for one in behaviour(routes(label_of), rows, 1)}


ROWS = [prepared(number, text, "billing") for number, text in enumerate(SENTENCES)]


def test_a_model_that_reads_the_matter_passes() -> None:
    """Whoever answers by what every text says changes nothing; every change was tried on every row."""
    figures = found(lambda _: "billing", ROWS)
    assert set(figures) == set(CHANGES)
    for one in figures.values():
        assert (one.rows, one.changed, one.outcomes_changed, one.flipped, one.routed) == (30, 0, 0, 0, 30)


def test_a_model_that_reads_the_letters_fails() -> None:
    """Whoever answers by capitals is caught by upper case alone, and the routed rows that moved are counted as harm."""
    figures = found(lambda text: "loud" if text.isupper() else "calm", ROWS)
    assert (figures["upper case"].changed, figures["upper case"].flipped) == (30, 30)
    assert sum(one.changed for one in figures.values()) == 30


def test_a_model_that_reads_every_letter_fails_on_typos() -> None:
    """Each row has a swapped pair, so an answer by the exact text changes on every row."""
    known = {row.text for row in ROWS}
    figures = found(lambda text: "known" if text in known else "new", ROWS)
    assert figures["typos"].changed == 30
    assert figures["typos"].cleaned == 0


def test_cleaning_takes_quotes_blanks_and_html_away() -> None:
    """What the cleaning removes cannot matter: nearly all of these rows read the same again."""
    figures = found(lambda _: "billing", ROWS)
    for change in ("quoted thread", "whitespace", "HTML"):
        assert figures[change].cleaned >= 27, change
    assert figures["signature"].cleaned > 0  # those without a delimiter stay
    assert figures["greeting"].cleaned == 0


def test_a_change_of_outcome_is_told_apart() -> None:
    """The same department, but to a person now: another outcome, not another department, and no harm."""

    def answer(texts: Sequence[str]) -> list[FieldVerdict]:
        outcomes = [Outcome.REVIEW if text.isupper() else Outcome.ROUTE for text in texts]
        return [FieldVerdict(one, Reason.CONFIDENT, (Candidate("billing", 0.9),)) for one in outcomes]

    figures = {one.change: one for one in behaviour(answer, ROWS, 1)}
    upper = figures["upper case"]
    assert (upper.changed, upper.outcomes_changed, upper.flipped) == (0, 30, 0)


def test_every_ticket_of_html_takes_part() -> None:
    """An export of HTML mails is changed as text: its tags are not what gets typos."""
    rows = [
        Example(n, Ticket(body=f"<p>{text}</p>", content_type="text/html"), {"department": "x"}, text=text)
        for n, text in enumerate(SENTENCES)
    ]
    figures = found(lambda text: "broken" if "<" in text else "whole", rows)
    assert {one.rows for one in figures.values()} == {30}
    assert {one.changed for one in figures.values()} == {0}


def test_a_ticket_without_a_body_gets_nothing_behind_it() -> None:
    """A subject alone is changed in letters and blanks; a greeting or signature would be all that its body has."""
    row = Example(1, Ticket(subject=TEXT), {"department": "x"}, text=TEXT)
    assert not {"greeting", "signature", "disclaimer", "quoted thread"} & set(found(lambda _: "x", [row]))
    assert "typos" in found(lambda _: "x", [row])


def test_the_same_seed_tries_the_same() -> None:
    """Two runs see the same texts in the same order; another seed sees others."""
    seen: list[list[str]] = []
    for seed in (1, 1, 2):
        texts: list[str] = []

        def answer(given: Sequence[str], texts: list[str] = texts) -> list[FieldVerdict]:
            texts.extend(given)
            return routes(lambda _: "x")(given)

        behaviour(answer, ROWS, seed, limit=10)
        seen.append(texts)
    assert seen[0] == seen[1] != seen[2]


def test_at_most_the_limit_is_tried() -> None:
    """A large file costs no more than a small one."""
    figures = behaviour(routes(lambda _: "x"), ROWS, 1, limit=7)
    assert {one.rows for one in figures} == {7}


@given(st.text(max_size=200), st.integers())
def test_typos_only_move_letters(text: str, seed: int) -> None:
    """Whatever the text: the same characters, each at most one place away."""
    swapped = _swap_letters(text, random.Random(seed))
    assert sorted(swapped) == sorted(text)
    for place, letter in enumerate(swapped):
        assert letter in text[max(0, place - 1) : place + 2]


@pytest.mark.parametrize(
    ("text", "language", "greeting"),
    [
        ("ich habe die Rechnung nicht erhalten, bitte senden Sie das", "", "Hallo,"),
        ("je ne peux pas me connecter avec mon compte", "", "Bonjour,"),
        ("I cannot log in to my account", "", "Hello,"),
        ("VPN", "es-ES", "Hola,"),
    ],
)
def test_phrases_are_in_the_tickets_language(text: str, language: str, greeting: str) -> None:
    """By the row's own language, else by its commonest words."""
    row = Example(1, Ticket(body=text), {"department": "x"}, language=language, text=text)
    assert greeting in _phrases()[likely_language(row)].greetings
