"""Works off the outbox of one connection: one loop for the helpdesk, one for the event's URL, so that neither waits for
the other.

A row ends as `done` with its result, or as `dead` after an answer that will not change, or after a day of attempts. The
state of a row and the record of what was written are one transaction.
"""

import asyncio
import contextlib
import json
import random
from datetime import UTC, datetime
from typing import Any

import structlog
from standardwebhooks import Webhook

from models.fields import DEPARTMENT
from models.scoring import Verdict
from service.automation.in_force import InForce
from service.errors import RecordsUnavailable
from service.helpdesks import outbox
from service.helpdesks.link import Link
from service.helpdesks.manners import HandsOff, plan
from service.helpdesks.metrics import HelpdeskMetrics
from service.helpdesks.outbox import restored
from service.helpdesks.types import Again, CallError, Change, Conflict, Gone, Written
from service.lifecycle import end
from service.records.database.schema import milliseconds_now
from service.records.feedback import said_of
from service.records.records import Records
from service.records.rows import timestamp

POLL_SECONDS = 1.0
ROWS = 4
"""Rows at work at once, each of another ticket."""
CONFLICTS = 3
ROW_SECONDS = 60.0
"""Longest time of one row; less than its lease."""
BASE_SECONDS = 1.0
LONGEST_SECONDS = 300.0
DEAD_AFTER_MS = 86_400_000

_log = structlog.get_logger()


class Worker:
    def __init__(self, link: Link, records: Records, automation: InForce, metrics: HelpdeskMetrics) -> None:
        self._link = link
        self._records = records
        self._automation = automation
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        if self._link.connection.token is not None:
            self._tasks.append(asyncio.create_task(self._run(outbox.TICKET)))
        if self._link.connection.table.event is not None:
            self._tasks.append(asyncio.create_task(self._run(outbox.EVENT)))

    async def stop(self) -> None:
        """Claimed rows are taken up again when their lease ends."""
        await end(*self._tasks)

    async def _run(self, kind: str) -> None:
        while True:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._link.wake.wait()
            self._link.wake.clear()
            try:
                while await self._round(kind):
                    pass
            except* RecordsUnavailable:
                await asyncio.sleep(POLL_SECONDS)
            except* Exception:  # go on: the next round may succeed
                _log.exception("outbox failed", connection=self._link.name, kind=kind)
                await asyncio.sleep(POLL_SECONDS)

    async def _round(self, kind: str) -> bool:
        """Work off some rows that are due; return whether there were any."""
        client = self._link.client if kind == outbox.TICKET else self._link.event_client
        if self._link.fault is not None or client.wait_seconds or self._records.cause is not None:
            return False
        name, now_ms = self._link.name, milliseconds_now()
        if not await self._records.read(lambda database: outbox.has_due(database, name, kind, now_ms)):
            return False
        rows = await self._records.write(lambda database: outbox.claim(database, name, kind, now_ms, ROWS))
        async with asyncio.TaskGroup() as group:
            for row in rows:
                group.create_task(self._work(kind, row))
        return bool(rows)

    async def _work(self, kind: str, row: Any) -> None:
        """Do one row, and end or postpone it."""
        try:
            async with asyncio.timeout(ROW_SECONDS):
                result, written = await (self._write(row) if kind == outbox.TICKET else self._tell(row))
        except Gone:
            result, written = HandsOff.GONE.value, ()
        except (Again, Conflict, TimeoutError) as error:
            await self._postpone(row, error)
            return
        except CallError as error:
            await self._bury(row, str(error))
            return
        except RecordsUnavailable:
            raise
        except Exception as error:  # a fault of ours must not hold up the other tickets
            _log.exception("write failed", connection=self._link.name, row=row.id)
            await self._bury(row, type(error).__name__)
            return
        await self._records.write(lambda database: outbox.finish(database, row, result, written, milliseconds_now()))
        self._metrics.wrote(self._link.name, "written" if result in ("written", "told") else "nothing")

    async def _write(self, row: Any) -> tuple[str, tuple[Written, ...]]:
        """Write to the ticket what the manners leave of the decision; read again at each conflict."""
        content, ticket, verdict = restored(row.payload)
        adapter, client = self._link.adapter, self._link.client
        for _ in range(CONFLICTS):
            current = await adapter.read(client, str(content["ticket"]))
            now_ms = milliseconds_now()
            written, flips, (said,) = await self._records.read(
                lambda database, at=now_ms: (  # type: ignore[misc]
                    outbox.written_values(database, row.ticket),
                    outbox.flips(database, row.ticket, at),
                    said_of(database, [(row.ticket, None)]),
                )
            )
            by_person = bool(content.get("by_person"))
            # By feedback, since the decision; a person's own decision is among it.
            if DEPARTMENT in said and not (by_person and said[DEPARTMENT].value == verdict.department.predicted):
                return HandsOff.PERSON.value, ()
            planned = plan(
                verdict if by_person else self._automation.apply(ticket, verdict, count=False),
                self._link.rules,
                current,
                ticket=str(content["ticket"]),
                mark=row.decision_id,
                initial=content["initial"],
                written=written,
                flips=flips,
                now_ms=now_ms,
                by_person=by_person,
            )
            if planned is HandsOff.FLIPS:
                await self._tell_of_flips(str(content["ticket"]), row, current)
            if isinstance(planned, HandsOff):
                return planned.value, ()
            change, recorded = planned
            try:
                await adapter.write(client, change)
            except Conflict:
                continue
            return "written", recorded
        return HandsOff.CONFLICT.value, ()

    async def _tell_of_flips(self, ticket: str, row: Any, current: Any) -> None:
        """A person must know that two programs write the same field."""
        _log.error(
            "field changed again and again: left to people", connection=self._link.name, decision=row.decision_id
        )
        note = f"The ticket router stops here: another program changes what it sets. (decision {row.decision_id})"
        tags = (self._link.connection.table.review_tag,) if self._link.rules.tags else ()
        with contextlib.suppress(Conflict):
            await self._link.adapter.write(self._link.client, Change(ticket, {}, tags, note, row.decision_id, current))

    async def _tell(self, row: Any) -> tuple[str, tuple[Written, ...]]:
        """Tell the user's URL that the ticket was triaged (https://www.standardwebhooks.com)."""
        content, _, verdict = restored(row.payload)
        result = await self._records.read(lambda database: outbox.result_of(database, row.decision_id))
        body = json.dumps(_event(self._link.name, str(content["ticket"]), row, verdict, result), ensure_ascii=False)
        sent = datetime.now(UTC)
        secret = self._link.connection.event_secret
        assert secret is not None
        headers = {
            "content-type": "application/json",
            "webhook-id": row.id,
            "webhook-timestamp": str(int(sent.timestamp())),
            "webhook-signature": Webhook(secret).sign(row.id, sent, body),
        }
        await self._link.event_client.call("POST", "", raw=body.encode(), headers=headers)
        return "told", ()

    async def _postpone(self, row: Any, error: BaseException) -> None:
        now_ms = milliseconds_now()
        if now_ms - row.at > DEAD_AFTER_MS:
            return await self._bury(row, str(error))
        told = getattr(error, "seconds", None)
        seconds = told if told is not None else random.uniform(0, min(LONGEST_SECONDS, BASE_SECONDS * 2**row.attempts))
        not_before = now_ms + int(1000 * min(seconds, LONGEST_SECONDS))
        text = str(error) or type(error).__name__
        await self._records.write(
            lambda database: outbox.postpone(database, row, text, not_before, counts=told is None)
        )
        self._metrics.wrote(self._link.name, "failed")
        return None

    async def _bury(self, row: Any, error: str) -> None:
        await self._records.write(lambda database: outbox.bury(database, row, error))
        _log.error("not written to the helpdesk", connection=self._link.name, row=row.id, cause=error)
        self._metrics.wrote(self._link.name, "dead")


def _event(connection: str, ticket: str, row: Any, verdict: Verdict, result: str | None) -> dict[str, Any]:
    department = verdict.department
    return {
        "type": "ticket.triaged",
        "timestamp": timestamp(milliseconds_now()),
        "data": {
            "connection": connection,
            "ticket": ticket,
            "decision_id": row.decision_id,
            "outcome": department.outcome.value,
            "reason": department.reason.value,
            "department": department.predicted,
            "confidence": department.confidence,
            "result": result,
        },
    }
