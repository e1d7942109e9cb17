"""`GET /v1/decisions`: the decisions on record, one by its id or pages of them."""

import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from starlette.responses import Response
from ulid import ULID

from models.scoring import Outcome
from service import errors
from service.access.caller import Role
from service.api.schemas import RecordedOut, RecordedPageOut
from service.errors import FieldError, InvalidRequest, RecordsOff, UnknownDecision
from service.http.authorize import REFUSALS as ACCESS_REFUSALS
from service.http.authorize import Authorizer, secured
from service.http.headers import JSON
from service.http.problems import documented
from service.records import queries
from service.records.records import Records
from service.records.rows import milliseconds_in, storable

DECISIONS = "/v1/decisions"
DECISION = "/v1/decisions/{decision_id}"
ID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
_ID = re.compile(ID)
_TIME = {"type": "string", "format": "date-time"}


def _query(name: str, description: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "required": False, "description": description, "schema": schema}


_PAGE_PARAMETERS = [
    _query(
        "outcome", "Only decisions with this outcome.", {"type": "string", "enum": [each.value for each in Outcome]}
    ),
    _query("ticket_id", "Only decisions about this ticket.", {"type": "string", "minLength": 1}),
    _query("since", "Only decisions from this time on, RFC 3339 with its offset.", _TIME),
    _query("until", "Only decisions before this time.", _TIME),
    _query("cursor", "The `cursor` of the previous page.", {"type": "string", "pattern": f"^{ID}$"}),
]
_ID_PARAMETER = {"name": "decision_id", "in": "path", "required": True, "schema": {"type": "string"}}


class DecisionsApi:
    def __init__(self, records: Records | None, authorizer: Authorizer) -> None:
        self._records = records
        self._decision = authorizer.require(Role.FEEDBACK, self.decision)
        self._page = authorizer.require(Role.FEEDBACK, self.page)

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route(
            DECISIONS,
            self._page,
            summary="Decisions on record",
            tags=["records"],
            methods=["GET"],
            response_model=RecordedPageOut,
            responses=documented(*ACCESS_REFUSALS, InvalidRequest, RecordsOff, errors.RecordsUnavailable),
            openapi_extra={"parameters": _PAGE_PARAMETERS} | secured(Role.FEEDBACK),
        )
        app.add_api_route(
            DECISION,
            self._decision,
            summary="One decision on record",
            tags=["records"],
            methods=["GET"],
            response_model=RecordedOut,
            responses=documented(*ACCESS_REFUSALS, UnknownDecision, RecordsOff, errors.RecordsUnavailable),
            openapi_extra={"parameters": [_ID_PARAMETER]} | secured(Role.FEEDBACK),
        )

    async def decision(self, request: Request) -> Response:
        """A decision with its feedback."""
        decision_id = request.path_params["decision_id"]
        if self._records is None:
            raise RecordsOff
        if not _ID.fullmatch(decision_id):
            raise UnknownDecision
        found = await self._records.read(lambda connection: queries.decision(connection, decision_id))
        if found is None:
            raise UnknownDecision
        return Response(RecordedOut.model_validate(found).model_dump_json(), media_type=JSON)

    async def page(self, request: Request) -> Response:
        """Decisions, the newest first, a hundred a page."""
        if self._records is None:
            raise RecordsOff
        options = _options(request.query_params.multi_items())
        found = await self._records.read(lambda connection: queries.page(connection, **options))
        page = RecordedPageOut(
            decisions=tuple(map(RecordedOut.model_validate, found)),
            cursor=found[-1]["decision_id"] if len(found) == queries.PAGE else None,
        )
        return Response(page.model_dump_json(), media_type=JSON)


def _options(items: list[tuple[str, str]]) -> dict[str, Any]:
    """The options of `queries.page`.

    Raises:
        InvalidRequest: an unknown parameter, one given twice, or a malformed value.
    """
    given: dict[str, Any] = {}
    for name, value in items:
        option, parse, message = _PARSERS.get(name, _UNKNOWN)
        try:
            parsed = parse(value)
        except ValueError:
            parsed = None
        if parsed is None or option in given:
            known = name if name in _PARSERS else "*"
            raise InvalidRequest((FieldError(known, "invalid_parameter", message),))
        given[option] = parsed
    return given


_UNKNOWN: tuple[str, Any, str] = (
    "*",
    lambda _value: None,
    "The parameters are outcome, ticket_id, since, until, cursor",
)
_PARSERS: Mapping[str, tuple[str, Any, str]] = {
    "outcome": ("outcome", lambda value: Outcome(value).value, "Give route, suggest or review, once"),
    "ticket_id": ("ticket_id", lambda value: storable(value) or None, "Give the id of a ticket, once"),
    "since": ("since_ms", milliseconds_in, "Give a time such as 2026-11-30T08:00:00Z, once"),
    "until": ("until_ms", milliseconds_in, "Give a time such as 2026-11-30T08:00:00Z, once"),
    "cursor": (
        "before",
        lambda value: str(ULID.from_str(value)) if _ID.fullmatch(value) else None,
        "Give the cursor of the previous page, once",
    ),
}
