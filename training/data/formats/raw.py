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
_MOST_PACKED, _LEAST_BOMB = 200, 100 << 20
"""Texts are packed to a third or a tenth of their size."""
_PACKED: dict[bytes, tuple[str, Callable[[Path], Any]]] = {
    b"\x1f\x8b": ("gzip", gzip.open),
    b"BZh": ("bzip2", bz2.open),
    b"\xfd7zXZ\0": ("xz", lzma.open),
}
DAMAGED = (EOFError, zipfile.BadZipFile, lzma.LZMAError, gzip.BadGzipFile, RuntimeError, NotImplementedError)
"""What damaged or encrypted archives raise, zipfile's NotImplementedError for a compression that it lacks among them;
zlib.error is an Exception of its own."""


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
    if start.startswith(b"PK\x05\x06"):
        raise TicketRouterError(f"{path}: a zip without files")
    if start.startswith(b"PK\x03\x04") and (member := _only_member(path)) is not None:
        # The archive's object must live as long as the member's stream, which keeps it.
        return _packed(path, member, lambda: zipfile.ZipFile(path).open(member), f"unpacked (zip of {member[:60]})")
    with path.open("rb") as file:
        return RawFile(path, path.name, lambda: path.open("rb"), file.read(HEAD))


def _packed(path: Path, name: str, opener: Callable[[], IO[bytes]], note: str) -> RawFile:
    def unpacked() -> IO[bytes]:
        return io.BufferedReader(_Bounded(path, opener()))

    with unpacking(path), unpacked() as file:
        head = file.read(HEAD)
    if head.startswith(tuple(_PACKED)):
        raise TicketRouterError(f"{path}: packed twice; unpack it once")
    return RawFile(path, name, unpacked, head, (note,))


class _Bounded(io.RawIOBase):
    """An unpacked file; one that grows beyond all texts is an error, not hours of reading."""

    def __init__(self, path: Path, file: IO[bytes]) -> None:
        self._path, self._file, self._read = path, file, 0
        self._most = max(_LEAST_BOMB, _MOST_PACKED * path.stat().st_size)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        found = self._file.read(len(buffer))
        buffer[: len(found)] = found
        self._read += len(found)
        if self._read > self._most:
            raise TicketRouterError(f"{self._path}: unpacks to over {_MOST_PACKED} times its size; that is no export")
        return len(found)

    def close(self) -> None:
        self._file.close()
        super().close()


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
