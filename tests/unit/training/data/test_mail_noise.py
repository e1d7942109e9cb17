"""Copies of training rows inside the frame of a mail."""

from collections.abc import Sequence
from dataclasses import replace

import pytest

from models.ticket import Ticket
from tests.support.rows import prepared
from training.data.example import Example
from training.data.mail_noise import _frames, likely_language, with_mail_frames
from training.evaluation.robustness.behavioural import _phrases


def rows(count: int = 40) -> list[Example]:
    return [prepared(n, f"the printer number {n} is not working", "it") for n in range(count)]


def test_copies_stand_behind_the_rows_and_keep_text_and_label() -> None:
    """A fifth of the rows once more, each with its whole text inside, nearly all with something around it."""
    before = rows()
    found = with_mail_frames(before, 0.2, seed=1)
    assert found[:40] == tuple(before)
    copies = found[40:]
    assert len(copies) == 8
    originals = {row.line: row for row in before}
    for copy in copies:
        original = originals[copy.line]
        assert original.text in copy.text
        assert copy.labels == original.labels
    assert sum(len(copy.text) > len(originals[copy.line].text) for copy in copies) >= 6


def test_a_copy_counts_as_much_as_its_row() -> None:
    """A label that nobody checked is no better in a frame."""
    found = with_mail_frames([replace(item, weight=0.5) for item in rows()], 0.2, seed=1)
    assert {item.weight for item in found} == {0.5}


def test_html_becomes_text_first() -> None:
    """Words before a tag would make the tags words."""
    item = prepared(1, "the printer is not working", "it")
    item = replace(item, ticket=Ticket(subject="", body="<p>the printer is not working</p>"))
    assert not any("<p>" in row.text for seed in range(20) for row in with_mail_frames([item], 0.9, seed))


def test_the_seed_decides() -> None:
    first, again, other = (with_mail_frames(rows(), 0.3, seed) for seed in (1, 1, 2))
    assert first == again
    assert texts(first) != texts(other)


def test_no_share_adds_nothing() -> None:
    assert with_mail_frames(rows(), 0.0, 1) == tuple(rows())


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the door is not open and I have to wait", "en"),
        ("ich habe die Rechnung nicht bekommen, bitte sehen Sie nach", "de"),
        ("je ne peux pas ouvrir le fichier avec mon téléphone", "fr"),
        ("no puedo abrir el archivo con mi teléfono", "es"),
        ("запрос", "en"),
    ],
)
def test_a_text_gets_frames_of_its_language(text: str, language: str) -> None:
    """By its commonest words; English frames where none is known."""
    assert likely_language(prepared(1, text, "it")) == language


def test_no_phrase_of_the_behavioural_tests_is_learned() -> None:
    """What they add must be new to the model."""
    learned = {phrase for frame in _frames().values() for values in frame.values() for phrase in values}
    tested = {
        phrase
        for each in _phrases().values()
        for kind in (each.greetings, each.signatures, each.disclaimers, each.quotes)
        for phrase in kind
    }
    assert not learned & tested


def test_every_frame_can_be_filled() -> None:
    """Enough draws to use each phrase of each language."""
    for language, text in (("en", "the"), ("de", "ich"), ("fr", "je"), ("es", "que")):
        many = [prepared(n, f"{text} {n}", "it") for n in range(300)]
        assert not any("{" in row.text for row in with_mail_frames(many, 0.9, 1)), language


def texts(found: Sequence[Example]) -> list[str]:
    return [row.text for row in found]
