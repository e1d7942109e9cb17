"""Any helpdesk that calls with JSON and is written by one call: paths and templates in `[NAME.options]`, no code.

    [crm.options]
    signature = "hmac-sha256-hex"        # or -base64, sha1, basic, bearer, header
    signature_header = "X-Signature"
    auth = "bearer"                      # or header, basic: of our calls
    read_path = "/api/tickets/{ticket}"
    write_path = "/api/tickets/{ticket}"
    write_body = { team = "{team}", tags = "{tags}", note = "{note}" }
    [crm.options.paths]
    ticket = "ticket.id"
    subject = "ticket.subject"

A key of `write_body` whose placeholder has no value in a change is left out.
"""

import hashlib
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from service.helpdesks.adapter import Adapter, Headers
from service.helpdesks.client import Client, part
from service.helpdesks.connections import Connection, Strict
from service.helpdesks.payload import at, found_at, id_of, json_of, milliseconds, optional, text
from service.helpdesks.signatures import basic, has_basic, has_bearer, hmac_of, is_recent, refuse_unless, same
from service.helpdesks.types import Change, Current, Delivery, Event, Ignored

_LEFT_OUT = object()


def _path(value: str) -> str:
    if not value.startswith("/") or "//" in value or "?" in value or "{ticket}" not in value:
        raise ValueError("must start with / and contain {ticket}")
    return value


ApiPath = Annotated[str, AfterValidator(_path)]


class Paths(Strict):
    """Dotted paths in the payload of an event."""

    ticket: str
    subject: str = ""
    body: str = ""
    sender: str = ""
    state: str = ""
    created: str = ""
    updated: str = ""
    """When the ticket became as the payload shows it. Unset: now."""
    private: str = ""
    """Of a boolean: an internal message."""
    author: str = ""
    """Of the author's kind; see `customers`."""
    event: str = ""
    """Of the event's name; see `events`."""
    values: dict[str, str] = Field(default_factory=dict)
    """Attribute → path."""


class ReadPaths(Strict):
    """Dotted paths in the ticket that `read_path` gives."""

    state: str = ""
    created: str = ""
    version: str = ""
    tags: str = ""
    values: dict[str, str] = Field(default_factory=dict)


class GenericOptions(Strict):
    paths: Paths
    signature: Literal[
        "hmac-sha256-hex", "hmac-sha256-base64", "hmac-sha1-hex", "hmac-sha1-base64", "basic", "bearer", "header"
    ]
    signature_header: str = "X-Signature"
    signature_prefix: str = ""
    timestamp_header: str = ""
    """Unix seconds or ISO 8601: calls of more than five minutes ago are refused."""
    signed: Literal["{body}", "{timestamp}{body}", "{timestamp}.{body}"] = "{body}"
    delivery_header: str = ""
    """Unset: a repetition is recognised by its body."""
    list_path: str | None = None
    """Of a list of events in one payload."""
    events: list[str] = Field(default_factory=list)
    """Names of the events that create tickets. Unset: all."""
    closed: list[str] = Field(default_factory=list)
    """States of tickets that people have closed."""
    customers: list[str] = Field(default_factory=list)
    """Kinds of authors who are customers. Unset: all."""
    content_type: Literal["text/plain", "text/html"] = "text/plain"
    auth: Literal["bearer", "basic", "header"] = "bearer"
    auth_header: str = "X-API-Key"
    read_path: ApiPath
    read: ReadPaths = ReadPaths()
    write_method: Literal["PUT", "PATCH", "POST"] = "PATCH"
    write_path: ApiPath
    write_body: dict[str, Any]
    etag: bool = False
    """Send `If-Match` with the version that was read."""
    targets: dict[str, list[str]] = Field(default_factory=dict)
    """Attribute → the ids that it can have, to check the mapping against."""


class Generic(Adapter):
    Options: ClassVar[type[Strict]] = GenericOptions
    options: GenericOptions

    def __init__(self, connection: Connection, options: GenericOptions) -> None:
        super().__init__(connection, options)
        self.closed = frozenset(options.closed)

    @property
    def has_tags(self) -> bool:
        return "{tags}" in str(self.options.write_body)

    def headers(self) -> Mapping[str, str]:
        token = self.connection.token or ""
        if self.options.auth == "header":
            return {self.options.auth_header: token}
        if self.options.auth == "basic":
            return {"authorization": basic(self.connection.table.user, token)}
        return {"authorization": f"Bearer {token}"}

    def verify(self, headers: Headers, body: bytes, now: float) -> None:
        options, secret = self.options, self.connection.secret
        if options.signature == "basic":
            return refuse_unless(has_basic(headers, secret))
        if options.signature == "bearer":
            return refuse_unless(has_bearer(headers, secret))
        given = headers.get(options.signature_header.lower(), "")
        if options.signature == "header":
            return refuse_unless(same(given, secret))
        stamp = headers.get(options.timestamp_header.lower(), "") if options.timestamp_header else ""
        _, algorithm, encoding = options.signature.split("-")
        before = options.signed.removesuffix("{body}").replace("{timestamp}", stamp)
        expected = hmac_of(secret, before.encode() + body, algorithm=algorithm, encoding=encoding)
        valid = same(given, options.signature_prefix + expected)
        if options.timestamp_header:
            sent_ms = milliseconds(float(stamp) if stamp.replace(".", "", 1).isdigit() else stamp)
            valid = is_recent(sent_ms, now) and valid
        return refuse_unless(valid)

    def parse(self, headers: Headers, body: bytes) -> Delivery:
        delivery = headers.get(self.options.delivery_header.lower(), "") if self.options.delivery_header else ""
        delivery = delivery[:200] or hashlib.sha256(body).hexdigest()
        content = json_of(body, delivery)
        items = [content] if self.options.list_path is None else at(content, self.options.list_path)
        return Delivery(delivery, tuple(self._event(each, delivery) for each in items or ()))

    async def probe(self, client: Client) -> str:  # noqa: ARG002 - no call is common to all
        return "address and token not checked: the kind generic has no call for it"

    async def targets(self, client: Client, attribute: str) -> Mapping[str, str] | None:  # noqa: ARG002
        ids = self.options.targets.get(attribute)
        return None if ids is None else {each: each for each in ids}

    async def read(self, client: Client, ticket: str) -> Current:
        found = await client.get(self.options.read_path.replace("{ticket}", part(ticket)))
        paths = self.options.read
        return Current(
            found_at(found, paths.values),
            optional(at(found, paths.state)) if paths.state else None,
            milliseconds(at(found, paths.created)) if paths.created else None,
            optional(at(found, paths.version)) if paths.version else None,
            frozenset(text(each) for each in at(found, paths.tags) or ()) if paths.tags else frozenset(),
        )

    async def write(self, client: Client, change: Change) -> None:
        # With those that it has: many helpdesks replace the list.
        tags = sorted({*change.current.marks, *change.tags}) if change.tags else None
        known = {**change.values, "tags": tags, "note": change.note, "mark": change.mark}
        content = _filled(self.options.write_body, {name: value for name, value in known.items() if value is not None})
        version = change.current.version
        headers = {"if-match": version} if self.options.etag and version is not None else {}
        path = self.options.write_path.replace("{ticket}", part(change.ticket))
        await client.call(self.options.write_method, path, content=content, headers=headers)

    def _event(self, content: Any, delivery: str) -> Event:
        paths, options = self.options.paths, self.options

        def value(path: str) -> Any:
            return at(content, path) if path else None

        ignored = None
        if paths.event and options.events and text(value(paths.event)) not in options.events:
            ignored = Ignored.OTHER_EVENT
        elif paths.private and value(paths.private) is True:
            ignored = Ignored.PRIVATE
        elif paths.author and options.customers and text(value(paths.author)) not in options.customers:
            ignored = Ignored.BY_AGENT
        return Event(
            id_of(value(paths.ticket), delivery, f"no id of a ticket at {paths.ticket}"),
            text(value(paths.subject)),
            text(value(paths.body)),
            options.content_type,
            text(value(paths.sender)),
            state=optional(value(paths.state)),
            created_ms=milliseconds(value(paths.created)),
            values=found_at(content, paths.values),
            ignored=ignored,
            changed_ms=milliseconds(value(paths.updated)),
        )


def _filled(template: Any, known: Mapping[str, Any]) -> Any:
    """The template with its placeholders replaced; a value that is one placeholder keeps its type."""
    if isinstance(template, dict):
        filled = {key: _filled(value, known) for key, value in template.items()}
        return {key: value for key, value in filled.items() if value is not _LEFT_OUT}
    if isinstance(template, list):
        return [value for each in template if (value := _filled(each, known)) is not _LEFT_OUT]
    if isinstance(template, str) and template.startswith("{") and template.endswith("}"):
        return known.get(template[1:-1], _LEFT_OUT)
    return template
