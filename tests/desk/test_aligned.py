"""What the model read is shown whole and in order, and what was cut stands where it stood."""

import pytest

from models.text.prepare import prepare, visible_text
from models.ticket import Ticket
from service.desk.review.aligned import MOST_LINES, Part, aligned

MAILS = {
    "reply": Ticket(
        "Re: Invoice",
        "Please refund me.\n\nOn Tue, 1 Sep 2026 Support <s@x.example> wrote:\n> Dear Ana,\n> please wait\n",
        sender="ana@y.example",
    ),
    "html": Ticket(
        "Re: Order",
        "<p>Where is it?</p><blockquote type='cite'><p>We sent it on Monday.</p></blockquote>",
        "text/html",
    ),
    "plain": Ticket("Question", "How much is it?"),
    "empty": Ticket(),
}


@pytest.mark.parametrize("mail", MAILS)
def test_parts_that_were_read_are_the_prepared_text(mail: str) -> None:
    read, whole = prepare(MAILS[mail]).text, visible_text(MAILS[mail])
    parts = aligned(read, whole)
    assert "\n".join(part.text for part in parts if not part.cut) == read
    assert any(part.cut for part in parts) == (mail in ("reply", "html"))


def test_quote_that_was_cut_stands_after_the_answer() -> None:
    read, whole = prepare(MAILS["reply"]).text, visible_text(MAILS["reply"])
    answer, quote = aligned(read, whole)
    assert answer == Part("Invoice\nPlease refund me.", False, 2)
    assert quote.cut
    assert "please wait" in quote.text


def test_very_long_text_is_shown_whole_after_what_was_read() -> None:
    long = "\n".join(str(each) for each in range(MOST_LINES + 1))
    assert aligned("a", long) == [Part("a", False, 1), Part(long, True, MOST_LINES + 1)]
