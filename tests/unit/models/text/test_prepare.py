# ruff: noqa: E501 -- one sample, one line: the table reads better than wrapped mails
"""`prepare`: the text and the flags of any ticket, without exceptions."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.text.html import html_to_text
from models.text.normalise import clean, head_and_tail
from models.text.prepare import MAX_CHARACTERS, TextFlag, prepare
from models.text.subject import read_subject
from models.ticket import Attachment, ContentType, MailFact, Ticket
from tests.support.cost import CPU_SECONDS, cpu_seconds, read_ticket
from tests.unit.models.text.hostile_texts import HTML, TEXTS, Builder

ANY_TEXT = st.text(alphabet=st.characters(), max_size=300)


def test_subject_and_body_are_joined_by_one_newline() -> None:
    """The encoder sees the subject's line, then the body."""
    assert prepare(Ticket(subject="Re: Invoice", body="It is wrong.")).text == "Invoice\nIt is wrong."


def test_a_ticket_without_text_gives_an_empty_text() -> None:
    """The text is empty and there are no flags."""
    assert prepare(Ticket(body=" \u200b\n")) == prepare(Ticket())
    assert prepare(Ticket()).text == ""
    assert prepare(Ticket()).flags == frozenset()


def test_a_subject_alone_is_flagged() -> None:
    """An empty body sets SUBJECT_ONLY."""
    assert prepare(Ticket(subject="Help")).flags == {TextFlag.SUBJECT_ONLY}


def test_facts_and_attachments_become_flags() -> None:
    """A list mail and an attachment set their flags."""
    ticket = Ticket(body="x", facts=frozenset({MailFact.LIST}), attachments=(Attachment("a.pdf", "application/pdf"),))
    assert prepare(ticket).flags == {TextFlag.LIST, TextFlag.ATTACHMENTS}


def test_a_text_that_trimming_would_empty_stays_whole() -> None:
    """A mail of nothing but a signature is read as it is."""
    prepared = prepare(Ticket(body="-- \nAnn Lee\nAcme"))
    assert prepared.text == "--\nAnn Lee\nAcme"
    assert TextFlag.UNTRIMMED in prepared.flags
    assert TextFlag.SIGNATURE_REMOVED not in prepared.flags


def test_long_text_keeps_three_quarters_head_and_a_quarter_tail() -> None:
    """The cap is exact, says so, and keeps both ends."""
    prepared = prepare(Ticket(body="start " + "word " * 5_000 + "end"))
    assert len(prepared.text) == MAX_CHARACTERS
    assert prepared.text.startswith("start")
    assert prepared.text.endswith("end")
    assert TextFlag.CHARACTERS_CAPPED in prepared.flags
    assert head_and_tail("a" * 80 + "b" * 20, 41).count("b") == 10


def test_html_is_recognised_without_a_label() -> None:
    """Exports send HTML as plain text: a body that begins with a tag is HTML, a lone `<` is not."""
    assert prepare(Ticket(body="<p>It is <b>broken</b></p>")).text == "It is broken"
    assert prepare(Ticket(body="<3 my order, a < b")).text == "<3 my order, a < b"


@pytest.mark.parametrize(
    ("subject", "text", "forwarded"),
    [
        ("Re: AW: Fwd: Order", "Order", False),
        ("WG: AW: Order", "Order", True),
        ("TR : Commande", "Commande", True),
        ("Re[2]: Order", "Order", False),
        ("回复：订单", "订单", False),
        ("[ticket #123] Re: Order", "Order", False),
        ("[EXTERNAL] Fwd: Order", "Order", True),
        ("[Billing] Order", "[Billing] Order", False),
        ("Return: broken vase", "Return: broken vase", False),
        ("Re:", "", False),
        ("Order\r\nBcc: x", "Order Bcc: x", False),
    ],
)
def test_subject_prefixes_and_ticket_tags_go(subject: str, text: str, forwarded: bool) -> None:
    """Prefixes of many languages go, however many; a word that only looks like one stays."""
    found = read_subject(subject)
    assert (found.text, found.forwarded) == (text, forwarded)


@pytest.mark.parametrize(
    ("raw", "cleaned"),
    [
        ("schÃ¶n, donâ€™t", "schön, don’t"),
        ("MANHÃ”", "MANHÃ”"),
        ("ｆｕｌｌ\u00a0width ﬁ", "full width fi"),
        ("a\u200bb\ufeffc\u00add", "abcd"),
        ("a\r\nb\rc\u2028d", "a\nb\nc\nd"),
        ("a \t b\n \n\n\n c", "a b\n\nc"),
        ("\ud83d\ude00 \ud800", "😀 \ufffd"),
        ("e\u0301", "é"),
        ("a\x00b\x1bc", "abc"),
    ],
)
def test_unicode_is_repaired_and_folded(raw: str, cleaned: str) -> None:
    """Mojibake, compatibility forms, invisible characters and line ends have one spelling."""
    assert clean(raw) == cleaned


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("a<br>b<p>c</p>d", "a\nb\n\nc\nd"),
        ("<ul><li>a<li>b</ul>", "- a\n- b"),
        ("<table><tr><td>a<td>b<tr><td>c</table>", "a b\nc"),
        ("<pre>a\n b</pre>", "a\nb"),
        ("a &lt; b &amp;&#8364;&nbsp;c &#" + "9" * 5_000 + ";", "a < b &€ c"),
        ('<a title="x > y">link</a>', "link"),
        ("<script>a<b</script>x<style>y</style>", "x"),
        ("<!--[if mso]>a<![endif]-->b<![if !mso]>c<![endif]>", "bc"),
        ("a < b and 3<4", "a < b and 3<4"),
        ("<blockquote>old<blockquote>older</blockquote></blockquote>new", "> old\n> older\nnew"),
        ('<blockquote style="margin:0 0 0 40px; border: none">mine</blockquote>', "mine"),
        ('<div style="display:none">a<div>b</div>c</div>d', "d"),
        ("<!-- never closed", "never closed"),
        ("<p", ""),
    ],
)
def test_html_becomes_text(html: str, text: str) -> None:
    """Line breaks, lists, cells, entities and quotes come through; scripts, comments and hidden text do not."""
    assert html_to_text(html) == text


def test_html_that_is_hidden_entirely_is_read() -> None:
    """Otherwise the ticket would be empty."""
    assert prepare(Ticket(body='<div style="display:none">secret</div>', content_type="text/html")).text == "secret"


def _spent(build: Builder, content_type: ContentType, subject: str) -> float:
    """CPU of the service for a megabyte."""
    large = build(1_000_000)
    return cpu_seconds(lambda: read_ticket(Ticket(subject=subject or large, body=large, content_type=content_type)))


@pytest.mark.parametrize("subject", ["", "Re: x"])
@pytest.mark.parametrize("name", TEXTS)
def test_hostile_text_stays_within_its_budget(name: str, subject: str) -> None:
    """A million characters of the worst kind take a bounded time of CPU."""
    assert _spent(TEXTS[name], "text/plain", subject) <= CPU_SECONDS


@pytest.mark.parametrize("name", HTML)
def test_hostile_html_stays_within_its_budget(name: str) -> None:
    """A million characters of HTML take bounded CPU time."""
    assert _spent(HTML[name], "text/html", "") <= CPU_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("subject", ["", "Re: x"])
@pytest.mark.parametrize("name", [*TEXTS, *HTML])
def test_reading_a_text_grows_with_its_size(name: str, subject: str) -> None:
    """Without a budget: four times the text takes ten times the time at most; quadratic work takes sixteen."""
    build = TEXTS.get(name) or HTML[name]
    kind: ContentType = "text/plain" if name in TEXTS else "text/html"

    def spent(size: int) -> float:
        ticket = Ticket(subject=subject, body=build(size), content_type=kind)
        return cpu_seconds(lambda: prepare(ticket))

    assert spent(1_000_000) <= 10 * spent(250_000) + 0.02


@pytest.mark.parametrize("name", [*TEXTS])
def test_normalisers_are_linear_without_the_caps(name: str) -> None:
    """Caps must not be what makes a step fast: `clean` alone grows with its input, not with its square."""
    quarter = cpu_seconds(lambda: clean(TEXTS[name](50_000)))
    assert cpu_seconds(lambda: clean(TEXTS[name](200_000))) <= 10 * quarter + 0.02


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT, ANY_TEXT, st.sampled_from(["text/plain", "text/html"]))
def test_no_text_raises(subject: str, body: str, content_type: ContentType) -> None:
    """Whatever the characters, surrogates included: a text within the cap that UTF-8 can carry."""
    prepared = prepare(Ticket(subject=subject, body=body, content_type=content_type))
    assert len(prepared.text.encode()) <= 4 * MAX_CHARACTERS
    assert prepared.text == prepared.text.strip()


MARKUP = st.sampled_from(
    ["<div>", "</div>", "<p>", "<br>", "<hr>", "<pre>", "</pre>", "<li>", "<td>", "<blockquote type=cite>", "</blockquote>", "<style>",
     "</STYLE>", "<!--", "-->", "<div style=display:none>", "<span hidden>", "</span>", "&amp;", "&#8364;", "&", "<", ">", '"', "a", " ", "\n", "😀", "\ud800"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(MARKUP, max_size=60))
def test_any_order_of_markup_is_a_bounded_text(pieces: list[str]) -> None:
    """Tags open, closed and crossed at will: nothing raises, and the longest piece of text for a tag is a rule."""
    source = "".join(pieces)
    assert len(html_to_text(source)) <= 10 * len(source) + 100
    prepare(Ticket(body=source, content_type="text/html")).text.encode()


MAIL_LINES = st.sampled_from(
    ["", "hello", "> quoted", ">", "On 3 Mar 2020 at 10:10, Ann <a@b.c> wrote:", "From: Ann <a@b.c>", "To: Bob", "Subject: x",
     "Sent: 3 March 2020 10:10", "-- ", "_" * 32, "-----Original Message-----", "---------- Forwarded message ---------",
     "Begin forwarded message:", "Best regards,", "Sent from my iPhone", "<", "wrote:", "This e-mail is confidential, delete it."]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(MAIL_LINES, max_size=30))
def test_any_order_of_mail_lines_leaves_only_words_of_the_mail(lines: list[str]) -> None:
    """Cutting never invents text, and never returns nothing for something."""
    body = "\n".join(lines)
    text = prepare(Ticket(body=body)).text
    assert set(text.split()) <= set(body.split())
    assert bool(text) == bool(body.strip())


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="aZé ß\n\r\t\u200b\u0301\x00\u2028>ﬁ日😀\u00a0", max_size=300))
def test_cleaning_twice_changes_nothing(text: str) -> None:
    """Train and serve agree even where one of them cleaned before (twice-broken mojibake apart)."""
    once = clean(text)
    assert clean(once) == once
