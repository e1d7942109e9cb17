"""What was cut from a body, block by block, with the rule."""

from hypothesis import given
from hypothesis import strategies as st

from models.text.cuts import Block, Rule, blocks
from models.text.prepare import prepare
from models.ticket import Ticket


def cut(body: str, *, subject: str = "Re: Refund") -> list[Block]:
    ticket = Ticket(subject=subject, body=body, replied=True)
    return blocks(ticket, prepare(ticket))


def test_signature_attribution_and_quote_are_named() -> None:
    body = (
        "Please refund.\n\nBest\n\n-- \nAnn Smith\n+49 30 123456\n\n"
        "On Mon, 3 Mar 2025 at 10:10, Bob <bob@x.com> wrote:\n> old\n> text\n"
    )
    assert cut(body) == [
        Block(None, "Please refund.\n\nBest"),
        Block(Rule.SIGNATURE, "--\nAnn Smith\n+49 30 123456"),
        Block(Rule.ATTRIBUTION, "On Mon, 3 Mar 2025 at 10:10, Bob <bob@x.com> wrote:"),
        Block(Rule.QUOTE, "> old\n> text"),
    ]


def test_mail_below_a_header_block_is_named() -> None:
    header = "From: Bob <bob@x.com>\nSent: Monday, 3 March 2025 10:10\nTo: Ann <a@b.de>\nSubject: Help"
    assert cut(f"Please help.\n\n{header}\n\nThe old mail\nof Bob") == [
        Block(None, "Please help."),
        Block(Rule.HEADER, header),
        Block(Rule.QUOTED_MAIL, "The old mail\nof Bob"),
    ]


def test_middle_of_a_long_text_is_named() -> None:
    lines = [f"line {number}" for number in range(2000)]
    found = cut("\n".join(lines))
    assert [block.rule for block in found] == [None, Rule.LENGTH, None]
    assert found[0].text.startswith("line 0\n")
    assert found[2].text.endswith("line 1999")


def test_text_of_which_nothing_was_cut_is_one_block() -> None:
    assert cut("Hello,\n\nwhere is it?\n\nAnn", subject="x") == [Block(None, "Hello,\n\nwhere is it?\n\nAnn")]


@given(st.lists(st.sampled_from(["> a", "-- ", "", "a", "On Mon, 3 Mar 2025, Bob <b@x.com> wrote:", "From: a@b.c"])))
def test_every_line_is_in_one_block(lines: list[str]) -> None:
    ticket = Ticket(subject="Re: x", body="\n".join(lines), replied=True)
    found = blocks(ticket, prepare(ticket))
    shown = [line.strip() for block in found for line in block.text.split("\n") if line]
    assert shown == [line.strip() for line in lines if line]
