"""A small helpdesk on loopback, as the kind `generic` connects it: JSON tickets with ETags, over real sockets."""

import contextlib
import hashlib
import hmac
import json
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from standardwebhooks import Webhook

from tests.support.local_server import answering
from tests.support.process import Service

SECRET = "s3cr3t-of-the-incoming-calls"
TOKEN = "t0ken-of-the-outgoing-calls"
EVENT_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENVIRONMENT = {"DESK_SECRET": SECRET, "DESK_TOKEN": TOKEN, "DESK_EVENT": EVENT_SECRET}


@dataclass
class Helpdesk:
    """`tickets`: by id. `changes`: every write, in order. `status`: answered to every call in place of the result;
    `hang`: how long each call waits; `before_write`: called with the ticket just before a write, once."""

    port: int = 0
    tickets: dict[str, dict[str, Any]] = field(default_factory=dict)
    changes: list[tuple[str, dict[str, Any]]] = field(default_factory=list)
    events: list[dict[str, Any]] = field(default_factory=list)
    calls: int = 0
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    hang: float = 0.0
    before_write: Any = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def add(self, number: str, **values: Any) -> dict[str, Any]:
        """A new ticket of a customer."""
        ticket = {"id": number, "team": None, "priority": None, "state": "new", "tags": [], "notes": [], "version": 1}
        ticket |= {"created": stamp(), "subject": "Invoice", "body": "I was charged twice."} | values
        with self.lock:
            self.tickets[number] = ticket
        return ticket

    def move(self, number: str, **values: Any) -> None:
        """What a person does."""
        with self.lock:
            ticket = self.tickets[number]
            ticket.update(values)
            ticket["version"] += 1

    def write(self, number: str, version: str | None, values: dict[str, Any]) -> int:
        if self.before_write is not None:
            once, self.before_write = self.before_write, None
            once(number)
        with self.lock:
            ticket = self.tickets[number]
            if version != str(ticket["version"]):
                return 412
            self.changes.append((number, dict(values)))
            note = values.pop("note", None)
            ticket["tags"] = sorted({*ticket["tags"], *values.pop("tags", [])})
            if note is not None:
                ticket["notes"].append(note)
            ticket.update(values)
            ticket["version"] += 1
            return 200


@contextlib.contextmanager
def running_helpdesk() -> Iterator[Helpdesk]:
    desk = Helpdesk()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def do_GET(self) -> None:
            self._do()

        def do_PATCH(self) -> None:
            self._do()

        def do_POST(self) -> None:
            self._do()

        def _do(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            desk.calls += 1
            time.sleep(desk.hang)
            status, answer = self._result(body)
            content = json.dumps(answer).encode()
            self.send_response(status)
            for name, value in desk.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            with contextlib.suppress(OSError):
                self.wfile.write(content)

        def _result(self, body: bytes) -> tuple[int, Any]:
            if desk.status is not None:
                return desk.status, {}
            if self.path == "/hook":
                Webhook(EVENT_SECRET).verify(body, dict(self.headers.items()))
                desk.events.append(json.loads(body))
                return 204, {}
            if self.headers.get("authorization") != f"Bearer {TOKEN}":
                return 401, {}
            number = self.path.rpartition("/")[2]
            if number not in desk.tickets:
                return 404, {}
            if self.command == "GET":
                with desk.lock:
                    return 200, dict(desk.tickets[number])
            return desk.write(number, self.headers.get("if-match"), json.loads(body)), {}

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 128

        def handle_error(self, *_: Any) -> None:
            pass

    with answering(Server(("127.0.0.1", 0), Handler)) as desk.port:
        yield desk


def stamp(days: float = 0) -> str:
    """The time so many days ago."""
    return (datetime.now(UTC) - timedelta(days=days)).isoformat()


def connections_file(folder: Path, url: str, labels: Mapping[str, str], more: str = "", **options: Any) -> Path:
    """A file with one connection, `desk`. `labels`: of the department, with their ids. `more`: further lines of it."""
    top = {"mode": "route", "allow_private": True} | options
    lines = [f"{name} = {json.dumps(value)}" for name, value in top.items()]
    targets = "\n".join(f"{json.dumps(label)} = {json.dumps(target)}" for label, target in labels.items())
    path = folder / "connections.toml"
    path.write_text(
        f"""[desk]
kind = "generic"
url = "{url}"
secret = {{ env = "DESK_SECRET" }}
token = {{ env = "DESK_TOKEN" }}
states = ["new", "open"]
{chr(10).join(lines)}
{more}
[desk.fields.department]
attribute = "team"
[desk.fields.department.targets]
{targets}
[desk.options]
signature = "hmac-sha256-hex"
delivery_header = "X-Delivery"
read_path = "/tickets/{{ticket}}"
write_path = "/tickets/{{ticket}}"
etag = true
list_path = "events"
events = ["created"]
customers = ["customer"]
[desk.options.targets]
team = {json.dumps(["T-old", *labels.values()])}
[desk.options.write_body]
team = "{{team}}"
tags = "{{tags}}"
note = "{{note}}"
[desk.options.paths]
event = "event"
ticket = "ticket.id"
subject = "ticket.subject"
body = "ticket.body"
state = "ticket.state"
created = "ticket.created"
private = "private"
author = "author"
values.team = "ticket.team"
[desk.options.read]
state = "state"
created = "created"
version = "version"
tags = "tags"
values.team = "team"
"""
    )
    return path


def payload(*tickets: Mapping[str, Any], **event: Any) -> bytes:
    events = [{"event": "created", "private": False, "author": "customer", "ticket": each} | event for each in tickets]
    return json.dumps({"events": events}).encode()


def deliver(service: Service, body: bytes, delivery: str, **headers: str) -> httpx.Response:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
    with service.client() as client:
        return client.post(
            "/v1/webhooks/desk",
            content=body,
            headers={"Content-Type": "application/json", "X-Signature": signature, "X-Delivery": delivery} | headers,
        )
