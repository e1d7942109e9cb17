"""Mails → records: an mbox, one .eml file, or a folder of them, whose subfolders are the `folder` column."""

import re
from collections.abc import Iterator
from pathlib import Path

from models.cpu_budget import Budget
from models.errors import MailError, TicketRouterError
from models.mail.headers import decode_words, header, split_head
from models.mail.parse import MAX_MAIL_BYTES, parse_email
from models.mail.reader import MailReader
from training.data.formats.raw import RawFile, unpacking
from training.data.formats.table import Record, Rereadable, Table, sound

_FROM_LINE = re.compile(rb"From (?:\S+|-)\s.*\b\d{1,2}:\d{2}")
_ESCAPED = re.compile(rb"^>(>*From )", re.MULTILINE)
_SECONDS = 5.0
_LARGEST = 200 << 20
_PLAIN = ("date", "keywords", "list-id", "in-reply-to")


def is_mbox(head: bytes) -> bool:
    return _FROM_LINE.match(head) is not None


def is_mail_folder(path: Path) -> bool:
    return path.is_dir() and next(_mail_files(path), None) is not None


def open_mbox(raw: RawFile) -> Table:
    def read() -> Iterator[Record]:
        lines: list[bytes] = []
        number, blank, size = 0, True, 0
        with unpacking(raw.path), raw.open() as file:
            for line in file:
                if blank and _FROM_LINE.match(line):
                    if number:
                        yield _record(number, _ESCAPED.sub(rb"\1", b"".join(lines)), "")
                    number, lines, size = number + 1, [], 0
                    blank = False
                    continue
                blank = not line.strip()
                size += len(line)
                if size < _LARGEST:
                    lines.append(line)
        if number:
            yield _record(number, _ESCAPED.sub(rb"\1", b"".join(lines)), "")

    return Table(raw.path, (), Rereadable(read), (*raw.notes, "read as an mbox of mails"), "mail")


def open_eml(raw: RawFile) -> Table:
    def read() -> Iterator[Record]:
        with unpacking(raw.path), raw.open() as file:
            yield _record(1, file.read(), "")

    return Table(raw.path, (), Rereadable(read), (*raw.notes, "read as one mail"), "mail")


def open_mail_folder(path: Path) -> Table:
    def read() -> Iterator[Record]:
        for number, file in enumerate(sorted(_mail_files(path)), start=1):
            folder = file.parent.relative_to(path).as_posix()
            yield _record(number, file.read_bytes(), "" if folder == "." else folder)

    note = "read as a folder of mails, in the order of their names; the column folder is a mail's subfolder"
    return Table(path, (), Rereadable(read), (note,), "mail")


def _mail_files(path: Path) -> Iterator[Path]:
    return (file for file in path.rglob("*") if file.suffix.lower() == ".eml" and file.is_file())


def _record(number: int, mail: bytes, folder: str) -> Record:
    try:
        if len(mail) > MAX_MAIL_BYTES:
            reader = MailReader(_LARGEST)
            reader.feed(mail)
            mail = reader.kept()
        ticket = parse_email(mail, Budget(_SECONDS))
        headers, _ = split_head(mail)
    except (MailError, TicketRouterError) as error:
        return Record(number, {}, f"the mail cannot be read: {error}")
    cells = {
        "subject": ticket.subject,
        "body": ticket.body,
        "content_type": ticket.content_type,
        "from": ticket.sender,
        "to": ", ".join(ticket.recipients),
        "message-id": ticket.id or "",
    }
    if folder:
        cells["folder"] = folder
    for name in dict.fromkeys(name for name, _ in headers):
        if name in _PLAIN or name.startswith("x-"):
            cells.setdefault(name, decode_words(header(headers, name)).strip())
    return Record(number, {name: sound(cell) for name, cell in cells.items()})
