"""`POST /v1/feedback`: what people say that decisions should have been."""

from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import Response

from models.label_source import LabelSource
from service import errors
from service.access.caller import Role
from service.api.openapi import json_body
from service.api.parse import FeedbackBatchParser, parse_feedback
from service.api.routes import BODY_ERRORS
from service.api.schemas import (
    FeedbackBatchOut,
    FeedbackReceived,
    FeedbackReceivedOut,
    FeedbackRequest,
    Refused,
)
from service.context import RequestContext
from service.errors import FieldError, InvalidRequest, RecordsOff, ServiceError, UnknownDecision, UnknownTicket
from service.http.authorize import REFUSALS as ACCESS_REFUSALS
from service.http.authorize import Authorizer, caller_of, secured
from service.http.body import BodyReader, Content
from service.http.headers import JSON, media_type, timeout_seconds
from service.http.problems import documented, problem_of
from service.logs import add_log_fields
from service.records.database.schema import milliseconds_now
from service.records.feedback import Feedback, Received, store
from service.records.records import Records
from service.records.rows import milliseconds_in, storable
from service.routing.cpu_pool import CpuPool
from service.routing.router import Router, deadline_in
from service.settings import Settings

T = TypeVar("T")

FEEDBACK = "/v1/feedback"
BATCH = "/v1/feedback/batch"
CLOCK_MS = 60_000
"""How far a helpdesk's clock may be ahead."""

_ERRORS = (
    *ACCESS_REFUSALS,
    *BODY_ERRORS,
    errors.Overloaded,
    errors.DeadlinePassed,
    errors.NotReady,
    errors.ShuttingDown,
    errors.RecordsUnavailable,
    RecordsOff,
    UnknownDecision,
    UnknownTicket,
)

Labels = Mapping[str, frozenset[str]]


class FeedbackApi:
    def __init__(
        self,
        router: Router,
        cpu_pool: CpuPool,
        bodies: BodyReader,
        records: Records | None,
        authorizer: Authorizer,
        settings: Settings,
    ) -> None:
        self._router = router
        self._cpu_pool = cpu_pool
        self._bodies = bodies
        self._records = records
        self._settings = settings
        self._batches = FeedbackBatchParser(settings.max_batch_tickets)
        self._one = authorizer.require(Role.FEEDBACK, self.feedback)
        self._many = authorizer.require(Role.FEEDBACK, self.batch)

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route(
            FEEDBACK,
            self._one,
            summary="Say what a decision should have been",
            tags=["records"],
            methods=["POST"],
            response_model=FeedbackReceivedOut,
            responses=documented(*_ERRORS),
            openapi_extra=json_body(FeedbackRequest, keyed=False) | secured(Role.FEEDBACK),
        )
        app.add_api_route(
            BATCH,
            self._many,
            summary="Say what many decisions should have been",
            tags=["records"],
            methods=["POST"],
            response_model=FeedbackBatchOut,
            responses=documented(*_ERRORS),
            openapi_extra=json_body(self._batches.model, keyed=False) | secured(Role.FEEDBACK),
        )

    @property
    def inputs(self) -> tuple[type[BaseModel], ...]:
        """The models of the bodies, for the OpenAPI document."""
        return FeedbackRequest, self._batches.model

    async def feedback(self, request: Request) -> Response:
        """Store the right values of a decision's fields. The newest value counts, at close before all others; a
        repeated request adds nothing."""
        parsed = await self._read(request, parse_feedback)
        (result,) = await self._store([feedback_of(parsed, self._labels(), milliseconds_now())])
        if isinstance(result, ServiceError):
            raise result
        return Response(_received_out(result).model_dump_json(), media_type=JSON)

    async def batch(self, request: Request) -> Response:
        """Store feedback about many decisions, in one transaction: one result or one error for each, in their
        order."""
        parsed = await self._read(request, self._batches.parse)
        labels, now_ms = self._labels(), milliseconds_now()
        items: list[Feedback | ServiceError] = []
        for each in parsed:
            try:
                items.append(each if isinstance(each, InvalidRequest) else feedback_of(each, labels, now_ms))
            except InvalidRequest as error:
                items.append(error)
        valid = iter(await self._store([item for item in items if isinstance(item, Feedback)]))
        results = [next(valid) if isinstance(item, Feedback) else item for item in items]
        add_log_fields(request.scope, feedback=len(results))
        request_id = request.state.request_id
        answer = FeedbackBatchOut(
            results=tuple(
                Refused(error=problem_of(each, request_id))
                if isinstance(each, ServiceError)
                else FeedbackReceived(feedback=_received_out(each))
                for each in results
            )
        )
        return Response(answer.model_dump_json(), media_type=JSON)

    async def _read(self, request: Request, parse: Callable[[Content], T]) -> T:
        if self._records is None:
            raise RecordsOff
        seconds = timeout_seconds(request.scope["headers"], self._settings.request_timeout_seconds)
        context = RequestContext(deadline_in(seconds), caller_of(request.scope).name)
        media_type(request.scope["headers"], JSON)
        body = await self._bodies.read(request, self._settings.max_body_bytes, context.deadline)
        return await self._cpu_pool.run(len(body), lambda: parse(body), context)

    async def _store(self, items: Sequence[Feedback]) -> list[Received | ServiceError]:
        """The results after the commit."""
        assert self._records is not None
        stored = await self._records.write(lambda connection: store(connection, items)) if items else []
        results: list[Received | ServiceError] = []
        for item, received in zip(items, stored, strict=True):
            if received is not None:
                self._records.metrics.feedback(item.source, received.new)
                results.append(received)
            elif self._records.metrics.spool[0]:
                results.append(errors.RecordsUnavailable())  # the decision may wait in the spool
            else:
                results.append(UnknownTicket() if item.decision_id is None else UnknownDecision())
        return results

    def _labels(self) -> Labels:
        return {scoring.field.name: frozenset(scoring.field.labels) for scoring in self._router.engine.graph.scorings}


def feedback_of(request: FeedbackRequest, labels: Labels, now_ms: int) -> Feedback:
    """`labels`: of the bundle being served, whose successor learns from the feedback.

    Raises:
        InvalidRequest: a field or a label that the bundle does not have, or a time that is malformed or to come.
    """
    found: list[FieldError] = []
    for name, value in request.fields.items():
        if name not in labels:
            found.append(FieldError("fields.*", "unknown_field", "The bundle predicts no such field: GET /v1/model"))
        elif value not in labels[name]:
            message = "This is no label of the field in the bundle being served: GET /v1/model"
            found.append(FieldError(f"fields.{name}", "unknown_label", message))
    at = now_ms if request.at is None else milliseconds_in(request.at)
    if at is None:
        found.append(FieldError("at", "malformed_time", "Give a time with its offset, such as 2026-11-30T08:00:00Z"))
    elif at > now_ms + CLOCK_MS:
        found.append(FieldError("at", "future_time", "This time is to come"))
    if at is None or found:
        raise InvalidRequest(tuple(dict.fromkeys(found))[:10])
    ticket_id = None if request.ticket_id is None else storable(request.ticket_id)
    return Feedback(request.decision_id, ticket_id, request.fields, LabelSource(request.source), at)


def _received_out(received: Received) -> FeedbackReceivedOut:
    return FeedbackReceivedOut(decision_id=received.decision_id, ticket_id=received.ticket_id, stored=received.new)
