"""The archive unpacked: a tar, plain or gzipped, that holds one bundle's files and nothing else.

Its digest agreed by then, so this guards against a mistake in packing more than against malice, and trusts neither:
nothing is written but plain files of plain names into the one folder given.
"""

import gzip
import io
import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

from pydantic import TypeAdapter, ValidationError

from models.bundle.manifest import FileName
from service.delivery.download import Limits
from service.delivery.errors import DeliveryError

MAX_MEMBERS = 1000
HEADER_BYTES = 1 << 20
"""What may stand between two files. tarfile reads a long name whole, and a name can be declared gigabytes long."""
GZIP = b"\x1f\x8b"
_NAME: TypeAdapter[str] = TypeAdapter(FileName)


def unpack(archive: Path, shown: str, folder: Path, limits: Limits) -> None:
    """Write the archive's files into `folder`, which is there and empty, and through to the disk.

    Raises:
        DeliveryError: it is no such archive, or holds anything but a bundle's files; `shown` names it.
        OSError: the files cannot be written.
    """
    try:
        with archive.open("rb") as file, _decompressed(file) as plain:
            stream = _Metered(plain)
            # As a stream, for a seek backwards in a gzip reads it from its beginning.
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                _extract(tar, stream, folder, limits)
    except DeliveryError as error:
        raise DeliveryError(f"{shown}: {error}") from error
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise DeliveryError(f"{shown}: not a sound tar or tar.gz archive") from error


class _Metered(io.RawIOBase):
    """A stream that gives no more than was last allowed."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream
        self._left = HEADER_BYTES

    def allow(self, size: int) -> None:
        self._left = size

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._stream.read(size)
        self._left -= len(chunk)
        if self._left < 0:
            raise DeliveryError(f"has a header of more than {HEADER_BYTES} bytes")
        return chunk


def _decompressed(file: IO[bytes]) -> IO[bytes] | gzip.GzipFile:
    start = file.read(len(GZIP))
    file.seek(0)
    return gzip.open(file) if start == GZIP else file


def _extract(tar: tarfile.TarFile, stream: _Metered, folder: Path, limits: Limits) -> None:
    contents = _Contents(limits)
    while (member := tar.next()) is not None:
        if name := contents.admit(member):
            stream.allow(HEADER_BYTES + member.size)
            tar.extract(member.replace(name=name, deep=False), folder, set_attrs=False, filter="data")
            _sync(folder / name)
        stream.allow(HEADER_BYTES)


class _Contents:
    """What the archive has held so far: one folder's files, or files without a folder."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._names: set[str] = set()
        self._folders: set[PurePosixPath] = set()
        self._members = 0
        self._bytes = 0

    def admit(self, member: tarfile.TarInfo) -> str | None:
        """The file's name in the bundle; None for a folder.

        Raises:
            DeliveryError: a bundle has no such member.
        """
        self._count(member)
        path = PurePosixPath(member.name)
        plain = all(_is_plain(part) for part in path.parts)
        if member.isdir() and plain and len(path.parts) <= 1:
            return None
        if member.issym() and self._members == 1:  # `tar … current`
            raise DeliveryError(f"{_quoted(member.name)} is a link; pack the folder it leads to")
        if not member.isreg() or member.issparse() or not plain or len(path.parts) not in (1, 2):
            raise DeliveryError(f"holds {_quoted(member.name)}, which no bundle does; pack one bundle's folder alone")
        self._place(path)
        return path.name

    def _count(self, member: tarfile.TarInfo) -> None:
        self._members += 1
        if self._members > MAX_MEMBERS:
            raise DeliveryError(f"holds more than {MAX_MEMBERS} members")
        self._bytes += member.size
        self._limits.refuse_size(self._bytes, "what it holds")

    def _place(self, path: PurePosixPath) -> None:
        self._folders.add(path.parent)
        if len(self._folders) > 1:
            raise DeliveryError("holds more than one folder; pack one bundle's folder alone")
        if path.name in self._names:
            raise DeliveryError(f"holds {_quoted(path.name)} twice")
        self._names.add(path.name)


def _is_plain(part: str) -> bool:
    try:
        _NAME.validate_python(part)
    except ValidationError:
        return False
    return True


def _quoted(name: str) -> str:
    return f"{name[:80]!a}"


def _sync(path: Path) -> None:
    with path.open("rb") as file:
        os.fsync(file.fileno())
