"""The keys file: its shape, and how it is read. `rotation.py` writes it, `access.py` follows it.

It holds digests, no keys. A message about it names the place and never repeats what stands there, for someone may have
put a key in by mistake.
"""

import re
import stat
import tomllib
from collections.abc import Callable
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from models.errors import TicketRouterError
from service.access.audit import RESERVED
from service.access.caller import Role

FILE_BYTES = 262_144
"""Largest file: a good thousand keys. Beyond that it is another file given by mistake."""
LIVE_KEYS = 2
"""Keys of one name that work at once: the new one, and the old one until everybody has the new."""
NAME = r"[a-z0-9][a-z0-9_.-]{0,62}"

_PLACE = re.compile(r"\(at [a-z0-9 ,]+\)")


class KeysError(TicketRouterError):
    """The keys file cannot be read or written, or is not as documented."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise PydanticCustomError("reserved", "this name has a meaning of its own in the audit log; choose another")
    return name


def _moment(value: Any, parse: Callable[[Any], Any]) -> Any:
    """TOML's plain dates mean the day's first moment, UTC."""
    plain = isinstance(value, date) and not isinstance(value, datetime)
    try:
        return parse(datetime.combine(value, time(), UTC) if plain else value)
    except ValidationError:
        wanted = "write a date, or a moment with its zone, without quotes: 2027-06-30, or 2027-06-30T12:00:00Z"
        raise PydanticCustomError("no_moment", wanted) from None


class _Shape(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class Entry(_Shape):
    """One caller. `sha256`: of its live keys, newest first; none where all are withdrawn, and its name stays known.
    `expires`: from when on they are refused."""

    name: Annotated[str, Field(pattern=f"^{NAME}$"), AfterValidator(_not_reserved)]
    roles: Annotated[frozenset[Role], Field(min_length=1)]
    sha256: Annotated[tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...], Field(max_length=LIVE_KEYS)]
    tickets_per_second: Annotated[float, Field(gt=0, le=1e6, strict=True)] | None = None
    burst: Annotated[int, Field(ge=1, le=10**6, strict=True)] | None = None
    expires: Annotated[AwareDatetime, WrapValidator(_moment)] | None = None

    @model_validator(mode="after")
    def _burst_needs_a_rate(self) -> Self:
        if self.burst is not None and self.tickets_per_second is None:
            raise PydanticCustomError("no_rate", "burst needs tickets_per_second beside it")
        return self


class KeysFile(_Shape):
    """At least one caller, though none of its keys be live: an empty file is one that is just being written, and would
    lock everybody out."""

    keys: tuple[Entry, ...] = ()

    @model_validator(mode="after")
    def _somebody(self) -> Self:
        if not self.keys:
            wanted = "it has no entry; a caller who is to have no key any more stays in it, with sha256 = []"
            raise PydanticCustomError("nobody", wanted)
        return self

    @model_validator(mode="after")
    def _no_doubles(self) -> Self:
        names = [entry.name for entry in self.keys]
        digests = [digest for entry in self.keys for digest in entry.sha256]
        if len(set(names)) < len(names) or len(set(digests)) < len(digests):
            raise PydanticCustomError("doubles", "each name and each sha256 may stand there once")
        return self


def read_content(path: Path) -> bytes:
    """The file's bytes, through whatever symlinks lead to it.

    Raises:
        KeysError: it is not there, is no file, or is too large to be one of keys.
    """
    try:
        # A pipe would be waited for without end.
        if not stat.S_ISREG(path.stat().st_mode):
            raise KeysError(f"{path}: the keys file must be a regular file")
        with path.open("rb") as file:
            content = file.read(FILE_BYTES + 1)
    except OSError as error:
        raise KeysError(f"{path}: the keys file cannot be read ({error.strerror})") from None
    if len(content) > FILE_BYTES:
        raise KeysError(f"{path}: a keys file has at most {FILE_BYTES} bytes")
    return content


def parse_keys(content: bytes, path: Path) -> KeysFile:
    """The file's meaning. `path` is for the message.

    Raises:
        KeysError: it is not as documented; one line that says where.
    """
    try:
        return KeysFile.model_validate(_tables(content, path))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        raise KeysError(f"{path}: {_where(first['loc'])}: {first['msg']}") from None


def _tables(content: bytes, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise KeysError(f"{path}: the keys file is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        # The parser's own words may repeat what it stumbled over.
        place = _PLACE.search(str(error))
        raise KeysError(f"{path}: the keys file is not TOML {place[0] if place else ''}".rstrip()) from None


def _where(location: tuple[int | str, ...]) -> str:
    """Positions counted from one, fields by name; `?` for a name that is none of ours."""
    known = {*KeysFile.model_fields, *Entry.model_fields}
    words = [str(part + 1) if isinstance(part, int) else part if part in known else "?" for part in location]
    return " ".join(words) or "the file"
