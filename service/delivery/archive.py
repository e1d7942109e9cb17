"""Unpacks the archive: a tar or tar.gz with the files of one bundle and nothing else.

`download.py` has verified the digest, so the checks here mainly find packing mistakes. Only regular files with plain
names are written, into the given folder.
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
from service.delivery.download import DeliveryError, refuse_size

MAX_MEMBERS = 1000
HEADER_BYTES = 1 << 20
"""Limit between two files. tarfile reads a whole name into memory, and a header can declare a name of gigabytes."""
GZIP = b"\x1f\x8b"
_NAME: TypeAdapter[str] = TypeAdapter(FileName)


def unpack(archive: Path, folder: Path, max_bytes: int) -> None:
    """Create `folder`, write the archive's files into it, and fsync them.

    Raises:
        DeliveryError: the file is not such an archive, or contains other things than the files of one bundle.
        OSError: the files cannot be written.
    """
    folder.mkdir()
    try:
        with archive.open("rb") as file:
            stream = _Limited(gzip.GzipFile(fileobj=file) if file.peek(2)[:2] == GZIP else file)
            # As a stream: a backward seek in a gzip file reads the file again from the start.
            with tarfile.open(fileobj=stream, mode="r|") as tar:
                _extract(tar, stream, folder, max_bytes)
    except (tarfile.TarError, gzip.BadGzipFile, zlib.error, EOFError, ValueError) as error:
        raise DeliveryError("not a sound tar or tar.gz archive") from error


class _Limited(io.RawIOBase):
    """A stream that raises after `left` more bytes."""

    def __init__(self, stream: IO[bytes] | gzip.GzipFile) -> None:
        self._stream = stream
        self.left = HEADER_BYTES

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._stream.read(size)
        self.left -= len(chunk)
        if self.left < 0:
            raise DeliveryError(f"has a header of more than {HEADER_BYTES} bytes")
        return chunk


def _extract(tar: tarfile.TarFile, stream: _Limited, folder: Path, max_bytes: int) -> None:
    names, folders, total = set[str](), set[PurePosixPath](), 0
    for number, member in enumerate(tar):
        total += member.size
        refuse_size(total, max_bytes, "the content")
        if number == MAX_MEMBERS:
            raise DeliveryError(f"holds more than {MAX_MEMBERS} members")
        stream.left = HEADER_BYTES + member.size
        path, shown = PurePosixPath(member.name), f"{member.name[:80]!a}"
        plain = all(_is_plain(part) for part in path.parts)
        if member.isdir() and plain and len(path.parts) <= 1:
            continue
        if member.issym() and number == 0:  # `tar … current`
            raise DeliveryError(f"{shown} is a link; pack the folder it leads to")
        if not member.isreg() or member.issparse() or not plain or len(path.parts) not in (1, 2):
            raise DeliveryError(f"holds {shown}, which no bundle does; pack one bundle's folder alone")
        folders.add(path.parent)
        if len(folders) > 1:
            raise DeliveryError("holds more than one folder; pack one bundle's folder alone")
        if path.name in names:
            raise DeliveryError(f"holds {shown} twice")
        names.add(path.name)
        tar.extract(member.replace(name=path.name, deep=False), folder, set_attrs=False, filter="data")
        with (folder / path.name).open("rb") as file:
            os.fsync(file.fileno())


def _is_plain(part: str) -> bool:
    try:
        _NAME.validate_python(part)
    except ValidationError:
        return False
    return True
