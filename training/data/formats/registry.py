"""The formats, in the order in which they are tried: a file is what its first bytes say, whatever its name is."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from models.errors import TicketRouterError
from training.data.formats import delimited, json_rows, mails, parquet, workbook
from training.data.formats.raw import RawFile, open_raw
from training.data.formats.table import Record, Rereadable, Table

_SPACE = b" \t\r\n\xef\xbb\xbf"
_WORKBOOK = (b"PK\x03\x04", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1")


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of file: how it is told by its first bytes and its name, and how it is opened."""

    name: str
    fits: Callable[[RawFile], bool]
    open: Callable[[RawFile], Table]


def _is_json(raw: RawFile) -> bool:
    head = raw.head[:200].replace(b"\0", b"").lstrip(_SPACE + b"\xff\xfe")
    return head.startswith((b"{", b"[{", b"[ ", b"[\n", b"[\r", b"[]")) or raw.suffix in (".json", ".jsonl", ".ndjson")


FORMATS = (
    Format("Parquet", lambda raw: raw.head.startswith(b"PAR1") or raw.suffix == ".parquet", parquet.open_parquet),
    Format("Excel (xlsx, xls) or OpenDocument", lambda raw: raw.head.startswith(_WORKBOOK), workbook.open_workbook),
    Format("mbox", lambda raw: mails.is_mbox(raw.head), mails.open_mbox),
    Format("e-mail (eml)", lambda raw: raw.suffix == ".eml", mails.open_eml),
    Format("JSON, JSON lines", _is_json, json_rows.open_json),
    Format("CSV, TSV, text", lambda _: True, delimited.open_delimited),
)
KINDS = ", ".join(each.name for each in FORMATS) + ", a folder of .eml files; also as .gz, or a .zip of one file"


def open_table(path: Path) -> Table:
    """The file's records, whatever tool wrote it.

    Raises:
        TicketRouterError: missing, unreadable or of no known format; iterating raises it for a file that ends too soon.
    """
    try:
        if path.is_dir():
            if not mails.is_mail_folder(path):
                raise TicketRouterError(f"{path}: cannot be read (a folder without .eml files)")
            return mails.open_mail_folder(path)
        raw = open_raw(path)
        if raw.head.startswith((b"%PDF", b"\x89PNG", b"\xff\xd8\xff", b"SQLite", b"Rar!", b"7z\xbc\xaf")):
            raise TicketRouterError(f"{path}: unknown kind of file; give {KINDS}")
        if not raw.head.strip(_SPACE + b"\0\xff\xfe"):
            raise TicketRouterError(f"{path}: the file is empty")
        if raw.head[:400].lstrip(_SPACE).lower().startswith((b"<!doctype", b"<html", b"<?xml", b"<table", b"<tickets")):
            raise TicketRouterError(f"{path}: a web page or XML, whatever its name says; export as xlsx, CSV or JSON")
        found = next(each for each in FORMATS if each.fits(raw)).open(raw)
    except OSError as error:
        raise _unreadable(path, error) from error

    def read() -> Iterator[Record]:
        try:
            yield from found.records
        except OSError as error:
            raise _unreadable(found.path, error) from error

    return Table(found.path, found.columns, Rereadable(read), found.notes, found.unit, found.skipped)


def _unreadable(path: Path, error: OSError) -> TicketRouterError:
    return TicketRouterError(f"{path}: cannot be read ({error.strerror or 'not such a file'})")
