"""`connections.toml`: which helpdesks are connected, and what may be done there.

The whole file is validated at start; each fault is one line with the connection and the key, never a secret.
"""

import base64
import os
import re
import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from models.errors import TicketRouterError
from models.fields import DEPARTMENT

KINDS = ("zendesk", "django_helpdesk", "generic")
LEAST_SECRET = 16
EXAMPLE_SECRETS = ("change-me", "changeme", "example", "your-secret", "replace-me", "secret-of-the-webhook")
"""What a secret may not contain: those of the documentation."""
NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")


class ConnectionsError(TicketRouterError):
    """The file of the connections cannot be used. `faults`: a line for each."""

    def __init__(self, *faults: str, path: Path | None = None) -> None:
        super().__init__(("" if path is None else f"{path}: ") + "; ".join(faults))
        self.faults = faults


class Mode(StrEnum):
    """What becomes of a decision at the helpdesk, from the strictest to the mildest."""

    OFF = "off"
    SHADOW = "shadow"
    """Recorded only."""
    SUGGEST = "suggest"
    """A tag, and a note if `note` is on."""
    ROUTE = "route"
    """The target is written."""


def _address(value: str) -> str:
    parts = urlsplit(value)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError("must be an address with https://")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must have no user, password, query or fragment")
    return value.rstrip("/")


Address = Annotated[str, AfterValidator(_address)]


class Strict(BaseModel):
    """Base of all tables of the file."""

    # An id without quotes is meant as text.
    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True, coerce_numbers_to_str=True)


class SecretRef(Strict):
    """`{ env = "NAME" }` or `{ file = "/path" }`."""

    env: str | None = None
    file: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _table(cls, value: Any) -> Any:
        if isinstance(value, str):
            raise ValueError("must be { env = NAME } or { file = PATH }, not the secret itself")
        return value

    @model_validator(mode="after")
    def _one(self) -> "SecretRef":
        if (self.env is None) == (self.file is None):
            raise ValueError("must be { env = NAME } or { file = PATH }")
        return self

    def read(self) -> str:
        """Raises: ValueError: it is missing, short, an example's, or unfit for a header. Without the value."""
        if self.env is not None:
            value = os.environ.get(self.env, "").strip()
            origin = f"environment variable {self.env}"
        else:
            assert self.file is not None
            origin = str(self.file)
            try:
                value = self.file.read_text().strip()
            except (OSError, UnicodeDecodeError):
                raise ValueError(f"{origin} cannot be read") from None
        if not value:
            raise ValueError(f"{origin} is not set")
        if any(example in value.lower() for example in EXAMPLE_SECRETS):
            raise ValueError(f"{origin} has the value of an example: set a secret of your own")
        if len(value) < LEAST_SECRET:
            raise ValueError(f"{origin} is shorter than {LEAST_SECRET} characters")
        if not (value.isascii() and value.isprintable()):
            raise ValueError(f"{origin} has characters other than ASCII, which a header cannot carry")
        return value


class FieldTable(Strict):
    """`[NAME.fields.FIELD]`."""

    mode: Mode | None = None
    """Of this field. Unset: that of the connection."""
    attribute: str | None = None
    """Of the helpdesk's ticket. Unset: the usual one of its kind."""
    targets: dict[str, str] = {}
    """Label → id in the helpdesk. A label without one is suggested at most."""
    modes: dict[str, Mode] = {}
    """Label → mode, where it differs from the field's."""
    replace: list[str] = []
    """Ids that a new ticket has although no person chose them, such as the incoming queue."""


class EventTable(Strict):
    """`[NAME.event]`: where to tell that a ticket was triaged."""

    url: Address
    secret: SecretRef


class ConnectionTable(Strict):
    """`[NAME]`."""

    kind: Literal["zendesk", "django_helpdesk", "generic"]
    url: Address
    """Base URL of the helpdesk: the only place that calls go to."""
    secret: SecretRef
    """Of the incoming webhook."""
    token: SecretRef | None = None
    """Of the calls to the helpdesk. Needed unless the mode is `shadow` everywhere."""
    user: str = ""
    """With the token, where the helpdesk wants one."""
    mode: Mode = Mode.SHADOW
    fields: dict[str, FieldTable] = {}
    max_ticket_age_days: Annotated[float, Field(gt=0, le=365)] = 7
    """Older tickets are never touched."""
    states: list[str] | None = None
    """The helpdesk's states of tickets that may be touched. Unset: the open ones of its kind."""
    review_tag: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,50}$")] = "ai_review"
    suggest_tag: Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,50}$")] = "ai_suggestion"
    note: bool = True
    """Write an internal note with a suggestion."""
    allow_private: bool = False
    """Allow `url` and the event's to be on loopback or in a private network."""
    reconcile: bool = True
    """List new tickets regularly, and route those whose webhook was missed."""
    event: EventTable | None = None
    options: dict[str, Any] = {}
    """What the kind needs beside; see its adapter."""


@dataclass(frozen=True, slots=True)
class Connection:
    """One connection with its secrets. Not to be logged."""

    name: str
    table: ConnectionTable
    secret: str
    token: str | None
    event_secret: str | None

    def __repr__(self) -> str:
        return f"Connection({self.name!r})"

    @property
    def writes(self) -> bool:
        """Whether any mode of it writes to the helpdesk."""
        fields = self.table.fields.values()
        modes = [self.table.mode, *(each.mode for each in fields), *(m for each in fields for m in each.modes.values())]
        return self.table.mode is not Mode.OFF and any(mode in (Mode.SUGGEST, Mode.ROUTE) for mode in modes)

    def mode_of(self, field: str, label: str | None) -> Mode:
        """The narrowest that is set: of the label, the field, the connection. A connection that is off is off."""
        if self.table.mode is Mode.OFF:
            return Mode.OFF
        table = self.table.fields.get(field)
        if table is None:
            # Fields that the file does not name are not written.
            return self.table.mode if field == DEPARTMENT else Mode.SHADOW
        narrow = table.modes.get(label) if label is not None else None
        return narrow or table.mode or self.table.mode

    def target_of(self, field: str, label: str) -> str | None:
        table = self.table.fields.get(field)
        return None if table is None else table.targets.get(label)


def load_connections(path: Path) -> Mapping[str, Connection]:
    """By name.

    Raises:
        ConnectionsError: a line for each fault of the file.
    """
    try:
        content = tomllib.loads(path.read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise ConnectionsError(f"cannot be read ({getattr(error, 'strerror', 'not UTF-8')})", path=path) from error
    except tomllib.TOMLDecodeError as error:
        raise ConnectionsError(f"not TOML: {error}", path=path) from None
    faults: list[str] = []
    found: dict[str, Connection] = {}
    for name, raw in content.items():
        if not NAME.fullmatch(name):
            faults.append(f"[{name[:40]}]: a name has up to 32 of a-z, 0-9, - and _")
        elif not isinstance(raw, dict):
            faults.append(f"{name}: must be a table, [{name}]")
        else:
            try:
                found[name] = _connection(name, ConnectionTable.model_validate(raw), faults)
            except ValidationError as error:
                faults.extend(f"[{name}] {line}" for line in lines_of(error))
    if not content:
        faults.append("no connection in it")
    if faults:
        raise ConnectionsError(*faults, path=path)
    return found


def unknown_names(connection: Connection, labels: Mapping[str, Collection[str]]) -> list[str]:
    """The keys of the connection's table whose field or label is not in `labels`."""
    unknown = []
    for field, table in connection.table.fields.items():
        if field not in labels:
            unknown.append(f"fields.{field}")
            continue
        keyed = [*(("targets", label) for label in table.targets), *(("modes", label) for label in table.modes)]
        unknown += [f"fields.{field}.{key}.{label}" for key, label in keyed if label not in labels[field]]
    return unknown


def lines_of(error: ValidationError, prefix: str = "") -> list[str]:
    """Each fault by its key, without the value, which may be a secret that was pasted in."""
    return [
        f"{'.'.join((prefix, *map(str, each['loc']))).strip('.')}: {each['msg'].removeprefix('Value error, ')}"
        for each in error.errors(include_url=False, include_input=False, include_context=False)
    ]


def _connection(name: str, table: ConnectionTable, faults: list[str]) -> Connection:
    def secret(key: str, reference: SecretRef | None) -> str | None:
        if reference is None:
            return None
        try:
            return reference.read()
        except ValueError as error:
            faults.append(f"[{name}] {key}: {error}")
            return None

    event_secret = secret("event.secret", None if table.event is None else table.event.secret)
    if event_secret is not None:
        try:
            key = base64.b64decode(event_secret.removeprefix("whsec_"), validate=True)
        except ValueError:
            key = b""
        if not key or not event_secret.startswith("whsec_"):
            faults.append(f"[{name}] event.secret: not a secret of Standard Webhooks (whsec_ and base64)")
    connection = Connection(
        name, table, secret("secret", table.secret) or "", secret("token", table.token), event_secret
    )
    if connection.writes and table.token is None:
        faults.append(f"[{name}] token: needed to write; the mode shadow needs none")
    for field, each in table.fields.items():
        for label in each.modes:
            if label not in each.targets and each.modes[label] is Mode.ROUTE:
                faults.append(f"[{name}] fields.{field}.modes.{label}: route needs a target in fields.{field}.targets")
    return connection
