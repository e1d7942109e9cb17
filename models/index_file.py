"""The file of closed tickets that the desk finds similar ones in: `training index` writes it, `service index add` reads
it. JSON lines: a header, then a ticket a line.

It holds texts, redacted, and their vectors by one bundle's graph. Written for its owner only.
"""

import base64
import binascii
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.errors import TicketRouterError
from models.private_file import private_file

Vectors = NDArray[np.float32]
"""Pooled vectors of unit length, shape [texts, width]."""
ID_CHARACTERS = 150
"""Longest id of a ticket: the record has 200 characters for it and the helpdesk's name."""
_LINE_BYTES = 1_000_000
"""Longest line read: two texts of 8,000 characters and a vector take a tenth of it."""


class IndexFileError(TicketRouterError):
    """The file cannot be read, or is no index."""


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Header(_Line):
    """`bundle`: the version whose vectors these are. `tickets`: the number of lines that follow."""

    format: Literal["ticket-router-index-1"] = "ticket-router-index-1"
    bundle: str
    tickets: int


class ClosedTicket(_Line):
    """`at`: of its arrival, Unix milliseconds. `answer`: what was answered; empty: unknown."""

    id: Annotated[str, Field(max_length=ID_CHARACTERS)] | None
    department: str
    text: str
    answer: str
    at: Annotated[int, Field(ge=0, lt=2**48)]
    vector: str


def write_index(path: Path, header: Header, tickets: Iterable[ClosedTicket]) -> None:
    """
    Raises:
        IndexFileError: the file cannot be written.
    """
    try:
        with private_file(path) as file:
            for line in (header, *tickets):
                file.write(line.model_dump_json().encode() + b"\n")
    except OSError as error:
        raise IndexFileError(f"{path}: cannot be written ({error.strerror})") from error


def read_index(path: Path) -> tuple[Header, Iterator[ClosedTicket]]:
    """The header, and the tickets as they are read.

    Raises:
        IndexFileError: no index of this release; the iterator: also if it is damaged or incomplete.
    """
    try:
        with path.open("rb") as file:
            header = Header.model_validate_json(file.readline(_LINE_BYTES))
    except OSError as error:
        raise IndexFileError(f"{path}: cannot be read ({error.strerror})") from error
    except ValidationError as error:
        raise IndexFileError(f"{path}: not an index of this release; make it with: python -m training index") from error
    return header, _tickets(path, header.tickets)


def _tickets(path: Path, expected: int) -> Iterator[ClosedTicket]:
    number = 0
    with path.open("rb") as file:
        file.readline(_LINE_BYTES)
        while line := file.readline(_LINE_BYTES):
            number += 1
            try:
                ticket = ClosedTicket.model_validate_json(line)
                unpack_vector(ticket.vector)
            except ValueError as error:
                raise IndexFileError(f"{path}: line {number + 1} is damaged; make the file anew") from error
            yield ticket
    if number != expected:
        raise IndexFileError(f"{path}: {number} of {expected} tickets are there; make the file anew")


def unit(vectors: Vectors) -> Vectors:
    """Vectors of unit length: their products are cosines. Of none or zeros the length stays 0."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, np.float32(1e-12)), dtype=np.float32)


def pack_vector(vector: Vectors) -> str:
    """Half floats in base64: text, which the record's backups and both databases hold alike. A cosine is off by less
    than 0.001."""
    return base64.b64encode(vector.astype("<f2").tobytes()).decode()


def unpack_vector(packed: str) -> Vectors:
    """
    Raises:
        ValueError: not a vector of finite numbers.
    """
    try:
        vector = np.frombuffer(base64.b64decode(packed, validate=True), dtype="<f2").astype(np.float32)
    except binascii.Error as error:
        raise ValueError("not base64") from error
    if not vector.size or not np.isfinite(vector).all():
        raise ValueError("not finite")
    return vector
