"""How a sample ticket's sentences are made from phrases: every one expands, reads well, and keeps to its facts."""

import random
import re
from collections.abc import Callable

import pytest

from training.sample import grammar
from training.sample.author import Author
from training.sample.company import DEPARTMENTS, LANGUAGES
from training.sample.dates import LAST_MOMENT
from training.sample.people import make_person
from training.sample.phrasebook import phrasebook


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_phrase_of_every_language_expands(language: str) -> None:
    """No phrase names a slot that does not exist, and every department has something to say."""
    rng = random.Random(0)
    book = phrasebook(language)
    assert all(book.intents_of(department) for department in DEPARTMENTS)
    phrases = [*book.common.items(), *(item for intent in book.intents for item in intent.phrases.items())]
    for template in [template for _, templates in phrases for template in templates]:
        assert template.count("[") == template.count("]"), template
        author = Author(rng, make_person(rng, language), LAST_MOMENT)
        author.values |= dict.fromkeys(("aside_problem", "thread_subject", "stamp", "other_name", "other_email"), "x")
        for _ in range(20):
            assert not re.search(r"[\[\]{}]", author.expand(template)), template


@pytest.mark.parametrize("language", LANGUAGES)
def test_languages_carry_the_same_common_phrases(language: str) -> None:
    """A form of mail that exists in English exists in every language."""
    assert phrasebook(language).common.keys() == phrasebook("en").common.keys()


def test_the_grammar_takes_one_of_nested_alternatives() -> None:
    """`[a|b [c|d]|]` yields each of its readings and nothing else."""
    rng = random.Random(3)
    seen = {grammar.expand("x[a|b[c|d]|]{s}", rng, lambda name: f"<{name}>") for _ in range(200)}
    assert seen == {"xa<s>", "xbc<s>", "xbd<s>", "x<s>"}


@pytest.mark.parametrize(
    ("finish", "typed", "meant"),
    [
        (grammar.sentence, "the page is down ,  again", "The page is down, again."),
        (grammar.sentence, "when I open it I get an error", "When I open it I get an error."),
        (grammar.sentence, "we start. how do we begin", "We start. How do we begin?"),
        (grammar.request, "please fix this?", "Please fix this."),
        (grammar.request, "is this known", "Is this known?"),
        (grammar.request, "¿hay una guía", "¿Hay una guía?"),
    ],
)
def test_sentences_end_in_the_right_mark(finish: Callable[[str], str], typed: str, meant: str) -> None:
    """Questions end in a question mark, statements in a full stop, and each begins with a capital."""
    assert finish(typed) == meant


def test_a_scene_keeps_its_facts() -> None:
    """One ticket speaks of one invoice and one amount, unless a fresh value is asked for."""
    rng = random.Random(1)
    author = Author(rng, make_person(rng, "en"), LAST_MOMENT)
    first, second, fresh = author.expand("{invoice_no}#{invoice_no}#{+invoice_no}").split("#")
    assert first == second != fresh
