"""A server that speaks Zendesk's documented API: tickets, bulk updates, limits, and signed webhooks.

One difference: `updated_at` has microseconds, so that a conflict is seen also within one second.
"""

import base64
import contextlib
import hashlib
import hmac
import itertools
import json
import re
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal, NamedTuple
from urllib.parse import parse_qs, urlsplit

import httpx

USER = "router@acme.example"
TOKEN = "token-of-the-api-in-tests"
SECRET = "signing-key-of-the-webhook"
GROUPS = {"incoming": 1, "billing": 11, "technical": 12, "sales": 13, "returns": 14}
ROUTER, CUSTOMER, PERSON = 900, 500, 700
PAGE = 100
JOBS_KEPT = 100
JOBS_AT_ONCE = 30

Fault = Literal["none", "hang", "500", "503", "html", "redirect"]


class Audit(NamedTuple):
    """A change of one attribute."""

    ticket: int
    author: int
    attribute: str
    before: Any
    after: Any


class Zendesk:
    """`updates_a_minute`: of the Update Ticket call, for the whole account. `minute_seconds`: length of that minute.
    `delay_seconds`: what the incremental export leaves out (a minute at Zendesk)."""

    def __init__(
        self,
        *,
        updates_a_minute: int = 100,
        calls_a_minute: int = 100_000,
        minute_seconds: float = 60,
        delay_seconds: float = 0,
    ) -> None:
        self.minute_seconds = minute_seconds
        self.updates_a_minute = updates_a_minute
        self.calls_a_minute = calls_a_minute
        self.delay_seconds = delay_seconds
        self.tickets: dict[int, dict[str, Any]] = {}
        self.audits: list[Audit] = []
        self.calls: list[tuple[str, str, int]] = []
        """Method, path and status of each."""
        self.fault: Fault = "none"
        self.before_update: dict[int, int] = {}
        """Ticket → group that a person moves it to just before the next update arrives."""
        self.failing_in_jobs: set[int] = set()
        """Tickets that a job cannot update."""
        self.lock = threading.RLock()
        self._jobs: dict[str, Any] = {}
        self._updates: deque[float] = deque()
        self._all: deque[float] = deque()
        self._ids = itertools.count(1)
        self._released = threading.Event()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        self.is_up = False

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Also after `stop`, on the same port."""
        zendesk = self

        class Handler(_Handler):
            owner = zendesk

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, *_: object) -> None:
                """A client that went away."""

        self._released.clear()
        self.is_up = True
        self._server = Server(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    def stop(self) -> None:
        """Refuse connections; open ones end without an answer."""
        assert self._server is not None
        self.is_up = False
        self._released.set()
        self._server.shutdown()
        self._server.server_close()

    def set_fault(self, fault: Fault) -> None:
        self._released.set()
        self._released = threading.Event()
        self.fault = fault

    # What people do

    def new_ticket(self, subject: str, description: str, number: int | None = None, **fields: Any) -> int:
        with self.lock:
            number = next(self._ids) if number is None else number
            moment = _now()
            self.tickets[number] = {
                "id": number,
                "subject": subject,
                "description": description,
                "status": "new",
                "group_id": GROUPS["incoming"],
                "priority": None,
                "tags": [],
                "custom_fields": [],
                "requester_id": CUSTOMER,
                "submitter_id": CUSTOMER,
                "is_public": True,
                "created_at": moment,
                "updated_at": moment,
                "comments": [],
                **fields,
            }
            return number

    def move(self, number: int, group: int, author: int = PERSON) -> None:
        self._change(number, {"group_id": group}, author)

    def group_of(self, number: int) -> int:
        return int(self.tickets[number]["group_id"])

    def moves(self, number: int, author: int = ROUTER) -> list[int]:
        """Groups that this author moved the ticket to, in order."""
        with self.lock:
            return [
                audit.after
                for audit in self.audits
                if (audit.ticket, audit.author, audit.attribute) == (number, author, "group_id")
            ]

    # Webhooks

    def created_event(self, number: int) -> dict[str, Any]:
        """Of a subscription to events: without the requester's address."""
        ticket = self.tickets[number]
        detail = {
            name: ticket[name] for name in ("subject", "description", "tags", "is_public", "created_at", "updated_at")
        }
        # As documented: ids as text, words in capitals, no custom fields.
        detail |= {name: str(ticket[name]) for name in ("id", "group_id", "requester_id", "submitter_id")}
        detail |= {name: (ticket[name] or "").upper() or None for name in ("status", "priority")}
        detail |= {"actor_id": str(ticket["submitter_id"]), "via": {"channel": "mail"}}
        return {
            "type": "zen:event-type:ticket.created",
            "account_id": 22129848,
            "id": f"01J{number:023}",
            "time": _now(),
            "zendesk_event_version": "2022-11-06",
            "subject": f"zen:ticket:{number}",
            "detail": detail,
            "event": {},
        }

    def event(self, kind: str, number: int, actor: int = PERSON) -> dict[str, Any]:
        """Another event of a ticket: `group_assignment_changed`, `status_changed`."""
        event = self.created_event(number)
        event["detail"]["actor_id"] = str(actor)
        return {**event, "type": f"zen:event-type:ticket.{kind}"}

    def webhook(
        self, content: Any, *, invocation: str | None = None, secret: str = SECRET, moment: float | None = None
    ) -> tuple[dict[str, str], bytes]:
        """Headers and body of a signed call."""
        body = content if isinstance(content, bytes) else json.dumps(content, ensure_ascii=False).encode()
        when = datetime.fromtimestamp(time.time() if moment is None else moment, UTC)
        stamp = when.isoformat(timespec="seconds").replace("+00:00", "Z")
        code = hmac.new(secret.encode(), stamp.encode() + body, hashlib.sha256).digest()
        return {
            "Content-Type": "application/json",
            "X-Zendesk-Account-Id": "22129848",
            "X-Zendesk-Webhook-Id": "01GWQ8YQBN0ZMJ1H1BE1M1Z9HV",
            "X-Zendesk-Webhook-Invocation-Id": invocation or f"01K{time.time_ns():023}",
            "X-Zendesk-Webhook-Signature": base64.b64encode(code).decode(),
            "X-Zendesk-Webhook-Signature-Timestamp": stamp,
        }, body

    def send(
        self, client: httpx.Client, url: str, number: int, invocation: str | None = None, event: Any = None
    ) -> httpx.Response:
        """The event of a new ticket; `event`: as it was made earlier."""
        headers, body = self.webhook(event or self.created_event(number), invocation=invocation)
        return client.post(url, content=body, headers=headers)

    # The API

    def answer(self, method: str, path: str, query: Mapping[str, str], content: Any) -> tuple[int, Any]:
        if method == "GET":
            return self._get(path, query)
        if method == "PUT" and path == "/api/v2/tickets/update_many.json":
            return self._update_many(query, content)
        match = re.fullmatch(r"/api/v2/tickets/(\d+)\.json", path)
        if method == "PUT" and match:
            return self._update(int(match[1]), content["ticket"])
        return 404, {"error": "InvalidEndpoint", "description": "Not found"}

    def _get(self, path: str, query: Mapping[str, str]) -> tuple[int, Any]:
        if path == "/api/v2/users/me.json":
            return 200, {"user": {"id": ROUTER, "name": "Ticket router", "email": USER, "role": "agent"}}
        if path == "/api/v2/groups.json":
            groups = [{"id": number, "name": name, "deleted": False} for name, number in GROUPS.items()]
            return 200, {"groups": groups, "meta": {"has_more": False, "after_cursor": None}}
        if match := re.fullmatch(r"/api/v2/tickets/(\d+)\.json", path):
            found = self.tickets.get(int(match[1]))
            return (404, _NOT_FOUND) if found is None else (200, {"ticket": _shown(found)})
        if path == "/api/v2/tickets/show_many.json":
            numbers = [int(each) for each in query["ids"].split(",")]
            return 200, {"tickets": [_shown(self.tickets[each]) for each in numbers if each in self.tickets]}
        if path == "/api/v2/incremental/tickets/cursor.json":
            return self._incremental(query)
        if match := re.fullmatch(r"/api/v2/job_statuses/(\w+)\.json", path):
            job = self._jobs.get(match[1])
            if job is None:
                return 404, _NOT_FOUND
            if job["status"] == "queued":  # the next look finds the end
                job["status"] = "completed"
                return 200, {"job_status": {**job, "status": "working", "results": None}}
            return 200, {"job_status": job}
        return 404, {"error": "InvalidEndpoint", "description": "Not found"}

    def _incremental(self, query: Mapping[str, str]) -> tuple[int, Any]:
        after = base64.b64decode(query["cursor"]).decode() if "cursor" in query else ""
        since = datetime.fromtimestamp(int(query.get("start_time", 0)), UTC).isoformat()
        until = datetime.fromtimestamp(time.time() - self.delay_seconds, UTC).isoformat()
        found = sorted(self.tickets.values(), key=lambda each: (each["updated_at"], each["id"]))
        keyed = [(f"{each['updated_at']} {each['id']:012}", each) for each in found if each["updated_at"] <= until]
        later = [pair for pair in keyed if (pair[0] > after if after else pair[0] >= since)]
        page = later[:PAGE]
        cursor = base64.b64encode(page[-1][0].encode()).decode() if page else query.get("cursor")
        return 200, {
            "tickets": [_shown(each) for _, each in page],
            "after_cursor": cursor,
            "end_of_stream": len(later) <= PAGE,
        }

    def _update(self, number: int, wanted: dict[str, Any]) -> tuple[int, Any]:
        if number in self.before_update:
            self.move(number, self.before_update.pop(number))
        ticket = self.tickets.get(number)
        if ticket is None:
            return 404, _NOT_FOUND
        if wanted.get("safe_update") and wanted.get("updated_stamp") != ticket["updated_at"]:
            return 409, {"error": "UpdateConflict", "description": "Safe Update prevented the update"}
        if "group_id" in wanted and wanted["group_id"] not in GROUPS.values():
            return 422, {"error": "RecordInvalid", "description": "Record validation errors"}
        changes = {name: wanted[name] for name in ("group_id", "priority", "status", "custom_fields") if name in wanted}
        if "additional_tags" in wanted:
            changes["tags"] = sorted({*ticket["tags"], *wanted["additional_tags"]})
        if "comment" in wanted:
            changes["comments"] = [*ticket["comments"], wanted["comment"]]
        self._change(number, changes, ROUTER)
        return 200, {"ticket": _shown(ticket), "audit": {"ticket_id": number}}

    def _update_many(self, query: Mapping[str, str], content: Any) -> tuple[int, Any]:
        if "ids" in query:
            wanted = [{"id": int(each), **content["ticket"]} for each in query["ids"].split(",")]
        else:
            wanted = content["tickets"]
        if len(wanted) > 100:
            return 413, {"error": "TooManyValues", "description": "Too many values"}
        if sum(job["status"] == "queued" for job in self._jobs.values()) >= JOBS_AT_ONCE:
            return 429, {"error": "TooManyJobs", "description": "Too many jobs are at work"}
        results: list[dict[str, Any]] = []
        for each in wanted:
            # `safe_update` is documented for the update of one ticket only.
            failing = each["id"] in self.failing_in_jobs
            status = 422 if failing else self._update(each["id"], {**each, "safe_update": False})[0]
            if status == 200:
                results.append({"id": each["id"], "action": "update", "status": "Updated", "success": True})
            else:
                error = "TicketNotFound" if status == 404 else "TicketUpdateFailed"
                results.append({"id": each["id"], "action": "update", "status": "Failed", "error": error})
        name = f"{len(self._jobs):032x}"
        job = {"id": name, "url": f"{self.url}/api/v2/job_statuses/{name}.json", "total": len(wanted)}
        self._jobs[name] = {**job, "progress": len(wanted), "status": "queued", "results": results}
        for old in list(self._jobs)[:-JOBS_KEPT]:
            del self._jobs[old]
        return 200, {"job_status": {**job, "progress": None, "status": "queued", "results": None}}

    def _change(self, number: int, changes: Mapping[str, Any], author: int) -> None:
        with self.lock:
            ticket = self.tickets[number]
            for attribute, value in changes.items():
                if ticket[attribute] != value:
                    self.audits.append(Audit(number, author, attribute, ticket[attribute], value))
                    ticket[attribute] = value
            ticket["updated_at"] = _now()

    def limit(self, is_update: bool) -> tuple[dict[str, str], bool]:
        """The headers of the limits, and whether this call is over one."""
        now = time.monotonic()
        for times in (self._all, self._updates):
            while times and times[0] <= now - self.minute_seconds:
                times.popleft()
        self._all.append(now)
        over = len(self._all) > self.calls_a_minute
        left = self.calls_a_minute - len(self._all)
        headers = {"X-Rate-Limit": str(self.calls_a_minute), "X-Rate-Limit-Remaining": str(max(left, 0))}
        if is_update:
            over = over or len(self._updates) >= self.updates_a_minute
            if not over:
                self._updates.append(now)
            left = self.updates_a_minute - len(self._updates)
            oldest = self._updates[0] if self._updates else now
            resets = max(1, round(oldest + self.minute_seconds - now))
            named = f"total={self.updates_a_minute}; remaining={left}; resets={resets}"
            headers["Zendesk-RateLimit-Tickets-Update"] = named
            if over:
                headers["Retry-After"] = str(resets)
        elif over:
            headers["Retry-After"] = str(max(1, round(self._all[0] + self.minute_seconds - now)))
        return headers, over

    def wait_while_hanging(self) -> None:
        self._released.wait(120)


class _Handler(BaseHTTPRequestHandler):
    owner: Zendesk
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def _handle(self) -> None:
        owner, parts = self.owner, urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if owner.fault == "hang":
            owner.wait_while_hanging()
        if owner.fault == "hang" or not owner.is_up:
            self.close_connection = True
            return
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        with owner.lock:
            status, content, headers = self._respond(parts.path, query, body)
            owner.calls.append((self.command, parts.path, status))
        answer = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def _respond(self, path: str, query: Mapping[str, str], body: bytes) -> tuple[int, Any, dict[str, str]]:
        owner = self.owner
        json_type = {"Content-Type": "application/json; charset=utf-8"}
        if owner.fault == "html":
            return 200, b"<html>We will be back soon</html>", {"Content-Type": "text/html"}
        if owner.fault == "redirect":
            return 302, b"", {"Location": "http://127.0.0.1:1/elsewhere"}
        if owner.fault in ("500", "503"):
            return int(owner.fault), b"", {"Retry-After": "1"} if owner.fault == "503" else {}
        expected = base64.b64encode(f"{USER}/token:{TOKEN}".encode()).decode()
        if self.headers.get("Authorization") != f"Basic {expected}":
            return 401, {"error": "Couldn't authenticate you"}, json_type
        is_update = self.command == "PUT" and path.startswith("/api/v2/tickets/") and "update_many" not in path
        limits, over = owner.limit(is_update)
        if over:
            return (
                429,
                {"error": "APIRateLimitExceeded", "description": "Number of allowed API requests exceeded"},
                {
                    **json_type,
                    **limits,
                },
            )
        status, content = owner.answer(self.command, path, query, json.loads(body) if body else None)
        return status, content, {**json_type, **limits}

    do_GET = do_PUT = do_POST = _handle

    def log_message(self, *_: object) -> None:
        pass


@contextlib.contextmanager
def running_zendesk(**options: Any) -> Iterator[Zendesk]:
    zendesk = Zendesk(**options)
    zendesk.start()
    try:
        yield zendesk
    finally:
        with contextlib.suppress(OSError):
            zendesk.stop()


_NOT_FOUND = {"error": "RecordNotFound", "description": "Not found"}


def _now() -> str:
    return datetime.now(UTC).isoformat()


def _shown(ticket: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in ticket.items() if name != "comments"}
