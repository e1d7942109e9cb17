"""`POST /v1/webhooks/{connection}`: the calls of helpdesks.

A call is verified over its raw bytes and answered after the commit of its decisions: a crash before leaves nothing, and
the helpdesk sends it again. What can never be processed is 2xx, with its reason on record.
"""

import asyncio
import hashlib
import time
from collections.abc import Callable, Iterable, Mapping

import structlog
from fastapi import FastAPI, Request
from starlette.responses import Response

from models.errors import TicketRouterError
from service import errors
from service.api.parse import has_too_many_tokens
from service.api.schemas import DeliveryOut, EventOut
from service.context import RequestContext
from service.helpdesks import outbox
from service.helpdesks.intake.triage import Triage
from service.helpdesks.link import Link
from service.helpdesks.metrics import HelpdeskMetrics
from service.helpdesks.types import Delivery, Ignored, Malformed
from service.http.authorize import refuse_key_in_query
from service.http.body import BodyReader
from service.http.headers import JSON
from service.http.problems import documented
from service.logs import add_log_fields
from service.records.database.schema import milliseconds_now
from service.records.records import Records
from service.records.store import insert_further
from service.routing.cpu_pool import CpuPool
from service.settings import Settings

PATH = "/v1/webhooks/{connection}"
ANSWER_SECONDS = 2.5
"""Django-helpdesk waits 3 seconds, the others 5 and more."""
MAX_EVENTS = 256

REFUSALS = (
    errors.UnknownConnection,
    errors.Unauthenticated,
    errors.KeyInQuery,
    errors.RequestTimeout,
    errors.BodyTooLarge,
    errors.TooManyBodies,
    errors.UnsupportedEncoding,
    errors.MalformedHttp,
    errors.BodyInPieces,
    errors.NotReady,
    errors.ShuttingDown,
    errors.Overloaded,
    errors.InferenceFailed,
    errors.RecordsUnavailable,
    errors.RecordsFailed,
)

_log = structlog.get_logger()


class Webhooks:
    """`check`: raises if no ticket is taken now."""

    def __init__(
        self,
        links: Mapping[str, Link],
        triage: Triage,
        check: Callable[[RequestContext], None],
        records: Records,
        cpu_pool: CpuPool,
        bodies: BodyReader,
        metrics: HelpdeskMetrics,
        settings: Settings,
    ) -> None:
        self._links = links
        self._triage = triage
        self._check = check
        self._records = records
        self._cpu_pool = cpu_pool
        self._bodies = bodies
        self._metrics = metrics
        self._settings = settings

    def add_to(self, app: FastAPI) -> None:
        app.add_api_route(
            PATH,
            self.receive,
            summary="Take a helpdesk's call",
            tags=["helpdesks"],
            methods=["POST"],
            response_model=DeliveryOut,
            responses=documented(*REFUSALS),
        )

    async def receive(self, request: Request) -> Response:
        """Take a call of a connected helpdesk, in its own format and with its own signature."""
        refuse_key_in_query(request.scope["query_string"])
        link = self._links.get(request.path_params["connection"])
        if link is None:
            raise errors.UnknownConnection
        add_log_fields(request.scope, connection=link.name)
        clock = asyncio.get_running_loop().time
        read_by = clock() + self._settings.request_timeout_seconds
        body = bytes(await self._bodies.read(request, self._settings.max_body_bytes, read_by))
        headers = _headers(request.scope["headers"])
        try:
            link.adapter.verify(headers, body, time.time())
        except errors.Unauthenticated:
            self._metrics.delivered(link.name, "unverified")
            raise
        context = RequestContext(clock() + ANSWER_SECONDS, link.caller)
        if self._records.cause is not None:
            raise errors.RecordsUnavailable  # never spooled: the helpdesk sends it again
        self._check(context)
        try:
            delivery = await self._cpu_pool.run(len(body), lambda: _parsed(link, headers, body), context)
        except Malformed as error:
            await self._record_malformed(link, error, body)
            return _answer([("failed", Ignored.MALFORMED.value)])
        several = len(delivery.events) > 1
        events = [
            (f"{delivery.id}/{place}" if several else delivery.id, event) for place, event in enumerate(delivery.events)
        ]
        try:
            results = await self._triage.take(link, events, context)
        except errors.DeadlinePassed:
            raise errors.Overloaded(1.0) from None
        for state, _ in results:
            self._metrics.delivered(link.name, state)
        if not events:
            self._metrics.delivered(link.name, "ignored")
        return _answer(results)

    async def _record_malformed(self, link: Link, error: Malformed, body: bytes) -> None:
        delivery, now_ms = error.delivery or hashlib.sha256(body).hexdigest(), milliseconds_now()
        row = outbox.delivery_row(link.name, delivery, None, "failed", Ignored.MALFORMED.value, now_ms)
        await self._records.write(lambda database: insert_further(database, [row]))
        _log.warning("delivery cannot be processed", connection=link.name, delivery=delivery, cause=error.why)
        self._metrics.delivered(link.name, "failed")


def _parsed(link: Link, headers: Mapping[str, str], body: bytes) -> Delivery:
    if has_too_many_tokens(body):
        raise Malformed(why="too large a structure")
    try:
        delivery = link.adapter.parse(headers, body)
    except TicketRouterError as error:
        raise Malformed from error
    if len(delivery.events) > MAX_EVENTS:
        raise Malformed(delivery.id, f"more than {MAX_EVENTS} events")
    return delivery


def _headers(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """A header that was sent twice is '': which of the two counts is not for us to say."""
    found: dict[str, str] = {}
    for name, value in headers:
        key = name.decode("latin-1")
        found[key] = "" if key in found else value.decode("latin-1")
    return found


def _answer(results: list[tuple[str, str]]) -> Response:
    events = tuple(EventOut(state=state, reason=reason) for state, reason in results)
    return Response(DeliveryOut(events=events).model_dump_json(), media_type=JSON)
