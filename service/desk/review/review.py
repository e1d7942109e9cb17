"""The pages of review: the queue, a ticket, and the requests that a decision makes."""

import asyncio
import json
import math
import re
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection, select
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from models.fields import DEPARTMENT
from models.label_source import LabelSource
from service.desk.kept import Kept
from service.desk.pages import PageError, Pages, is_script
from service.desk.review import actions, queue
from service.desk.review.actions import Decided
from service.desk.review.aligned import aligned
from service.desk.review.queue import AGES, PAGE, Filter, filter_of
from service.helpdesks.link import Link
from service.lifecycle import end, repeat
from service.records.database.schema import decisions, milliseconds_now, milliseconds_of, texts
from service.records.records import Records
from service.routing.router import Router

COUNT_SECONDS = 20.0
"""How old the counts may be before they are read again, beside the page: 100,000 open rows take half a second."""
SEND_SECONDS = 2.0
SETTLE_SECONDS = 300.0
PAUSE_SECONDS = 0.05
"""Between two portions, for the tickets that wait for the same connection."""
_log = structlog.get_logger()
_ID = re.compile("[0-7][0-9A-HJKMNP-TV-Z]{25}")
REASONS: Mapping[str, str] = {
    "confident": "sure enough",
    "corrected": "a person said so",
    "below_threshold": "not sure enough",
    "label_not_automatic": "this department is never automatic",
    "empty": "no text",
    "automatic_mail": "an automatic reply",
    "bounce": "an undeliverable mail",
    "loop": "a mail loop",
    "spam": "marked as spam",
    "unreadable": "could not be read",
    "invalid_scores": "the model failed",
    "out_of_scope": "unlike the tickets learned from",
    "language": "a language not learned",
    "too_complex": "took too long to read",
    "audit": "of the random sample",
    "automation_off": "automation is off",
}


class _Ticket(NamedTuple):
    """What the page of a ticket shows. `text`: its row, if it is kept. `superseded`: a newer decision stands for it."""

    row: Any
    text: Any
    decided: Decided | None
    superseded: bool
    before: str | None
    after: str | None


class Review:
    """`links`: the helpdesks by name."""

    def __init__(
        self,
        pages: Pages,
        records: Records,
        router: Router,
        links: Mapping[str, Link],
        descriptions: Mapping[str, Mapping[str, str]],
        *,
        texts_kept: bool,
    ) -> None:
        self._pages = pages
        self._records = records
        self._router = router
        self._links = links
        self._descriptions = descriptions
        self._texts_kept = texts_kept
        self._kept = Kept(COUNT_SECONDS, math.inf)
        self._tasks: list[asyncio.Task[None]] = []

    def routes(self) -> list[Route]:
        guarded = self._pages.guarded
        return [
            Route("/", guarded(self.queue)),
            Route("/tickets/{decision_id}", guarded(self.ticket)),
            Route("/tickets/{decision_id}/decide", guarded(self.decide), methods=["POST"]),
            Route("/reviews/last/undo", guarded(self.undo_last), methods=["POST"]),
            Route("/reviews/{review}/undo", guarded(self.undo), methods=["POST"]),
            Route("/reviews/{review}/seen", guarded(self.seen), methods=["POST"]),
        ]

    def start(self) -> None:
        labels = {scoring.field.name: scoring.field.labels for scoring in self._scorings()}
        for field, texts_by_label in self._descriptions.items():
            if unknown := sorted(texts_by_label.keys() - set(labels.get(field, ()))):
                _log.warning("labels file describes labels that the bundle lacks", field=field, labels=unknown[:20])
        for work, seconds, failed in (
            (self._send, SEND_SECONDS, "decisions of the desk not sent"),
            (self._settle, SETTLE_SECONDS, "queue of the desk not settled"),
        ):
            self._tasks.append(asyncio.create_task(repeat(work, seconds, failed)))

    async def stop(self) -> None:
        """Pending decisions stay on record. No effect if it was not started."""
        await self._kept.stop()
        await end(*self._tasks)

    async def queue(self, request: Request) -> Response:
        wanted, after = filter_of(request.query_params), request.query_params.get("after")
        after = after if after is not None and _ID.fullmatch(after) else None
        now_ms = milliseconds_now()
        counts = await self._kept.get("counts", lambda: self._records.read(queue.counts))
        rows, refused = await self._records.read(
            lambda connection: (
                queue.page(connection, wanted, now_ms, after=after, limit=PAGE + 1),
                actions.refused(connection),
            )
        )
        fields = [f"{scoring.field.name}={label}" for scoring in self._scorings()[1:] for label in scoring.field.labels]
        return self._pages.render(
            request,
            "queue.html",
            rows=rows[:PAGE],
            more=rows[PAGE - 1].id if len(rows) > PAGE else None,
            is_first=after is None,
            wanted=wanted,
            counts=counts,
            ages=AGES,
            fields=fields,
            reasons=REASONS,
            refused=[(row, json.loads(row.fields)[DEPARTMENT]) for row in refused],
            texts_kept=self._texts_kept,
            age=lambda decision_id: age_of(milliseconds_of(decision_id), now_ms),
        )

    async def ticket(self, request: Request) -> Response:
        """The page, or for our script its part."""
        decision_id, wanted = request.path_params["decision_id"], filter_of(request.query_params)
        now_ms = milliseconds_now()
        found = await self._records.read(lambda connection: _ticket(connection, decision_id, wanted, now_ms))
        if found is None:
            raise PageError(404, "This ticket is no longer on record: it was deleted.")
        row, text = found.row, found.text
        parts = [] if text is None else await asyncio.to_thread(aligned, text.body, text.original)
        response = json.loads(row.response)
        candidates = {each["department"]: each["confidence"] for each in response.get("candidates", ())}
        department, *further = (scoring.field for scoring in self._scorings())
        # What the model said of the random sample would sway the person who is asked for a label.
        said = {} if row.holdout else json.loads(row.fields)
        described = self._descriptions.get(DEPARTMENT, {})
        ranked = [label for label in candidates if label in department.labels]
        labels = [*ranked, *(label for label in department.labels if label not in candidates)]
        return self._pages.render(
            request,
            "ticket_part.html" if is_script(request) else "ticket.html",
            row=row,
            parts=parts,
            text=text,
            texts_kept=self._texts_kept,
            decided=found.decided,
            is_own=found.decided is not None and found.decided.who == request.state.session.name,
            superseded=found.superseded,
            before=found.before,
            after=found.after,
            wanted=wanted,
            labels=[(label, candidates.get(label), described.get(label, "")) for label in labels],
            fields=[(field.name, field.labels, said.get(field.name)) for field in further],
            flags=json.loads(row.flags),
            reason=REASONS.get(row.reason, row.reason),
            age=age_of(milliseconds_of(row.id), now_ms),
            decided_age=None if found.decided is None else age_of(found.decided.at, now_ms),
        )

    async def decide(self, request: Request) -> Response:
        decision_id, form = request.path_params["decision_id"], await self._pages.form(request)
        labels = {scoring.field.name: scoring.field.labels for scoring in self._scorings()}
        values = {name: form[name] for name in labels if form.get(name)}
        if DEPARTMENT not in values:
            raise PageError(422, "Choose a department first.")
        if any(value not in labels[name] for name, value in values.items()):
            raise PageError(422, "The model that serves now does not have this label: load the page again.")
        who, now_ms = request.state.session.name, milliseconds_now()
        result = await self._records.write(lambda connection: actions.decide(connection, decision_id, values, who))
        if result is None:
            raise PageError(404, "This ticket was deleted, or has a newer message; nothing was stored.")
        if isinstance(result, Decided):
            author = result.who or "Someone in the helpdesk"
            age = age_of(result.at, now_ms)
            raise PageError(409, f"{author} decided this {age} ago: {result.department}. Yours was not stored.")
        return JSONResponse({"review": result})

    async def undo(self, request: Request) -> Response:
        review = request.path_params["review"]
        if not await self._records.write(lambda connection: actions.undo(connection, review)):
            raise PageError(409, "This decision was sent already, so it cannot be undone here.")
        return Response(status_code=204)

    async def undo_last(self, request: Request) -> Response:
        who = request.state.session.name
        decision = await self._records.write(lambda connection: actions.undo_last(connection, who))
        if decision is None:
            raise PageError(409, "There is nothing to undo: decisions are sent after 30 seconds.")
        return JSONResponse({"decision": decision})

    async def seen(self, request: Request) -> Response:
        review = request.path_params["review"]
        await self._records.write(lambda connection: actions.mark_seen(connection, review))
        return Response("")

    def _scorings(self) -> Any:
        return self._router.engine.graph.scorings

    async def _send(self) -> None:
        until_ms = milliseconds_now() - actions.UNDO_MS
        if not await self._records.read(lambda connection: actions.has_work(connection, until_ms)):
            return

        def work(connection: Connection) -> actions.Sent:
            actions.collect(connection)
            return actions.send(connection, self._links, until_ms)

        sent = await self._records.write(work)
        self._records.metrics.feedback(LabelSource.AGENT, sent.values)
        for link in sent.links:
            link.wake.set()

    async def _settle(self) -> None:
        while ids := await self._records.read(queue.closed):
            await self._records.write(partial(queue.mark_settled, ids=ids))
            await asyncio.sleep(PAUSE_SECONDS)


def age_of(at_ms: int, now_ms: int) -> str:
    """As people say it: 5 minutes."""
    seconds = max(0, now_ms - at_ms) // 1000
    for unit, size in (("day", 86_400), ("hour", 3600), ("minute", 60)):
        if seconds >= size:
            count = seconds // size
            return f"{count} {unit}{'' if count == 1 else 's'}"
    return f"{seconds} second{'' if seconds == 1 else 's'}"


def _ticket(connection: Connection, decision_id: str, wanted: Filter, now_ms: int) -> _Ticket | None:
    row = connection.execute(select(decisions).where(decisions.c.id == decision_id)).one_or_none()
    if row is None:
        return None
    before, after = queue.neighbours(connection, wanted, now_ms, decision_id)
    return _Ticket(
        row,
        connection.execute(select(texts).where(texts.c.decision_id == decision_id)).one_or_none(),
        actions.decided(connection, decision_id),
        not queue.is_newest(connection, decision_id, row.ticket_id),
        before,
        after,
    )
