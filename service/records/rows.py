"""From a `Decision` to its row, and from rows to the records that the API and the export give out."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from pydantic_core import to_json

from models.fields import DEPARTMENT
from service.decision import Decision, field_record
from service.records.database.schema import milliseconds_of
from service.records.feedback import label_source, truths
from service.records.identity import Identity
from service.records.store import Further, KeptText, NewDecision


@dataclass(frozen=True, slots=True)
class Draft:
    """A decision and what is recorded beside it. `render` gives the body to send. `text`: if it is kept.
    `further`: gives the rows of other tables to insert with the decision; such a decision is never spooled."""

    decision: Decision
    render: Callable[[Decision], str]
    latency_ms: float
    rule: str | None = None
    text: KeptText | None = None
    further: Callable[[Decision], tuple[Further, ...]] | None = None


def new_decision(draft: Draft, identity: Identity) -> NewDecision:
    """The row of a decision. A ticket without id and thread is not to be found again, so nothing can have corrected
    it."""
    decision = draft.decision
    new = _new_decision(draft, identity)
    if decision.ticket_id is None and decision.thread is None:
        return new
    return new._replace(correct=partial(_corrected, draft, identity))


def _corrected(draft: Draft, identity: Identity, said: Mapping[str, Any]) -> NewDecision:
    """`said`: by field, the row of `feedback` whose value stands."""
    decision = draft.decision.corrected({field: row.value for field, row in said.items()})
    return _new_decision(replace(draft, decision=decision), identity.corrected(row.id for row in said.values()))


def _new_decision(draft: Draft, identity: Identity) -> NewDecision:
    decision = draft.decision
    department = decision.verdict.department
    created_at = milliseconds_of(decision.id)
    key, earlier = identity.keys_at(created_at)
    judged = decision.judged or decision.verdict
    verdicts = {DEPARTMENT: judged.department, **judged.fields}
    fields = {name: field_record(verdict, decision.thresholds.get(name)) for name, verdict in verdicts.items()}
    row = {
        "id": decision.id,
        "created_at": created_at,
        "caller": identity.caller,
        "idempotency_key": key,
        "request_digest": identity.digest,
        "ticket_id": None if decision.ticket_id is None else storable(decision.ticket_id),
        "text_digest": decision.text_digest,
        "outcome": department.outcome.value,
        "reason": department.reason.value,
        "department": department.predicted,
        "confidence": judged.department.confidence,
        "fields": to_json(fields).decode(),
        "flags": to_json(decision.flags).decode(),
        "rule": draft.rule,
        "bundle": decision.model.version,
        "variant": decision.model.variant,
        "latency_ms": round(draft.latency_ms, 3),
        "holdout": decision.judged is not None,
        "response": draft.render(decision),
        "thread": decision.thread,
        "role": decision.role,
        "best": department.candidates[0].label if department.candidates else None,
    }
    text = draft.text
    kept = None
    if text is not None:
        kept = KeptText(
            storable(text.subject), storable(text.body), None if text.original is None else storable(text.original)
        )
    further = () if draft.further is None else draft.further(decision)
    return NewDecision(row, kept, earlier, decision, further=further)


def storable(text: str) -> str:
    """PostgreSQL holds no NUL character."""
    return text.replace("\0", "\ufffd")


def record_of(row: Any, feedback: Iterable[Any]) -> dict[str, Any]:
    """A decision as the export and the API give it out. `row`: of `decisions`, `feedback`: of that table; the
    idempotency key, the request's digest and the response stay inside."""
    rows = tuple(feedback)
    return {
        "decision_id": row.id,
        "ticket_id": row.ticket_id,
        "created_at": timestamp(row.created_at),
        "caller": row.caller,
        "text_digest": row.text_digest,
        "outcome": row.outcome,
        "reason": row.reason,
        "fields": fields_of(row),
        "flags": json.loads(row.flags),
        "rule": row.rule,
        "bundle": row.bundle,
        "variant": row.variant,
        "latency_ms": row.latency_ms,
        "role": row.role,
        "holdout": row.holdout,
        "feedback": [
            {
                "field": each.field,
                "value": each.value,
                "source": each.source,
                "label_source": label_source(each.source, row.holdout),
                "at": timestamp(each.at),
            }
            for each in rows
        ],
        "truth": {
            name: {
                "value": each.value,
                "label_source": label_source(each.source, row.holdout),
                "at": timestamp(each.at),
            }
            for name, each in truths(rows).items()
        },
    }


def fields_of(row: Any) -> dict[str, dict[str, Any]]:
    """`row`: of `decisions` or `shadow_verdicts`."""
    return {name: {"corrected": False, **field} for name, field in json.loads(row.fields).items()}


def milliseconds_in(value: str) -> int | None:
    """The time of an RFC 3339 text, within the range of ids; None: malformed, or without an offset."""
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return None if moment.tzinfo is None else min(max(0, int(moment.timestamp() * 1000)), 2**48 - 1)


def timestamp(milliseconds: int) -> str:
    """RFC 3339, UTC."""
    moment = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
