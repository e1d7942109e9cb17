"""`DELETE /v1/tickets/{id}`: forget a ticket."""

from fastapi import FastAPI, Request
from starlette.responses import Response

from service import errors
from service.access.audit import audit
from service.access.caller import Role
from service.api.schemas import ForgottenOut
from service.errors import NoSuchRoute, RecordsOff, ServiceError
from service.http.authorize import REFUSALS as ACCESS_REFUSALS
from service.http.authorize import Authorizer, caller_of, secured
from service.http.headers import JSON
from service.http.problems import documented, kind_of
from service.records import retention
from service.records.database.schema import milliseconds_now
from service.records.records import Records
from service.records.rows import storable

TICKET = "/v1/tickets/{ticket_id:path}"
"""`path`: an id may contain a slash."""
_ID_PARAMETER = {"name": "ticket_id", "in": "path", "required": True, "schema": {"type": "string"}}


class TicketsApi:
    def __init__(self, records: Records | None, authorizer: Authorizer) -> None:
        self._records = records
        self._forget = authorizer.require(Role.ADMIN, self.forget)

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route(
            TICKET,
            self._forget,
            summary="Forget a ticket",
            tags=["records"],
            methods=["DELETE"],
            response_model=ForgottenOut,
            responses=documented(*ACCESS_REFUSALS, RecordsOff, errors.RecordsUnavailable),
            openapi_extra={"parameters": [_ID_PARAMETER]} | secured(Role.ADMIN),
        )

    async def forget(self, request: Request) -> Response:
        """Delete the decisions, the feedback and the texts of a ticket, also those that wait in a spool. No error if
        there are none."""
        ticket_id, caller = storable(request.path_params["ticket_id"]), caller_of(request.scope).name
        if not ticket_id:
            raise NoSuchRoute
        now_ms = milliseconds_now()
        try:
            if self._records is None:
                raise RecordsOff
            deleted = await self._records.write(lambda connection: retention.forget(connection, ticket_id, now_ms))
        except ServiceError as error:
            audit(caller, "forget", kind_of(error).code)
            raise
        # Without the id: logs outlive what was forgotten. The request id of the two lines is the same.
        audit(caller, "forget", "done", decisions=deleted)
        return Response(ForgottenOut(decisions=deleted).model_dump_json(), media_type=JSON)
