"""`MailReader`: a large mail read as it arrives gives the ticket of the whole."""

import base64
import tracemalloc
from collections.abc import Iterator

import pytest

from models.errors import MailError
from models.mail.parse import MAX_MAIL_BYTES, parse_email
from models.mail.reader import MailReader
from models.ticket import Attachment
from tests.support.cost import CPU_SECONDS, cpu_seconds
from tests.unit.models.mail.hostile_mails import HEAD, MAILS
from tests.unit.models.mail.test_parse import BROKEN, SEED, mixed

LIMIT = 25_000_000


def pieces(raw: bytes, size: int) -> Iterator[bytes]:
    return (raw[start : start + size] for start in range(0, len(raw), size))


def kept(raw: bytes, size: int) -> bytes:
    reader = MailReader(LIMIT, whole_bytes=0)
    for piece in pieces(raw, size):
        reader.feed(piece)
        assert reader.held <= MAX_MAIL_BYTES + 64_000 + size
    return reader.kept()


SMALL = [
    SEED,
    *(raw for raw, _ in BROKEN.values()),
    mixed(b"\r\nwords", b"Content-Type: image/png\r\n\r\nx", b"\r\nmore"),
]


@pytest.mark.parametrize("size", [1, 3, 64, 10_000])
@pytest.mark.parametrize("raw", SMALL)
def test_pieces_of_any_size_give_the_ticket_of_the_whole(raw: bytes, size: int) -> None:
    """Broken mails are included."""
    assert parse_email(kept(raw, size)) == parse_email(raw)


def test_attachments_are_skipped_and_words_behind_them_are_read() -> None:
    """Of 20 MB of attachments only the names remain, and memory stays small."""
    line = b"JVBERi0xLjQK" * 6 + b"\r\n"
    raw = mixed(
        b"\r\nSee the file.",
        b"Content-Type: application/pdf; name=a.pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n" + line * 270_000,
        b"Content-Type: text/plain; name=b.txt\r\nContent-Disposition: attachment\r\n\r\n" + b"log line\r\n" * 9_000,
        b"\r\nAnd please answer.",
    )
    assert len(raw) > 20_000_000
    tracemalloc.start()
    result = kept(raw, 65_536)
    held = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    ticket = parse_email(result)
    assert "See the file." in ticket.body
    assert "And please answer." in ticket.body
    assert ticket.attachments == (Attachment("a.pdf", "application/pdf"), Attachment("b.txt", "text/plain"))
    assert len(result) < 2_000
    assert held < 1_000_000


def test_attachments_of_a_message_inside_are_skipped() -> None:
    """A forward as attachment has parts of its own."""
    inner = (
        mixed(b"\r\nInner words.", b"Content-Type: image/png\r\n\r\n" + b"x" * 2_000_000)
        .replace(b"boundary=b", b"boundary=c")
        .replace(b"--b", b"--c")
    )
    raw = mixed(b"\r\nPlease handle.", b"Content-Type: message/rfc822\r\n\r\n" + inner)
    assert len(kept(raw, 65_536)) < 2_000
    assert "Inner words." in parse_email(kept(raw, 65_536)).body


def test_a_mail_over_the_limit_is_refused_in_one_line() -> None:
    """The message does not contain the mail's text."""
    reader = MailReader(1_000)
    with pytest.raises(MailError) as caught:
        reader.feed(HEAD + b"secret" * 200)
    assert "secret" not in str(caught.value)
    assert "1,000" in str(caught.value)


def test_a_long_text_is_cut_and_not_refused() -> None:
    """The text alone can exceed the limit."""
    result = kept(HEAD + b"\r\nstart " + b"word " * 1_000_000, 65_536)
    assert len(result) <= MAX_MAIL_BYTES
    assert parse_email(result).body.startswith("start word")


@pytest.mark.parametrize("name", MAILS)
def test_reading_hostile_bytes_as_they_arrive_is_cheap(name: str) -> None:
    """8 MB stay within the CPU limit; more bytes do not change the cost."""
    raw = MAILS[name](8_000_000)
    assert cpu_seconds(lambda: kept(raw, 65_536)) <= CPU_SECONDS
    assert len(kept(raw, 65_536)) <= MAX_MAIL_BYTES


def test_a_small_mail_is_kept_as_it_is() -> None:
    """Removing attachments from a small mail would cost more than it saves."""
    raw = mixed(b"\r\nwords", b"Content-Type: image/png\r\n\r\n" + b"x" * 1_000)
    reader = MailReader(LIMIT)
    for piece in pieces(raw, 100):
        reader.feed(piece)
    assert reader.kept() == raw


def test_a_mail_attached_as_a_file_is_kept() -> None:
    """Its words are the message, whatever its type says; the attachment beside it is not."""
    inner = base64.encodebytes(b"Subject: Lost\n\nMy parcel.")
    kind = b"Content-Type: application/octet-stream; name=lost.eml\r\nContent-Transfer-Encoding: base64\r\n\r\n"
    raw = mixed(b"\r\nPlease handle.", b"Content-Type: image/png\r\n\r\n" + b"x" * 2_000_000, kind + inner)
    assert len(kept(raw, 65_536)) < 2_000
    assert "My parcel." in parse_email(kept(raw, 65_536)).body
