"""The bytes of a file, unpacked: plain, gzip, bzip2, xz, or a zip archive of one file."""

import bz2
import gzip
import io
import lzma
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any, TextIO

from models.errors import TicketRouterError

HEAD = 1 << 18
_PACKED: dict[bytes, tuple[str, Callable[[Path], Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\0": ("xz", lzma.open),
}
DAMAGED = (EOFError, zipfile.BadZipFile, lzma.LZMAError, gzip.BadGzipFile, RuntimeError, NotImplementedError)
"""What damaged or encrypted archives raise; zlib.error is an Exception of its own."""


@dataclass(frozen=True, slots=True)
class RawFile:
    """A file that can be opened again and again; `name` is that of the packed file, `head` its first bytes."""

    path: Path
    name: str
    open: Callable[[], IO[bytes]]
    head: bytes
    notes: tuple[str, ...] = ()

    @contextmanager
    def text(self, codec: str, errors: str, newline: str = "") -> Iterator[TextIO]:
        """The file as text; errors of a damaged archive are one line."""
        with unpacking(self.path), self.open() as file, io.TextIOWrapper(file, codec, errors, newline=newline) as text:
            yield text

    @property
    def suffix(self) -> str:
        return Path(self.name).suffix.lower()


def open_raw(path: Path) -> RawFile:
    """
    Raises:
        TicketRouterError: the file is missing, or an archive that is damaged or holds several files.
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        start = file.read(8)
    for magic, (kind, opener) in _PACKED.items():
        if start.startswith(magic):
            return _packed(path, path.stem if path.suffix else path.name, partial(opener, path), f"unpacked ({kind})")
    if start.startswith(b"PK\x03\x04") and (member := _only_member(path)) is not None:
        # The archive's object must live as long as the member's stream, which keeps it.
        return _packed(path, member, lambda: zipfile.ZipFile(path).open(member), f"unpacked (zip of {member[:60]})")
    with path.open("rb") as file:
        return RawFile(path, path.name, lambda: path.open("rb"), file.read(HEAD))


def _packed(path: Path, name: str, opener: Callable[[], IO[bytes]], note: str) -> RawFile:
    with unpacking(path), opener() as file:
        return RawFile(path, name, opener, file.read(HEAD), (note,))


class unpacking:
    """Turns the errors of damaged archives into one line."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __enter__(self) -> None:
        return None

    def __exit__(self, kind: type[BaseException] | None, *_: Any) -> None:
        import zlib

        if kind is not None and issubclass(kind, (*DAMAGED, zlib.error)):
            raise TicketRouterError(f"{self._path}: a damaged or encrypted archive; pack it anew") from None


def _only_member(path: Path) -> str | None:
    """The single data file of a zip archive; None: the zip is a workbook."""
    with unpacking(path), zipfile.ZipFile(path) as archive:
        names = [info.filename for info in archive.infolist() if not info.is_dir()]
    if any(name in ("[Content_Types].xml", "content.xml", "mimetype") for name in names):
        return None
    data = [name for name in names if not name.startswith("__MACOSX/") and not Path(name).name.startswith(".")]
    if len(data) != 1:
        raise TicketRouterError(f"{path}: a zip of {len(data)} files; unpack it and give the one with the tickets")
    return data[0]
