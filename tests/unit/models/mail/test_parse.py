# ruff: noqa: E501 -- one sample, one line: the table reads better than wrapped mails
"""`parse_email`: a ticket from any bytes."""

import base64
from urllib.parse import quote

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.cpu_budget import UNLIMITED
from models.errors import MailError
from models.mail.parse import MAX_ATTACHMENTS, MAX_MAIL_BYTES, parse_email
from models.text.prepare import TextFlag, prepare
from models.ticket import Attachment, ForwardedFrom
from tests.support.cost import CPU_SECONDS, cpu_seconds, read
from tests.unit.models.mail.hostile_mails import HEAD, MAILS


def mixed(*parts: bytes, kind: bytes = b"mixed") -> bytes:
    body = b"".join(b"--b\r\n" + part + b"\r\n" for part in parts)
    return HEAD + b"Content-Type: multipart/" + kind + b"; boundary=b\r\n\r\n" + body + b"--b--\r\n"


def test_a_plain_mail_gives_all_its_fields() -> None:
    """Subject, body, sender and recipients, addresses in lower case."""
    ticket = parse_email(HEAD + b"\r\nIt is lost.\r\n")
    assert ticket.subject == "Parcel"
    assert ticket.body == "It is lost.\n"
    assert ticket.sender == "ann@home.example"
    assert ticket.recipients == ("help@shop.example", "bob@shop.example")
    assert ticket.facts == frozenset()


def test_plain_text_is_preferred_to_html() -> None:
    """Of two versions the plain one is read; without it, the HTML one, and the type says so."""
    html = b"Content-Type: text/html\r\n\r\n<p>It is <b>lost</b>.</p>"
    plain = b"Content-Type: text/plain\r\n\r\nIt is lost."
    both = parse_email(mixed(plain, html, kind=b"alternative"))
    assert (both.body, both.content_type) == ("It is lost.", "text/plain")
    alone = parse_email(mixed(html, kind=b"alternative"))
    assert (alone.body, alone.content_type) == ("<p>It is <b>lost</b>.</p>", "text/html")
    empty_plain = parse_email(mixed(b"Content-Type: text/plain\r\n\r\n \r\n", html, kind=b"alternative"))
    assert empty_plain.content_type == "text/html"


def test_attachments_are_named_and_not_read() -> None:
    """Name and type only, RFC 2231 and encoded words decoded, text attachments too."""
    ticket = parse_email(
        mixed(
            b"Content-Type: text/plain\r\n\r\nSee files.",
            b"Content-Type: application/pdf; name*0*=utf-8''%e2%82%ac; name*1=\"uro.pdf\"\r\n\r\nSECRET",
            b'Content-Type: text/plain\r\nContent-Disposition: attachment; filename="=?utf-8?q?a=C3=BC.txt?="\r\n\r\nSECRET',
        )
    )
    assert ticket.attachments == (Attachment("€uro.pdf", "application/pdf"), Attachment("aü.txt", "text/plain"))
    assert "SECRET" not in ticket.body


def test_a_message_forwarded_as_attachment_is_read_when_nothing_else_is_there() -> None:
    """With many words of its own the outer mail is the ticket; without, the message inside."""
    inner = b"Content-Type: message/rfc822\r\n\r\nSubject: inner\r\n\r\nInner words."
    assert parse_email(mixed(inner)).body == "Inner words."
    long = b"Outer words. " * 100
    assert parse_email(mixed(b"\r\n" + long, inner)).body == long.decode()


def test_a_message_forwarded_as_attachment_stands_below_a_few_words() -> None:
    """As an inline forward: the words above, then the inner subject and text, HTML or not, flagged."""
    inner = b"Content-Type: message/rfc822\r\n\r\nSubject: Lost\r\nContent-Type: text/html\r\n\r\n<p>My parcel.</p>"
    prepared = prepare(parse_email(mixed(b"\r\nPlease handle.\r\n\r\n-- \r\nAnn Lee\r\nAcme", inner)))
    assert prepared.text == "Parcel\nPlease handle.\n\nLost\n\nMy parcel."
    assert TextFlag.FORWARDED in prepared.flags
    rich = prepare(parse_email(mixed(b"Content-Type: text/html\r\n\r\n<p>Please handle.</p>", inner)))
    assert rich.text == "Parcel\nPlease handle.\n\nLost\n\nMy parcel."


def test_a_delivery_report_is_not_read_for_the_message_it_returns() -> None:
    """The returned message is our own."""
    report = b"Content-Type: message/delivery-status\r\n\r\nAction: failed"
    returned = b"Content-Type: message/rfc822\r\n\r\nSubject: Ours\r\n\r\nDear customer"
    assert parse_email(mixed(b"\r\nNot delivered.", report, returned, kind=b"report")).body == "Not delivered."


@pytest.mark.parametrize(
    ("plain", "text"),
    [
        ("Your mail client does not support HTML.", "Your mail client does not support HTML.\n\nMy parcel is lost."),
        ("parcel?", "My parcel is lost."),
        ("My parcel is lost!\nPlease help.", "My parcel is lost!\nPlease help."),
        ("please handle <soon>", "please handle <soon>\n\nMy parcel is lost."),
        ("My parcel is lost!", "My parcel is lost!"),
        ("How do I export HTML?", "How do I export HTML?\n\nMy parcel is lost."),
    ],
)
def test_a_short_plain_part_gives_way_to_an_html_part_that_says_more(plain: str, text: str) -> None:
    """Where the HTML has its words, it stands alone; where it lacks them, they stay above it."""
    html = b"Content-Type: text/html\r\n\r\n<p>My parcel is lost.</p>"
    mail = mixed(b"\r\n" + plain.encode(), html, kind=b"alternative")
    assert prepare(parse_email(mail)).text == f"Parcel\n{text}"


@pytest.mark.parametrize(
    ("charset", "text"),
    [
        ("iso-8859-1", "Größe"), ("windows-1252", "don’t"), ("iso-2022-jp", "注文"), ("shift_jis", "注文した"),
        ("gb2312", "订单"), ("ks_c_5601-1987", "주문"), ("koi8-r", "заказ"), ("utf-8", "😀"), ("utf-7", "Größe"),
    ],
)  # fmt: skip
def test_a_declared_charset_is_used(charset: str, text: str) -> None:
    """The label is followed where it is a charset."""
    head = b"Content-Type: text/plain; charset=" + charset.encode() + b"\n\n"
    assert parse_email(head + text.encode(charset)).body == text


@pytest.mark.parametrize(
    ("encoding", "text"),
    [
        ("utf-8", "Größe"), ("cp1252", "Où est ma commande?"), ("cp1251", "Здравствуйте, где мой заказ?"),
        ("koi8_r", "Здравствуйте, где мой заказ?"), ("cp932", "注文した商品がまだ届きません。"), ("euc_kr", "주문한 상품이 없습니다"),
        ("gb18030", "您好，我的订单还没有收到"), ("big5", "您好，我的訂單還沒有收到"), ("cp1253", "Καλημέρα, πού είναι η παραγγελία;"),
        ("iso2022_jp", "注文した商品"), ("utf-16", "Größe"),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "label", [b"", b"Content-Type: text/plain; charset=x-unknown\n", b"Content-Type: text/plain; charset=idna\n"]
)
def test_an_undeclared_charset_is_guessed(encoding: str, text: str, label: bytes) -> None:
    """No label, an unknown one, or a codec that is no charset: the text is still readable."""
    if encoding == "utf-16":
        label = b""
        raw = ("Subject: x\n\n" + text).encode(encoding)
    else:
        raw = b"Subject: x\n" + label + b"\n" + text.encode(encoding)
    assert parse_email(raw).body == text


BROKEN = {
    "nothing": (b"", ""),
    "no header": (b"just a body", "just a body"),
    "no body": (HEAD, ""),
    "mailbox line": (b"From ann Mon Jan 1\n" + HEAD + b"\nhi", "hi"),
    "junk between headers": (b"Subject: x\njunk line\nFrom: a@b\n\nhi", "hi"),
    "old line ends": (HEAD.replace(b"\r\n", b"\r") + b"\rhi", "hi"),
    "no boundary given": (HEAD + b"Content-Type: multipart/mixed\n\n--x\nContent-Type: text/plain\n\nhi\n--x--\n", "hi"),
    "wrong boundary": (HEAD + b"Content-Type: multipart/mixed; boundary=q\n\n--x\n\nhi\n--x--\n", "hi"),
    "boundary never used": (HEAD + b"Content-Type: multipart/mixed; boundary=q\n\nhi", "hi"),
    "boundary that begins another": (
        HEAD + b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhi\n--xy\nstill\n--x--\n", "hi\n--xy\nstill"),
    "never closed": (HEAD + b"Content-Type: multipart/mixed; boundary=x\n\n--x\n\nhi", "hi"),
    "bad base64": (b"Subject: x\nContent-Transfer-Encoding: base64\n\naGVs!bG8gd29y*bGQ", "hello world"),
    "cut base64": (b"Subject: x\nContent-Transfer-Encoding: base64\n\naGVsbG8gd29ybGQ", "hello world"),
    "unknown encoding": (b"Subject: x\nContent-Transfer-Encoding: q\n\nhi", "hi"),
    "bad quoted-printable": (b"Subject: x\nContent-Transfer-Encoding: quoted-printable\n\nh=zzi =", "h=zzi "),
    "no content type value": (b"Subject: x\nContent-Type: \n\nhi", "hi"),
}  # fmt: skip


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_mail_is_still_read(name: str) -> None:
    """Only the damaged part is lost."""
    raw, body = BROKEN[name]
    assert parse_email(raw).body == body


@pytest.mark.parametrize(
    ("raw", "subject"),
    [
        (b"=?utf-8?q?Gr=C3=BC=C3=9Fe?=", "Grüße"),
        (b"=?utf-8?b?R3LD?= =?utf-8?b?vMOfZQ==?=", "Grüße"),
        (b"Re: =?iso-8859-1?Q?Gr=FC=DFe?= aus =?utf-8?q?Ulm?=", "Re: Grüße aus Ulm"),
        ("Grüße".encode(), "Grüße"),
        ("Grüße".encode("latin-1"), "Grüße"),
        (b"=?utf-8?b?!!!?=", ""),
        (b"=?broken", "=?broken"),
        (b"two\r\n lines", "two lines"),
    ],
)
def test_subjects_are_decoded(raw: bytes, subject: str) -> None:
    """Encoded words, raw bytes, characters split between words, and folding."""
    assert parse_email(b"Subject: " + raw + b"\r\n\r\nx").subject == subject


def test_too_many_bytes_are_refused_in_one_line() -> None:
    """The message names the limit and repeats nothing of the mail."""
    with pytest.raises(MailError) as caught:
        parse_email(b"Subject: secret\n\n" + b"x" * MAX_MAIL_BYTES)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)
    assert f"{MAX_MAIL_BYTES:,}" in str(caught.value)
    parse_email(b"x" * MAX_MAIL_BYTES)


@pytest.mark.parametrize("name", MAILS)
def test_a_hostile_mail_stays_within_its_budget(name: str) -> None:
    """Any mail within the limit is a ticket and a text, or found too complex, after a bounded time of CPU."""
    raw = MAILS[name](MAX_MAIL_BYTES)[:MAX_MAIL_BYTES]
    assert cpu_seconds(lambda: read(raw)) <= CPU_SECONDS


@pytest.mark.slow
@pytest.mark.parametrize("name", MAILS)
def test_reading_a_mail_grows_with_its_size(name: str) -> None:
    """Without a budget: four times the mail takes ten times the time at most; quadratic work takes sixteen."""
    build = MAILS[name]
    quarter = cpu_seconds(lambda: read(build(MAX_MAIL_BYTES // 4), UNLIMITED))
    assert cpu_seconds(lambda: read(build(MAX_MAIL_BYTES)[:MAX_MAIL_BYTES], UNLIMITED)) <= 10 * quarter + 0.02


SEED = mixed(
    b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\nGr=C3=BC=C3=9Fe",
    b"Content-Type: message/rfc822\r\n\r\nSubject: =?utf-8?b?eA==?=\r\n\r\nInner",
    b"Content-Type: image/png; name*0*=utf-8''a%20b\r\nContent-Transfer-Encoding: base64\r\n\r\naGk=",
)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, len(SEED)), st.integers(0, 40), st.binary(max_size=12)), max_size=8))
def test_no_damage_to_a_mail_raises(edits: list[tuple[int, int, bytes]]) -> None:
    """Bytes replaced, removed or inserted anywhere give a ticket."""
    raw = SEED
    for start, length, new in edits:
        raw = raw[:start] + new + raw[start + length :]
    prepare(parse_email(raw)).text.encode()


NAMES = st.text(alphabet="abc ü€日.", min_size=1, max_size=20)
ENCODINGS = st.sampled_from([b"base64", b"quoted-printable", b"x-uuencode", b"8bit", b"x-none"])
KINDS = st.sampled_from([b"application/pdf", b"image/png", b"text/plain", b"text/html", b"application/x-none"])
DECODERS = (
    "models.mail.mime.decode_base64",
    "models.mail.mime.quopri.decodestring",
)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(NAMES, KINDS, ENCODINGS, st.binary(max_size=60)), max_size=5))
def test_attachments_are_never_decoded(attached: list[tuple[str, bytes, bytes, bytes]]) -> None:
    """Name and type are kept; no decoder is called, whatever the type and encoding."""
    parts = [b"Content-Type: text/plain\r\n\r\nSee files."]
    for name, kind, encoding, content in attached:
        disposition = b"attachment; filename*=utf-8''" + quote(name).encode()
        head = b"Content-Type: %b\r\nContent-Disposition: %b\r\nContent-Transfer-Encoding: %b" % (
            kind,
            disposition,
            encoding,
        )
        parts.append(head + b"\r\n\r\nQ0FOQVJZ" + base64.b64encode(content))
    with pytest.MonkeyPatch.context() as patch:
        for decoder in DECODERS:
            patch.setattr(decoder, _nothing_to_decode)
        ticket = parse_email(mixed(*parts))
    assert ticket.body == "See files."
    assert ticket.attachments == tuple(Attachment(name.strip(), kind.decode()) for name, kind, _, _ in attached)


def _nothing_to_decode(*_arguments: object, **_options: object) -> bytes:
    raise AssertionError("an attachment was decoded")


LINES = st.sampled_from(
    [b"Content-Type: multipart/mixed; boundary=b", b"Content-Type: multipart/alternative; boundary=c", b"", b"--b", b"--c",
     b"--b--", b"--c--", b"Content-Type: text/html", b"Content-Type: message/rfc822", b"Content-Transfer-Encoding: base64",
     b"Content-Transfer-Encoding: x-uuencode", b"Content-Disposition: attachment; filename=a", b"Subject: x", b"From: a@b",
     b"<p>hi</p>", b"aGVsbG8=", b"M", b"hello", b" folded", b"\xff\xfe"]
)  # fmt: skip


@settings(max_examples=500, deadline=None)
@given(st.lists(LINES, max_size=40))
def test_any_order_of_mail_lines_is_a_bounded_ticket(lines: list[bytes]) -> None:
    """No exception, and the size of the ticket is bounded by the size of the input."""
    raw = b"\n".join(lines)
    ticket = parse_email(raw)
    # UTF-8 and HTML's quoting can stand for more characters.
    assert len(ticket.body) <= 60 * len(raw) + 200
    assert len(ticket.attachments) <= min(MAX_ATTACHMENTS, len(lines) + 1)
    prepare(ticket).text.encode()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=400))
def test_no_bytes_raise(raw: bytes) -> None:
    """Any bytes give a ticket."""
    prepare(parse_email(raw)).text.encode()


MANY = b" ".join(b"word%d" % number for number in range(60))


@pytest.mark.parametrize(
    ("parts", "words", "absent"),
    [
        ([b"\r\nView this online: https://x.example", b"Content-Type: text/html\r\n\r\n<p>" + MANY + b"</p>"], ["word59", "online"], []),
        ([b"\r\nword1 word2", b"Content-Type: text/html\r\n\r\n<p>" + MANY + b"</p>"], ["word59"], []),
        ([b"Content-Type: text/html\r\n\r\n<p>" + MANY + b"</p>", b"\r\n___\r\nList footer"], ["word59", "List footer"], []),
        ([b'Content-Type: text/plain; name=a.txt\r\nContent-Disposition: inline; filename="a.txt"\r\n\r\nIt is lost.'], ["It is lost."], []),
        ([b"Content-Type: text/enriched\r\n\r\nIt <bold>is</bold>\r\nlost.<param>red</param>"], ["It is\nlost."], ["bold", "red"]),
        ([b"Content-Type: text/markdown\r\n\r\nIt **is** lost."], ["**is** lost"], []),
        ([b"Content-Type: application/xhtml+xml\r\n\r\n<html><p>It is lost.</p></html>"], ["It is lost."], ["html"]),
        ([b"\r\nIt is lost.", b"Content-Type: text/vcard\r\n\r\nFN:Ann"], ["It is lost."], ["FN"]),
    ],
)  # fmt: skip
def test_the_parts_with_words_are_read(parts: list[bytes], words: list[str], absent: list[str]) -> None:
    """Also where they are named, of another type, or the HTML says more than the plain text."""
    text = prepare(parse_email(mixed(*parts))).text
    assert [each for each in words if each not in text] == []
    assert [each for each in absent if each in text] == []


@pytest.mark.parametrize(
    ("raw", "subject", "body"),
    [
        (b"Subject: my order\nis not\nhere\nFrom: a@b.example\n\nhi", "my order is not here", "hi"),
        (b"From: a@b.example\nContent-Type: multipart/mixed;\nboundary=x\nSubject: y\n\n--x\n\nhi\n--x--", "y", "hi"),
        (b"gateway says hello\nFrom: a@b.example\nSubject: y\n\nhi", "y", "hi"),
        (b"one\ntwo\nReceived: by x\nSubject: y\n\nhi", "y", "hi"),
        (b"Dear all\nthe order: lost\nplease help", "", "Dear all\nthe order: lost\nplease help"),
    ],
)
def test_broken_heads_are_read_on(raw: bytes, subject: str, body: str) -> None:
    """Lines that should be indented belong to the field above; junk before the first field is skipped."""
    ticket = parse_email(raw)
    assert (ticket.subject, ticket.body) == (subject, body)


def test_a_mail_attached_as_a_file_is_read() -> None:
    """Webmailers send a saved mail as a sequence of octets."""
    inner = base64.encodebytes(b"From: Kim <kim@home.example>\nSubject: Lost\n\nMy parcel.")
    head = b"Content-Type: multipart/mixed; boundary=b\n\n--b\n\nPlease handle.\n--b\n"
    kind = b"Content-Type: application/octet-stream; name=Lost.EML\nContent-Transfer-Encoding: base64\n\n"
    ticket = parse_email(head + kind + inner + b"--b--\n")
    assert "My parcel." in ticket.body
    assert ticket.forwarded_from == ForwardedFrom("kim@home.example", "Lost")


def test_forwarded_from_is_read_from_an_attached_message() -> None:
    """`forwarded_from` holds the inner sender and subject, for rules and adapters."""
    inner = b"Content-Type: message/rfc822\r\n\r\nFrom: Kim <kim@home.example>\r\nSubject: Lost\r\n\r\nMy parcel."
    ticket = parse_email(mixed(b"\r\nPlease handle.", inner))
    assert ticket.forwarded_from == ForwardedFrom("kim@home.example", "Lost")
    assert prepare(ticket).forwarded_from == ForwardedFrom("kim@home.example", "Lost")


def test_reply_headers_mark_a_mail_as_a_reply() -> None:
    """Outlook's header block is then quoted history, whatever the subject."""
    body = b"\r\nI want my money back, and soon.\r\n\r\nFrom: Shop\r\nSent: Monday, 3 March 2025 09:01\r\nTo: Ann\r\nSubject: x\r\n\r\nWhen?\r\n"
    assert "When?" in prepare(parse_email(HEAD + body)).text
    assert "When?" not in prepare(parse_email(HEAD + b"In-Reply-To: <1@shop.example>\r\n" + body)).text
    assert "When?" not in prepare(parse_email(HEAD + b"References: <1@shop.example>\r\n" + body)).text


@pytest.mark.parametrize(("quoted", "stays"), [(b"Kim <kim@home.example>", True), (b"Help <help@shop.example>", False)])
def test_a_forward_with_the_headers_of_a_reply_is_a_forward(quoted: bytes, stays: bool) -> None:
    """Outlook sets `In-Reply-To` on both; only a reply goes to the quoted sender."""
    body = b"\r\nNot for us, I think it is yours.\r\n\r\nFrom: %s\r\nSent: Monday, 3 March 2025 09:01\r\nTo: Ann\r\nSubject: x\r\n\r\nMy money.\r\n"
    prepared = prepare(parse_email(HEAD + b"In-Reply-To: <1@shop.example>\r\n" + body % quoted))
    assert ("My money." in prepared.text) is stays
    assert (prepared.forwarded_from is not None) is stays
