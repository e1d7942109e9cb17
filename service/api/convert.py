"""Converts parsed requests into tickets, and decisions, bundles and states into output schemas."""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from models.mail.parse import REPLY_FIELDS, mail_facts
from models.mail.thread import THREAD_FIELDS, thread_of
from models.ticket import MailFact, Ticket
from service.api import schemas
from service.api.parse import Parsed
from service.api.schemas import RouteRequest
from service.automation.evidence import Evidence
from service.automation.in_force import InForce
from service.automation.switches import Switch
from service.decision import Decision, ModelIdentity
from service.drift.window import Drift
from service.errors import InvalidRequest
from service.inference.engine import Engine
from service.lifecycle import ChallengerStatus, Reload
from service.records.live import Department, Estimate
from service.records.rows import timestamp


def ticket_of(request: RouteRequest) -> Ticket:
    sender, recipients, headers = request.sender or "", tuple(request.recipients or ()), request.headers or {}
    facts: frozenset[MailFact] = frozenset()
    thread = None
    if request.headers is not None:
        # Not without headers: the sender of a web form's ticket may be the recipient too, which is no mail loop.
        pairs = [
            (name, each) for name, value in headers.items() for each in ([value] if isinstance(value, str) else value)
        ]
        facts = mail_facts(pairs, sender=sender, recipients=recipients)
        first: dict[str, str] = {}
        for name, value in pairs:
            if (known := name.strip().lower()) in THREAD_FIELDS:
                first.setdefault(known, value)
        thread = thread_of(first)
    return Ticket(
        subject=request.subject or "",
        body=request.body or "",
        content_type=request.content_type or "text/plain",
        id=request.id,
        sender=sender,
        recipients=recipients,
        facts=facts,
        thread=thread,
        replied=any(name.strip().lower() in REPLY_FIELDS and value for name, value in headers.items()),
    )


def tickets_of(parsed: Sequence[Parsed]) -> list[Ticket | InvalidRequest]:
    return [item if isinstance(item, InvalidRequest) else ticket_of(item) for item in parsed]


def decision_out(decision: Decision) -> schemas.DecisionOut:
    department = decision.verdict.department
    return schemas.DecisionOut(
        decision_id=decision.id,
        ticket_id=decision.ticket_id,
        outcome=department.outcome,
        department=department.predicted,
        confidence=department.confidence,
        reason=department.reason,
        candidates=tuple(
            schemas.CandidateOut(department=candidate.label, confidence=candidate.confidence)
            for candidate in department.candidates
        ),
        fields={
            name: schemas.FieldOut(value=field.predicted, confidence=field.confidence, outcome=field.outcome)
            for name, field in decision.verdict.fields.items()
        },
        flags=decision.flags,
        model=model_out(decision.model),
    )


def rendered(decision: Decision) -> str:
    """The body of the response, which is also on record."""
    return decision_out(decision).model_dump_json()


def model_out(model: ModelIdentity) -> schemas.ModelOut:
    return schemas.ModelOut(version=model.version, variant=model.variant, text_version=model.text_version)


def model_card_out(engine: Engine) -> schemas.ModelCardOut:
    manifest = engine.bundle.manifest
    return schemas.ModelCardOut(
        version=engine.model.version,
        variant=engine.model.variant,
        provider=engine.provider,
        text_version=engine.model.text_version,
        base_model=manifest.base_model,
        created_at=manifest.created_at,
        max_tokens=manifest.encoder.max_tokens,
        fields=tuple(
            schemas.PredictedFieldOut(
                name=field.name,
                temperature=field.temperature,
                scope=schemas.ScopeOut.model_validate(field.scope, from_attributes=True) if field.scope else None,
                promise=schemas.PromiseOut(**field.promise.model_dump()),
                labels=tuple(schemas.LabelOut(**label.model_dump()) for label in field.labels),
            )
            for field in engine.graph.entry.fields
        ),
    )


def serving_out(engine: Engine) -> schemas.ServingOut:
    return schemas.ServingOut(
        bundle=str(engine.bundle.path),
        model=model_out(engine.model),
        created_at=engine.bundle.manifest.created_at,
        provider=engine.provider,
        plan=schemas.PlanOut.model_validate(engine.plan, from_attributes=True),
        queue_depth=engine.batcher.depth,
        queue_tokens=engine.batcher.tokens,
        queue_tokens_limit=engine.batcher.capacity,
        cache_entries=len(engine.cache),
        golden_rows=engine.golden_replay.rows,
        golden_largest_difference=engine.golden_replay.largest_difference,
        expected_route_ratios={
            field.name: field.promise.achieved_coverage
            for field in engine.graph.entry.fields
            if field.promise.achieved_coverage is not None
        },
        promised_precisions={
            field.name: field.promise.achieved_precision_low
            for field in engine.graph.entry.fields
            if field.promise.achieved_precision_low is not None
        },
    )


def drift_out(drift: Drift) -> schemas.DriftOut:
    return schemas.DriftOut(
        reference_rows=drift.reference_rows,
        tickets=drift.tickets,
        hours=round(drift.hours, 2),
        signals={
            name: schemas.SignalOut(
                fewest_tickets=signal.fewest,
                psi=None if signal.shift is None else round(signal.shift.psi, 4),
                moved=[
                    schemas.MovedOut(bin=each.bin, expected=round(each.expected, 4), found=round(each.found, 4))
                    for each in signal.moved
                ],
            )
            for name, signal in drift.signals.items()
        },
        expected_precision={
            name: schemas.ExpectedPrecisionOut.model_validate(each, from_attributes=True)
            for name, each in drift.expected_precision.items()
        },
    )


def live_out(estimate: Estimate) -> schemas.LiveOut:
    return schemas.LiveOut(
        computed_at=timestamp(estimate.computed_ms),
        since=timestamp(estimate.since_ms),
        decisions=estimate.decisions,
        routed=estimate.routed,
        rows=estimate.rows,
        overall=_live_department_out(estimate.overall),
        departments={name: _live_department_out(each) for name, each in estimate.departments.items()},
    )


def _live_department_out(department: Department) -> schemas.LiveDepartmentOut:
    override = department.override
    return schemas.LiveDepartmentOut(
        override_rate=None if override is None else schemas.ShareOut(**override._asdict()),
        **{
            basis: schemas.MeasuresOut.model_validate(measures, from_attributes=True)
            for basis, measures in department.measures.items()
        },
    )


def automation_out(in_force: InForce, evidence: Iterable[Evidence]) -> schemas.AutomationOut:
    switches = in_force.switches
    return schemas.AutomationOut(
        known=switches is not None,
        switches=tuple(switch_out(each, in_force.matched(each)) for each in switches or ()),
        misroutes=tuple(
            schemas.MisroutesOut(
                field=each.watched.field,
                label=each.watched.label,
                tickets=each.tickets,
                moved=each.moved,
                allowed=each.watched.allowed,
                evidence=each.strength,
            )
            for each in evidence
        ),
    )


def switch_out(switch: Switch, matched: int) -> schemas.SwitchOut:
    selector = switch.selector
    return schemas.SwitchOut(
        field=switch.field,
        label=selector.get("label"),
        slice=schemas.SliceOut(**{name: selector.get(name) for name in schemas.SliceOut.model_fields})
        if switch.scope == "slice"
        else None,
        mode=switch.mode,
        who=switch.who,
        why=switch.why,
        since=timestamp(switch.since_ms),
        matched=matched,
    )


def last_reload_out(reload: Reload | None) -> schemas.LastReloadOut | None:
    if reload is None:
        return None
    at = datetime.fromtimestamp(reload.at, UTC).isoformat(timespec="seconds")
    return schemas.LastReloadOut(at=at, succeeded=reload.cause is None, cause=reload.cause)


def challenger_out(found: ChallengerStatus) -> schemas.ChallengerOut:
    content = found._asdict()
    return schemas.ChallengerOut(since=timestamp(content.pop("since_ms")), **content)
