"""The schema and the parser of the keys file. `edit_keys.py` writes the file, `access.py` reloads it.

The file holds digests, no keys. An error message names the position and never repeats the content, which may be a key
that was pasted by mistake.
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
"""Largest file: more than a thousand keys. A larger one is a wrong file."""
LIVE_KEYS = 2
"""Valid keys per name: the new one, and the old one until all clients use the new one."""
NAME = r"[a-z0-9][a-z0-9_.-]{0,62}"

_POSITION = re.compile(r"\(at [a-z0-9 ,]+\)")


class KeysError(TicketRouterError):
    """The keys file cannot be read or written, or does not have the documented format."""


def _not_reserved(name: str) -> str:
    if name in RESERVED:
        raise PydanticCustomError("reserved", "this name is reserved for the audit log; choose another")
    return name


def _parse_expiry(value: Any, parse: Callable[[Any], Any]) -> Any:
    """A TOML date without a time means 00:00 UTC of that day."""
    date_only = isinstance(value, date) and not isinstance(value, datetime)
    try:
        return parse(datetime.combine(value, time(), UTC) if date_only else value)
    except ValidationError:
        message = "write a date, or a time with its zone, without quotes: 2027-06-30, or 2027-06-30T12:00:00Z"
        raise PydanticCustomError("no_moment", message) from None


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


class KeyEntry(_Model):
    """One caller. `sha256`: the digests of its valid keys, newest first; empty if all keys are withdrawn, so that the
    name stays known. From `expires` on, its keys are refused."""

    name: Annotated[str, Field(pattern=f"^{NAME}$"), AfterValidator(_not_reserved)]
    roles: Annotated[frozenset[Role], Field(min_length=1)]
    sha256: Annotated[tuple[Annotated[str, Field(pattern="^[0-9a-f]{64}$")], ...], Field(max_length=LIVE_KEYS)]
    tickets_per_second: Annotated[float, Field(gt=0, le=1e6, strict=True)] | None = None
    burst: Annotated[int, Field(ge=1, le=10**6, strict=True)] | None = None
    expires: Annotated[AwareDatetime, WrapValidator(_parse_expiry)] | None = None

    @model_validator(mode="after")
    def _burst_needs_a_rate(self) -> Self:
        if self.burst is not None and self.tickets_per_second is None:
            raise PydanticCustomError("no_rate", "burst needs tickets_per_second beside it")
        return self


class KeysFile(_Model):
    """At least one caller, even without a valid key: an empty file is probably still being written, and would refuse
    every caller."""

    keys: tuple[KeyEntry, ...] = ()

    @model_validator(mode="after")
    def _require_entry(self) -> Self:
        if not self.keys:
            message = "it has no entry; to withdraw a caller's last key, keep its entry, with sha256 = []"
            raise PydanticCustomError("no_entry", message)
        return self

    @model_validator(mode="after")
    def _refuse_duplicates(self) -> Self:
        names = [entry.name for entry in self.keys]
        digests = [digest for entry in self.keys for digest in entry.sha256]
        if len(set(names)) < len(names) or len(set(digests)) < len(digests):
            raise PydanticCustomError("duplicates", "each name and each sha256 may occur only once")
        return self


def read_content(path: Path) -> bytes:
    """The file's bytes; symlinks are followed.

    Raises:
        KeysError: the file is missing, is not a regular file, or is too large.
    """
    try:
        # Reading a pipe could block for ever.
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
    """Parse and validate the file's content. `path` is for the error message.

    Raises:
        KeysError: the content does not have the documented format; the message is one line that names the position.
    """
    try:
        tables = tomllib.loads(content.decode())
    except UnicodeDecodeError:
        raise KeysError(f"{path}: the keys file is not UTF-8") from None
    except (ValueError, RecursionError) as error:
        # The parser's message may repeat the content.
        position = _POSITION.search(str(error))
        raise KeysError(f"{path}: the keys file is not TOML {position[0] if position else ''}".rstrip()) from None
    try:
        return KeysFile.model_validate(tables)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        # Indexes are counted from one. An unknown name may be a key, so it is not shown.
        known = {*KeysFile.model_fields, *KeyEntry.model_fields}
        words = [str(part + 1) if isinstance(part, int) else part if part in known else "?" for part in first["loc"]]
        raise KeysError(f"{path}: {' '.join(words) or 'the file'}: {first['msg']}") from None
