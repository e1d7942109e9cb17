"""Parts of a ticket's page: similar closed tickets, a summary, a draft of an answer."""

from functools import partial
from typing import NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from service.desk.pages import PageError, Pages
from service.records.records import Records
from service.records.rows import timestamp
from service.similar import closed
from service.similar.similar import Alike, Similar

EXCERPT = 160
LEAST_SIMILARITY = 0.6
"""Of a ticket whose answer is shown as a draft: below, it is mostly about something else."""


class _Ticket(NamedTuple):
    """`text`: None: not kept. `holdout`: of the random share: departments of similar tickets would sway the label."""

    decision_id: str
    ticket: str | None
    text: str | None
    holdout: bool


class AlikePages:
    def __init__(self, pages: Pages, similar: Similar, records: Records) -> None:
        self._pages = pages
        self._similar = similar
        self._records = records

    def routes(self) -> list[Route]:
        parts = (("alike", self.alike), ("summary", self.summary), ("draft", self.draft))
        return [Route(f"/tickets/{{decision_id}}/{name}", self._pages.guarded(endpoint)) for name, endpoint in parts]

    async def alike(self, request: Request) -> Response:
        ticket = await self._ticket(request)
        found = await self._like(ticket)
        shown = [
            {
                "ticket": each.ticket,
                "department": each.department,
                "percent": round(100 * each.similarity),
                "excerpt": excerpt(each.text),
                "text": each.text,
                "answer": each.answer,
                "day": timestamp(each.at)[:10],
            }
            for each in found
        ]
        return self._pages.render(
            request,
            "alike.html",
            is_kept=ticket.text is not None,
            holdout=ticket.holdout,
            alike=shown,
            state=self._similar.state,
        )

    async def summary(self, request: Request) -> Response:
        ticket = await self._ticket(request)
        sentences = await self._similar.summary(ticket.text) if ticket.text else []
        return self._pages.render(request, "summary.html", sentences=sentences)

    async def draft(self, request: Request) -> Response:
        """The answer to the most similar ticket that has one; with `?write=1` what the generator makes of it."""
        ticket = await self._ticket(request)
        like = await self._like(ticket)
        source = next((each for each in like if each.answer and each.similarity >= LEAST_SIMILARITY), None)
        generator = self._similar.generator
        written = None
        if generator is not None and ticket.text and request.query_params.get("write") == "1":
            written = await self._similar.write(ticket.text, source)
        return self._pages.render(
            request,
            "draft.html",
            decision_id=ticket.decision_id,
            source=source,
            written=written,
            can_write=generator is not None and bool(ticket.text) and written is None,
            fault=self._similar.generator_fault,
        )

    async def _ticket(self, request: Request) -> _Ticket:
        decision_id = request.path_params["decision_id"]
        found = await self._records.read(partial(closed.ticket_of, decision_id=decision_id))
        if found is None:
            raise PageError(404, "This ticket is no longer on record.")
        return _Ticket(decision_id, *found)

    async def _like(self, ticket: _Ticket) -> list[Alike]:
        if not ticket.text or ticket.holdout:
            return []
        return await self._similar.like(ticket.text, ticket=ticket.ticket, decision_id=ticket.decision_id)


def excerpt(text: str) -> str:
    """The start of a text, on one line."""
    line = " ".join(text.split())
    return line if len(line) <= EXCERPT else f"{line[:EXCERPT].rsplit(' ', 1)[0]} …"
