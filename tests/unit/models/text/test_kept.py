"""The customer's text stays; only structural evidence removes text."""

from dataclasses import replace

import pytest

from models.text.prepare import prepare
from models.ticket import Ticket
from tests.unit.models.text.kept_samples import SAMPLES, Kept


@pytest.mark.parametrize("sample", SAMPLES, ids=[sample.name for sample in SAMPLES])
def test_text_without_structural_evidence_is_kept(sample: Kept) -> None:
    """Expected phrases remain; text with evidence of quoting is removed."""
    kind = "text/html" if sample.html else "text/plain"
    text = prepare(Ticket(subject=sample.subject, body=sample.body, content_type=kind)).text
    assert [words for words in sample.keep if words not in text] == []
    assert [words for words in sample.drop if words in text] == []


CONTENT = {
    "a stranger's mail, quoted": (
        "Is this you?",
        "On Mon, 3 Mar 2025 at 10:11, Shop <x@evil.example> wrote:\n> pay 500 now",
    ),
    "the writer's own, quoted": (
        "Re: Order",
        "On Mon, 3 Mar 2025 at 10:11, Kim <kim@home.example> wrote:\n> pay 500 now",
    ),
    "the writer's own, Outlook": (
        "Re: Order",
        "From: Kim <Kim@Home.example>\nSent: Monday, 3 March 2025 10:11\nTo: Shop\nSubject: Order\n\npay 500 now",
    ),
}


@pytest.mark.parametrize("name", CONTENT)
def test_a_quote_of_the_sender_or_a_third_party_is_content(name: str) -> None:
    """A customer may write "Any news?" above an earlier mail; a reply quotes the address that it goes to."""
    subject, quote = CONTENT[name]
    body = f"Any news about this, please?\n\n{quote}"
    ticket = Ticket(subject=subject, body=body, sender="kim@home.example", recipients=("Shop <Help@Shop.example>",))
    assert "pay 500 now" in prepare(ticket).text
    answer = (
        body.replace("x@evil.example", "help@shop.example")
        .replace("Kim <", "Shop <")
        .replace("kim@home.example", "help@shop.example")
        .replace("Kim@Home.example", "help@shop.example")
    )
    assert "pay 500 now" not in prepare(replace(ticket, body=answer)).text
