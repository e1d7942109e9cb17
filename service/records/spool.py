"""A local file that keeps decisions while the database is away (`records_when_away` = `degrade`).

One line an entry: CRC-32 in hexadecimal, a space, JSON. A line is acknowledged after its fsync; an incomplete last line
was never acknowledged. Used by the writer's thread only.
"""

import errno
import fcntl
import json
import os
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import structlog
from pydantic_core import to_json

from service.records.database.connections import RecordsError
from service.records.store import KeptText

SPOOL = "records.spool"
_CRC_BYTES = 9

_log = structlog.get_logger()


class Spooled(NamedTuple):
    """A row of `decisions`, and the text if it is kept."""

    row: dict[str, Any]
    text: KeptText | None


class Spool:
    """`limit_bytes`: `append` refuses more."""

    def __init__(self, path: Path, limit_bytes: int) -> None:
        self.path = path
        self.rows = 0
        self.bytes = 0
        self._limit = limit_bytes
        self._drained = 0
        self._places: dict[tuple[str, str], int] = {}
        self._descriptor = -1

    def open(self) -> None:
        """Open the file, and index the entries that an earlier process left.

        Raises:
            RecordsError: the file cannot be written, or another service uses it.
        """
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise RecordsError(
                f"{self.path} is in use by another service: set another TICKET_ROUTER_STATE_DIR for this one"
            ) from None
        except OSError as error:
            raise RecordsError(f"{self.path}: cannot be written ({error.strerror})") from error
        with self.path.open("rb") as file:
            for line in file:
                entry = _parse(line)
                if entry is None:
                    if line.endswith(b"\n"):  # not the end of an interrupted write
                        _log.error("spooled decision damaged", offset=self.bytes)
                        self.bytes += len(line)
                        continue
                    break
                self._add(entry.row, len(line))
        os.ftruncate(self._descriptor, self.bytes)

    def append(self, entries: Sequence[Spooled]) -> int:
        """Write as many of the entries as there is room for, and return their number when they are on the disk.

        Raises:
            OSError: nothing was written.
        """
        lines = [_line(entry) for entry in entries]
        size, count = 0, 0
        for line in lines:
            if self.bytes + size + len(line) > self._limit:
                break
            size, count = size + len(line), count + 1
        try:
            written = os.pwrite(self._descriptor, b"".join(lines[:count]), self.bytes)
            if written < size:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(self._descriptor)
        except OSError:
            os.ftruncate(self._descriptor, self.bytes)
            raise
        for entry, line in zip(entries[:count], lines, strict=False):
            self._add(entry.row, len(line))
        return count

    def find(self, caller: str, key: str) -> dict[str, Any] | None:
        """The spooled row with this idempotency key."""
        place = self._places.get((caller, key))
        if place is None:
            return None
        with self.path.open("rb") as file:
            file.seek(place)
            entry = _parse(file.readline())
        return None if entry is None else entry.row

    def next_chunk(self, rows: int) -> tuple[list[Spooled], int]:
        """The next entries to drain, and the offset to pass to `drained_to` when they are in the database."""
        chunk: list[Spooled] = []
        offset = self._drained
        with self.path.open("rb") as file:
            file.seek(offset)
            while len(chunk) < rows and offset < self.bytes:
                line = file.readline()
                offset += len(line)
                if (entry := _parse(line)) is not None:
                    chunk.append(entry)
        return chunk, offset

    def drained_to(self, offset: int, rows: int) -> None:
        """The entries before this offset are in the database. The file is emptied after the last one: draining twice
        after a crash has no effect, since the ids are the same."""
        self._drained, self.rows = offset, max(0, self.rows - rows)
        if offset >= self.bytes:
            os.ftruncate(self._descriptor, 0)
            os.fsync(self._descriptor)
            self._drained = self.bytes = self.rows = 0
            self._places.clear()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _add(self, row: dict[str, Any], length: int) -> None:
        if row["idempotency_key"] is not None:
            self._places.setdefault((row["caller"], row["idempotency_key"]), self.bytes)
        self.rows += 1
        self.bytes += length


def _line(entry: Spooled) -> bytes:
    content = to_json(entry)
    return b"%08x %b\n" % (zlib.crc32(content), content)


def _parse(line: bytes) -> Spooled | None:
    """None: incomplete or damaged."""
    content = line[_CRC_BYTES:-1]
    if line[-1:] != b"\n" or line[:_CRC_BYTES] != b"%08x " % zlib.crc32(content):
        return None
    row, text = json.loads(content)
    return Spooled(row, None if text is None else KeptText(*text))
