"""The public routes under `/v1`. Each parses the request, calls `Router`, and serialises the response."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, TypeVar

from fastapi import FastAPI, Request
from pydantic import BaseModel
from starlette.responses import Response

from models.mail.reader import MailReader
from models.ticket import Ticket
from service import errors
from service.access.access import Access
from service.access.caller import Role
from service.api.convert import model_card_out, rendered, ticket_of, tickets_of
from service.api.openapi import json_body, mail_body
from service.api.parse import BatchParser, parse_route
from service.api.schemas import BatchOut, DecisionOut, ModelCardOut, Refused, RouteRequest
from service.context import BATCH_SECONDS, Allowance, RequestContext
from service.decision import Decision
from service.errors import InvalidRequest, ServiceError
from service.http.authorize import REFUSALS as ACCESS_REFUSALS
from service.http.authorize import Authorizer, caller_of, secured
from service.http.body import BodyReader, Content
from service.http.fast_path import Endpoint
from service.http.headers import JSON, MAIL, media_type, timeout_seconds
from service.http.problems import documented, problem_of
from service.inference.engine import Engine
from service.logs import add_log_fields
from service.records.identity import idempotency_key, identity_of
from service.records.records import Records
from service.records.redact import kept_text
from service.records.rows import Draft
from service.routing.cpu_pool import CpuPool
from service.routing.read import read_mail
from service.routing.router import Router, deadline_in
from service.routing.telemetry import Telemetry
from service.settings import Settings

T = TypeVar("T")

ROUTE = "/v1/route"
BATCH = "/v1/route/batch"
MODEL = "/v1/model"
BATCH_SHARE = 0.25
"""Share of the queue that one batch may use at once if all its tickets have the maximum length: four concurrent batches
fit into the queue. Enough to pack well."""

REFUSALS = (
    errors.NotReady,
    errors.ShuttingDown,
    errors.Overloaded,
    errors.DeadlinePassed,
    errors.InferenceFailed,
    errors.RecordsUnavailable,
    errors.RecordsFailed,
)
TICKET_REFUSALS = (*REFUSALS, *ACCESS_REFUSALS, errors.RateLimited, errors.KeyReused)
BODY_ERRORS = (
    errors.MalformedJson,
    errors.InvalidHeader,
    errors.RequestTimeout,
    errors.BodyTooLarge,
    errors.TooManyBodies,
    errors.UnsupportedMediaType,
    errors.UnsupportedEncoding,
    errors.InvalidRequest,
    errors.MalformedHttp,
    errors.BodyInPieces,
)


class _Answer(NamedTuple):
    """The decision to give. `body`: its JSON. `repeated`: it is that of an earlier request."""

    id: str
    outcome: str
    body: str
    repeated: bool = False


class _Admitted(NamedTuple):
    """A request that the service takes. `key`: its `Idempotency-Key`; `caller`: a name, also without keys."""

    context: RequestContext
    caller: str
    key: str | None


class Api:
    """The public routes and their dependencies."""

    def __init__(
        self,
        router: Router,
        telemetry: Telemetry,
        cpu_pool: CpuPool,
        bodies: BodyReader,
        access: Access,
        records: Records | None,
        settings: Settings,
    ) -> None:
        self._router = router
        self._telemetry = telemetry
        self._cpu_pool = cpu_pool
        self._bodies = bodies
        self._access = access
        self._records = records
        self._settings = settings
        self._repeat_ms = round(1000 * settings.records_repeat_seconds)
        self._longest_seconds = {ROUTE: settings.request_timeout_seconds, BATCH: settings.batch_timeout_seconds}
        self._batches = BatchParser(settings.max_batch_tickets)
        authorizer = Authorizer(access)
        self._guarded = {
            ROUTE: authorizer.require(Role.ROUTE, self.route),
            BATCH: authorizer.require(Role.ROUTE, self.batch),
            MODEL: authorizer.require(Role.ROUTE, self.model),
        }

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route(
            ROUTE,
            self._guarded[ROUTE],
            summary="Route a ticket",
            tags=["routing"],
            methods=["POST"],
            response_model=DecisionOut,
            responses=documented(*BODY_ERRORS, *TICKET_REFUSALS),
            openapi_extra=json_body(RouteRequest) | mail_body(RouteRequest) | secured(Role.ROUTE),
        )
        app.add_api_route(
            BATCH,
            self._guarded[BATCH],
            summary="Route many tickets",
            tags=["routing"],
            methods=["POST"],
            response_model=BatchOut,
            responses=documented(*BODY_ERRORS, *TICKET_REFUSALS),
            openapi_extra=json_body(self._batches.model) | secured(Role.ROUTE),
        )
        app.add_api_route(
            MODEL,
            self._guarded[MODEL],
            summary="The model being served",
            tags=["routing"],
            methods=["GET"],
            response_model=ModelCardOut,
            responses=documented(*ACCESS_REFUSALS, errors.NotReady),
            openapi_extra=secured(Role.ROUTE),
        )

    @property
    def direct(self) -> Mapping[str, Endpoint]:
        """Path → endpoint of the POST routes that are called for every ticket; `http/fast_path.py` dispatches them."""
        return {path: self._guarded[path] for path in (ROUTE, BATCH)}

    @property
    def inputs(self) -> tuple[type[BaseModel], ...]:
        """The models of the bodies, for the OpenAPI document."""
        return RouteRequest, self._batches.model

    async def route(self, request: Request) -> Response:
        """Decide one ticket: the department, the confidence, and whether to route, to suggest, or to leave it to
        people."""
        admitted = self._admit(ROUTE, request)
        context = admitted.context
        if media_type(request.scope["headers"], JSON, MAIL) == MAIL:
            mail = MailReader(self._settings.max_mail_bytes)
            await self._bodies.collect(mail, request, self._settings.max_mail_bytes, context.deadline)
            started = time.perf_counter()
            try:
                ticket = await read_mail(self._cpu_pool, mail.kept(), context)
            finally:
                self._telemetry.end_stage("parse", started)
        else:
            body = await self._bodies.read(request, self._settings.max_body_bytes, context.deadline)
            ticket = await self._parse(body, lambda raw: ticket_of(parse_route(raw)), context)
        answer = await self._decide_once(ticket, admitted, lambda: self._router.decide(ticket, context))
        add_log_fields(request.scope, decision_id=answer.id, outcome=answer.outcome)
        if answer.repeated:
            add_log_fields(request.scope, repeated=1)
        return Response(answer.body, media_type=JSON)

    async def batch(self, request: Request) -> Response:
        """Decide many tickets: one result or one error for each, in their order."""
        admitted = self._admit(BATCH, request)
        context = admitted.context
        media_type(request.scope["headers"], JSON)
        body = await self._bodies.read(request, self._settings.max_batch_body_bytes, context.deadline)
        tickets = await self._parse(body, lambda raw: tickets_of(self._batches.parse(raw)), context)
        self._access.take_rest_of_batch(caller_of(request.scope), len(tickets) - 1)
        add_log_fields(request.scope, tickets=len(tickets))
        admitted = admitted._replace(context=replace(context, allowance=Allowance(BATCH_SECONDS)))
        lease = self._router.lease_engine()  # one model for the whole batch, also during a reload
        try:
            results = await self._decide_all(lease.engine, tickets, admitted)
        finally:
            lease.release()
        refusals = [result for result in results if isinstance(result, REFUSALS)]
        if len(refusals) == len(results):
            # No ticket was taken: refuse the request itself, so that clients see the status.
            raise refusals[0]
        items: list[str] = []
        request_id = request.state.request_id
        for result in results:
            if isinstance(result, _Answer):
                items.append(f'{{"decision":{result.body}}}')  # `schemas.Decided`, from the JSON that is on record
            else:
                self._telemetry.count_rejection(result)
                items.append(Refused(error=problem_of(result, request_id)).model_dump_json())
        return Response(f'{{"results":[{",".join(items)}]}}', media_type=JSON)  # `schemas.BatchOut`

    async def model(self, _request: Request) -> Response:
        """The model being served: its fields, labels, thresholds, and the precision that these aim at."""
        return _json_response(model_card_out(self._router.engine))

    def _admit(self, path: str, request: Request) -> _Admitted:
        """Check that the service can take a ticket of this caller now.

        Raises:
            InvalidHeader: the timeout is not a positive number of seconds, or the idempotency key is malformed.
            NotReady, ShuttingDown, DeadlinePassed, Overloaded, RecordsUnavailable, RateLimited: the ticket cannot be
                taken.
        """
        caller = caller_of(request.scope)
        key = idempotency_key(request.scope["headers"])
        deadline = deadline_in(timeout_seconds(request.scope["headers"], self._longest_seconds[path]))
        context = RequestContext(deadline, caller.name if self._access.keys_required else None)
        self._router.check(context)
        if self._records is not None:
            self._records.check()
        self._access.take_ticket(caller)
        return _Admitted(context, caller.name, key)

    async def _parse(self, body: Content, parse: Callable[[Content], T], context: RequestContext) -> T:
        started = time.perf_counter()
        try:
            return await self._cpu_pool.run(len(body), lambda: parse(body), context)
        finally:
            self._telemetry.end_stage("parse", started)

    async def _decide_once(
        self,
        ticket: Ticket,
        admitted: _Admitted,
        decide: Callable[[], Awaitable[Decision]],
        place: int | None = None,
    ) -> "_Answer":
        """The decision for a ticket, on record before it is given. `place`: in its batch.

        Raises:
            ServiceError: there is no decision, or it is not on record.
        """
        if self._records is None:
            decision = await decide()
            self._telemetry.record_decision(decision)
            return _Answer(decision.id, decision.verdict.department.outcome.value, rendered(decision))
        started = time.perf_counter()

        async def draft() -> Draft:
            decision = await decide()
            latency_ms = 1000 * (time.perf_counter() - started)
            return Draft(decision, rendered, latency_ms, text=await kept_text(ticket, decision.text, self._settings))

        identity = identity_of(ticket, admitted.caller, admitted.key, self._repeat_ms, place)
        stored = await self._records.once(identity, admitted.context.deadline, draft)
        if stored.decision is not None:
            self._telemetry.record_decision(stored.decision)
        return _Answer(stored.id, stored.outcome, stored.response, stored.repeated)

    async def _decide_all(
        self,
        engine: Engine,
        tickets: Sequence[Ticket | InvalidRequest],
        admitted: _Admitted,
    ) -> Sequence["_Answer | ServiceError"]:
        # A part of the queue, but at least enough tickets to keep all runners busy.
        share = int(BATCH_SHARE * engine.batcher.capacity / engine.limits.max_tokens)
        window = asyncio.Semaphore(max(share, engine.limits.runners + 1))

        async def decide(ticket: Ticket | InvalidRequest, place: int) -> _Answer | ServiceError:
            try:
                if isinstance(ticket, InvalidRequest):
                    return ticket
                with self._telemetry.ticket():
                    return await self._decide_once(
                        ticket, admitted, lambda: self._router.decide_with(engine, ticket, admitted.context), place
                    )
            except ServiceError as error:
                return error
            finally:
                window.release()

        async with asyncio.TaskGroup() as group:
            tasks = []
            for place, ticket in enumerate(tickets):
                await window.acquire()
                tasks.append(group.create_task(decide(ticket, place)))
                # Prepare one ticket per iteration of the event loop: 64 at once would delay all other requests.
                await asyncio.sleep(0)
        return [task.result() for task in tasks]


def _json_response(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type=JSON)
