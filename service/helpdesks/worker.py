"""Works off the outbox of one connection: one loop for the helpdesk, one for the event's URL, so that neither waits for
the other.

A row ends as `done` with its result, or as `dead` after an answer that will not change, or after a day of attempts. The
state of a row and the record of what was written are one transaction.
"""

import asyncio
import contextlib
import json
import random
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any, NamedTuple

import structlog
from sqlalchemy import Connection
from standardwebhooks import Webhook

from models.fields import DEPARTMENT
from models.scoring import Outcome, Verdict
from service.automation.in_force import InForce
from service.errors import RecordsUnavailable
from service.helpdesks import outbox
from service.helpdesks.connections import Mode
from service.helpdesks.feedback import Choice, Labels, choice_of, count, store_choices
from service.helpdesks.link import Link
from service.helpdesks.manners import HandsOff, plan
from service.helpdesks.metrics import HelpdeskMetrics
from service.helpdesks.outbox import restored
from service.helpdesks.types import Again, CallError, Change, Conflict, Current, Gone, Written
from service.lifecycle import end
from service.records.database.schema import milliseconds_now
from service.records.feedback import Received, said_of
from service.records.records import Records
from service.records.rows import timestamp

POLL_SECONDS = 1.0
ROWS = 4
"""Rows at work at once, each of another ticket, beside those that are written in one call."""
CONFLICTS = 3
ROW_SECONDS = 60.0
"""Longest time of one row; less than its lease."""
FINISH_SECONDS = 15.0
"""Longest wait for the rows at work when the connection is replaced; a call takes up to 10."""
BASE_SECONDS = 1.0
LONGEST_SECONDS = 300.0
DEAD_AFTER_MS = 86_400_000

WRITTEN, TOLD = "written", "told"
ALONE = "not written with others"
"""The error of a row that is to be written by itself."""

_log = structlog.get_logger()


class Result(NamedTuple):
    """What became of a row. `change`: what was written."""

    name: str
    written: tuple[Written, ...] = ()
    choice: Choice = Choice()
    change: Change | None = None


class Worker:
    def __init__(
        self, link: Link, records: Records, automation: InForce, labels: Labels, metrics: HelpdeskMetrics
    ) -> None:
        self._link = link
        self._records = records
        self._automation = automation
        self._labels = labels
        self._metrics = metrics
        self._tasks: list[asyncio.Task[None]] = []
        self._is_ending = False

    def start(self) -> None:
        if self._link.connection.token is not None:
            self._tasks.append(asyncio.create_task(self._run(outbox.TICKET)))
        if self._link.connection.table.event is not None:
            self._tasks.append(asyncio.create_task(self._run(outbox.EVENT)))

    async def stop(self) -> None:
        """Claimed rows are taken up again when their lease ends."""
        await end(*self._tasks)

    async def finish(self) -> None:
        """End after the rows at work, so that none waits for its lease; those that take too long are cancelled."""
        self._is_ending = True
        self._link.wake.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=FINISH_SECONDS)
        await self.stop()

    async def _run(self, kind: str) -> None:
        while not self._is_ending:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(POLL_SECONDS):
                    await self._link.wake.wait()
            self._link.wake.clear()
            try:
                while not self._is_ending and await self._round(kind):
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
        together = self._joining(rows)
        if together:
            limit = self._link.adapter.batch - len(together)
            together += await self._records.write(
                lambda database: outbox.claim(database, name, kind, now_ms, limit, self._joining)
            )
        if len(together) == 1:
            together = []
        alone = [row for row in rows if row not in together]
        async with asyncio.TaskGroup() as group:
            for row in alone:
                group.create_task(self._work(row, partial(self._write if kind == outbox.TICKET else self._tell, row)))
            if together:
                group.create_task(self._write_together(together))
        return bool(rows)

    def _joining(self, rows: Sequence[Any]) -> list[Any]:
        return [row for row in rows if self._may_join(row)]

    def _may_join(self, row: Any) -> bool:
        """Whether tags and a note are all that it may write, so that it may be written in one call with others."""
        if self._link.adapter.batch == 1 or row.kind != outbox.TICKET or row.last_error == ALONE:
            return False
        _, _, verdict = restored(row.payload)
        return not any(
            answer.outcome is Outcome.ROUTE and self._link.connection.mode_of(field, answer.predicted) is Mode.ROUTE
            for field, answer in {DEPARTMENT: verdict.department, **verdict.fields}.items()
        )

    async def _write_together(self, rows: Sequence[Any]) -> None:
        """Write tags and notes in one call; a ticket that this does not write is written by itself next time."""
        adapter, client = self._link.adapter, self._link.client
        planned: dict[str, tuple[Any, Result]] = {}
        changes: list[Change] = []
        try:
            async with asyncio.timeout(ROW_SECONDS):
                tickets = {row.id: str(restored(row.payload)[0]["ticket"]) for row in rows}
                current = await adapter.read_many(client, list(tickets.values()))
                for row in rows:
                    ticket = tickets[row.id]
                    found = await self._plan(row, current[ticket]) if ticket in current else Result(HandsOff.GONE.value)
                    planned[ticket] = (row, found)
                    if found.change is not None and not found.change.values:
                        changes.append(found.change)
                written = await adapter.write_many(client, changes) if changes else ()
        except (CallError, TimeoutError) as error:
            for row in rows:
                await self._work(row, partial(_raised, error))
            return
        except RecordsUnavailable:
            raise
        except Exception:  # a fault of ours must not hold up the other tickets
            _log.exception("write of several tickets failed", connection=self._link.name)
            for row in rows:
                await self._work(row, partial(_raised, Conflict(ALONE)))
            return
        for ticket, (row, result) in planned.items():
            failed = result.change is not None and ticket not in written
            await self._work(row, partial(_raised, Conflict(ALONE)) if failed else partial(_given, result))

    async def _work(self, row: Any, attempt: Callable[[], Awaitable[Result]]) -> None:
        """Do one row, and end or postpone it."""
        try:
            async with asyncio.timeout(ROW_SECONDS):
                result = await attempt()
        except Gone:
            result = Result(HandsOff.GONE.value)
        except (Again, Conflict, TimeoutError) as error:
            await self._postpone(row, error)
            return
        except CallError as error:
            self._link.suspect.set()  # if all writes are refused, the others wait
            await self._bury(row, str(error))
            return
        except RecordsUnavailable:
            raise
        except Exception as error:  # a fault of ours must not hold up the other tickets
            _log.exception("write failed", connection=self._link.name, row=row.id)
            await self._bury(row, type(error).__name__)
            return

        def finish(database: Connection) -> list[Received | None]:
            outbox.finish(database, row, result.name, result.written, milliseconds_now())
            return store_choices(database, [result.choice])

        stored = await self._records.write(finish)
        count(self._link.name, [result.choice], stored, self._records, self._metrics)
        self._metrics.wrote(self._link.name, "written" if result.name in (WRITTEN, TOLD) else "nothing")

    async def _write(self, row: Any) -> Result:
        """Write to the ticket what the manners leave of the decision; read again at each conflict."""
        adapter, client = self._link.adapter, self._link.client
        result = Result(HandsOff.CONFLICT.value)
        for _ in range(CONFLICTS):
            current = await adapter.read(client, str(restored(row.payload)[0]["ticket"]))
            result = await self._plan(row, current)
            if result.change is None:
                return result
            try:
                await adapter.write(client, result.change)
            except Conflict:
                continue
            return result
        return Result(HandsOff.CONFLICT.value, choice=result.choice)

    async def _plan(self, row: Any, current: Current) -> Result:
        """What the manners leave of the decision, as if it were written."""
        content, ticket, verdict = restored(row.payload)
        now_ms = milliseconds_now()
        written, flips, (said,) = await self._records.read(
            lambda database: (
                outbox.written_values(database, row.ticket),
                outbox.flips(database, row.ticket, now_ms),
                said_of(database, [(row.ticket, None)]),
            )
        )
        choice = choice_of(
            self._link,
            row.ticket,
            current.values,
            current.state,
            None,
            payload=content,
            written=written,
            labels=self._labels(),
        )
        by_person = bool(content.get("by_person"))
        # By feedback, since the decision; a person's own decision is among it.
        if DEPARTMENT in said and not (by_person and said[DEPARTMENT].value == verdict.department.predicted):
            return Result(HandsOff.PERSON.value, choice=choice)
        planned = plan(
            verdict if by_person else self._automation.apply(ticket, verdict, self._link.caller, count=False),
            self._link.rules,
            current,
            ticket=str(content["ticket"]),
            mark=row.decision_id,
            initial=content["initial"],
            written=written,
            flips=flips,
            now_ms=now_ms,
            by_person=by_person,
            words=content.get(outbox.WORDS, ()),
        )
        if planned is HandsOff.FLIPS:
            await self._tell_of_flips(str(content["ticket"]), row, current)
        if isinstance(planned, HandsOff):
            return Result(planned.value, choice=choice)
        change, recorded = planned
        return Result(WRITTEN, recorded, choice, change)

    async def _tell_of_flips(self, ticket: str, row: Any, current: Any) -> None:
        """A person must know that two programs write the same field."""
        _log.error(
            "field changed again and again: left to people", connection=self._link.name, decision=row.decision_id
        )
        note = f"The ticket router stops here: another program changes what it sets. (decision {row.decision_id})"
        tags = (self._link.connection.table.review_tag,) if self._link.rules.tags else ()
        with contextlib.suppress(Conflict):
            await self._link.adapter.write(self._link.client, Change(ticket, {}, tags, note, row.decision_id, current))

    async def _tell(self, row: Any) -> Result:
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
        return Result(TOLD)

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


async def _given(result: Result) -> Result:
    return result


async def _raised(error: Exception) -> Result:
    raise error


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
