"""`>` lines and blockquotes: quoted history if an attribution or the markup says so, else content."""

import pytest

from models.text.prepare import TextFlag, prepare
from models.ticket import Ticket

OWN = (
    ("Re: Order", "> Which number?\n\nIt is 4711."),
    ("[Billing] Re: Order", "> Which number?\n\nIt is 4711."),
    ("Order", "> > Which number?\n>\n> Which one?\n\nIt is 4711."),
    ("AW: Order", "It is 4711.\n\n> Which number?"),
    ("", "It is 4711.\n\n> Dear customer,\n> which number\n> is it?"),
    ("CLI broken", "$ acme push\n> Building\n> Error: ENOENT"),
    ("API error", "Running this:\n\n>>> import acme\n>>> acme.login()\nTraceback"),
    ("Re: API error", "Running this:\n\n>>> import acme\n>>> acme.login()\nTraceback"),
    ("Limits", "> 100 users are allowed?\nOr less?"),
    ("Export", "Your docs say:\n\n> Export runs nightly.\n\nBut mine did not."),
    ("Fwd: CLI broken", "See:\n\n> I cannot push.\n> It says ENOENT.\n> Ann"),
    ("", "$ acme push\n> Building\n> Linking\n> Error: ENOENT"),
)
LOG_LINES = (
    "2026-03-03 10:10:05 worker wrote:",
    "[10:15] app wrote:",
    "At 10:15 the server wrote:",
    "2026-03-03 10:10:05 ERROR Worker wrote:",
)


def _text(subject: str, body: str) -> str:
    return prepare(Ticket(subject=subject, body=body)).text


@pytest.mark.parametrize(("subject", "body"), OWN)
def test_quotes_without_an_attribution_stay(subject: str, body: str) -> None:
    """Shell output, an interpreter, a comparison and a passage of the docs are typed like a quote, in replies too."""
    assert _text(subject, body).endswith(body)


@pytest.mark.parametrize("subject", ["", "Crash"])
@pytest.mark.parametrize("line", LOG_LINES)
def test_a_log_line_with_wrote_is_no_attribution(subject: str, line: str) -> None:
    """The line "wrote:" in a program's output introduces no quoted mail."""
    body = f"It crashed.\n{line}\n> stack trace\n> at line 4\nPlease help"
    assert _text(subject, body).endswith(body)


@pytest.mark.parametrize(
    ("subject", "body"),
    [
        (
            "Order",
            "On Tue, Mar 3, 2020 at 1:11 PM Ann <a@b.example> wrote:\n> Which number?\n\nIt is 4711.\n\n> Thanks",
        ),
        (
            "Order",
            "It is 4711.\n\n> Op 2 feb. 2015 om 05:28 heeft Ann <a@b.example> het volgende geschreven:\n> Which?",
        ),
        ("Re: Order", "It is 4711.\n\n> On 3/3/20 1:11 PM, Shop Service <a@b.example> wrote:\n>\n> Which number?"),
        ("Order", "On 3/3/20 1:11 PM, Shop Service wrote:\n>>> Which number?\n\nIt is 4711."),
    ],
)
def test_an_attribution_makes_quotes_history(subject: str, body: str) -> None:
    """Above the quote or inside it, whatever the subject."""
    prepared = prepare(Ticket(subject=subject, body=body))
    assert prepared.text.splitlines()[-1] == "It is 4711."
    assert "number" not in prepared.text
    assert TextFlag.QUOTED_REMOVED in prepared.flags


def test_markup_of_a_mail_client_makes_blockquotes_history() -> None:
    """`type=cite` needs no attribution."""
    html = '<p>It is 4711.</p><blockquote type="cite">Which number?</blockquote>'
    assert prepare(Ticket(subject="Order", body=html, content_type="text/html")).text == "Order\nIt is 4711."


def test_a_header_block_without_an_address_is_a_form() -> None:
    """From a town to a town on a day, in a first mail and in a reply, and below a marker that nothing stands above."""
    form = "From: Berlin\nTo: Paris\nDate: 3 March\nSubject: refund\n\nCancelled."
    assert _text("Trip", f"Hello,\n{form}") == f"Trip\nHello,\n{form}"
    assert _text("Re: Trip", f"My train was:\n{form}") == f"Trip\nMy train was:\n{form}"
    assert _text("Trip", f"Hello,\n-----Original Message-----\n{form}").endswith(form)


def test_outlooks_old_message_leaves_no_false_flag() -> None:
    """The rule above it is no disclaimer."""
    html = (
        '<div>Top</div><div id="appendonsend"></div><hr><div id="divRplyFwdMsg"><b>From:</b> S &lt;a@b.example&gt;<br>'
        "<b>Sent:</b> 3 March 2020 13:11<br><b>To:</b> Ann<br><b>Subject:</b> x</div><div>old</div>"
    )
    prepared = prepare(Ticket(body=html, content_type="text/html"))
    assert prepared.text == "Top"
    assert prepared.flags == {TextFlag.HTML, TextFlag.QUOTED_REMOVED}
