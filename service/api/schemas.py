"""The schemas of the REST API. Inputs forbid unknown fields; outputs have no defaults."""

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from models.fields import DEPARTMENT
from models.label_source import LabelSource
from models.scoring import Outcome, Reason
from models.ticket import ContentType
from service.automation.switches import Mode
from service.decision import Flag
from service.http.problems import Output, Problem
from service.lifecycle import ChallengerRole, ChallengerState, Phase

TICKET_ID_LENGTH = 200
DECISION_ID_LENGTH = 100
FEEDBACK_FIELDS = 50
ADDRESS_LENGTH = 2000
"""Longer than any display name with an address."""
RECIPIENTS = 1000
HEADERS = 1000

Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=500)]


class Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


def names_of(model: type[BaseModel]) -> tuple[str, ...]:
    """The field names in JSON."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _required_string(name: str) -> JsonDict:
    """JSON Schema: this field is present and not null."""
    return {"required": [name], "properties": {name: {"type": "string"}}}


Address = Annotated[str, Field(max_length=ADDRESS_LENGTH)]


class RouteRequest(Input):
    """One ticket. A subject or a body is required (they may be blank); `null` means absent."""

    model_config = ConfigDict(
        json_schema_extra={
            "anyOf": [_required_string("subject"), _required_string("body")],
            "examples": [{"id": "T-1001", "subject": "Charged twice", "body": "Please refund one of the payments."}],
        }
    )

    id: Annotated[str, Field(min_length=1, max_length=TICKET_ID_LENGTH)] | None = None
    subject: str | None = None
    body: str | None = None
    sender: Address | None = Field(default=None, alias="from")
    # Lists, not tuples: in strict mode, pydantic accepts a JSON array as a tuple only while it parses JSON, but the
    # tickets of a batch are validated one by one after parsing.
    recipients: Annotated[list[Address], Field(max_length=RECIPIENTS)] | None = Field(default=None, alias="to")
    headers: Annotated[dict[str, str | list[str]], Field(max_length=HEADERS)] | None = None
    content_type: ContentType | None = None

    @model_validator(mode="after")
    def _require_subject_or_body(self) -> Self:
        if self.subject is None and self.body is None:
            raise PydanticCustomError("subject_or_body_required", "Give a subject or a body")
        return self


class CandidateOut(Output):
    department: str
    confidence: float


class FieldOut(Output):
    """The decision about a further field. `value` is null for review."""

    value: str | None
    confidence: float
    outcome: Outcome


class ModelOut(Output):
    version: str
    variant: str
    text_version: int


class DecisionOut(Output):
    """`department` is null for review; `confidence` is the best candidate's, or 1 of a value that a person set."""

    decision_id: str
    ticket_id: str | None
    outcome: Outcome
    department: str | None
    confidence: float
    reason: Reason
    candidates: tuple[CandidateOut, ...]
    fields: dict[str, FieldOut]
    flags: tuple[Flag, ...]
    model: ModelOut


class Decided(Output):
    decision: DecisionOut


class Refused(Output):
    error: Problem


class BatchOut(Output):
    """One result per ticket, in the order they were sent."""

    results: tuple[Decided | Refused, ...]


class FeedbackRequest(Input):
    """The right values of a decision's fields, by a person (`agent`), at close, or from another system (`import`).
    `at`: when; absent: now."""

    model_config = ConfigDict(
        json_schema_extra={
            "oneOf": [_required_string("decision_id"), _required_string("ticket_id")],
            "examples": [{"ticket_id": "T-1001", "fields": {"department": "billing"}, "source": "close"}],
        }
    )

    decision_id: Annotated[str, Field(max_length=DECISION_ID_LENGTH)] | None = None
    ticket_id: Annotated[str, Field(min_length=1, max_length=TICKET_ID_LENGTH)] | None = None
    fields: Annotated[dict[str, str], Field(min_length=1, max_length=FEEDBACK_FIELDS)]
    source: Literal["agent", "close", "import"]
    at: str | None = None

    @model_validator(mode="after")
    def _require_one_id(self) -> Self:
        if (self.decision_id is None) == (self.ticket_id is None):
            raise PydanticCustomError("one_id_required", "Give either decision_id or ticket_id")
        return self


class FeedbackReceivedOut(Output):
    """The decision that the feedback is about: of a ticket, its newest. `stored`: the number of values that are new."""

    decision_id: str
    ticket_id: str | None
    stored: int


class FeedbackReceived(Output):
    feedback: FeedbackReceivedOut


class FeedbackBatchOut(Output):
    """One result per item, in the order they were sent."""

    results: tuple[FeedbackReceived | Refused, ...]


class RecordedFieldOut(Output):
    """The decision about one field, the department included. `value` is null for review, unless a switch of automation
    kept the ticket back: then it is the model's. `threshold`: the confidence from which its best label is routed; null:
    never, or no model was asked. `corrected`: the value is a person's."""

    value: str | None
    confidence: float
    outcome: Outcome
    threshold: float | None
    corrected: bool


class FeedbackOut(Output):
    """What a person or the closing of the ticket says a field should have been. `label_source`: what training takes it
    for; `audit` where the decision was left to people to measure the model."""

    field: str
    value: str
    source: str
    label_source: LabelSource
    at: str


class TruthOut(Output):
    """The value that counts: the newest at close, else the newest."""

    value: str
    label_source: LabelSource
    at: str


class RecordedOut(Output):
    """A decision on record. `role`: of the bundle; null: it was the serving one. `holdout`: left to people to measure
    the model; `fields` then has what the model said. `truth`: by field, what people said in the end."""

    decision_id: str
    ticket_id: str | None
    created_at: str
    caller: str
    text_digest: str
    outcome: Outcome
    reason: str
    fields: dict[str, RecordedFieldOut]
    flags: tuple[str, ...]
    rule: str | None
    bundle: str
    variant: str
    latency_ms: float
    role: Literal["canary"] | None
    holdout: bool
    feedback: tuple[FeedbackOut, ...]
    truth: dict[str, TruthOut]


class RecordedPageOut(Output):
    """Decisions, the newest first. `cursor`: for the next page; null: this is the last one."""

    decisions: tuple[RecordedOut, ...]
    cursor: str | None


class ForgottenOut(Output):
    """`decisions`: the number of deleted ones."""

    decisions: int


class LabelOut(Output):
    """A label and the lowest confidence at which a ticket is routed or suggested; null: never."""

    name: str
    route: float | None
    suggest: float | None
    pooled: bool
    calibration_rows: int


class PromiseOut(Output):
    """The precision among routed and suggested tickets that the thresholds aim at (with this confidence), and the
    values that the calibration rows achieved; null: unknown, or nothing is routed. `kind` is `exact` if the served
    model was tested itself, `measured` if models of folds were, whose mean is served."""

    kind: str
    aim: str
    per_label: str
    route_precision: float
    suggest_precision: float
    confidence: float
    achieved_coverage: float | None
    achieved_precision: float | None
    achieved_precision_low: float | None


class ScopeOut(Output):
    """A ticket is left to people as strange if its wordpieces are less familiar than `language`, or its likeness to the
    labels is below `threshold`; `refused` is the largest share of ordinary mail that is."""

    language: float
    threshold: float
    refused: float


class PredictedFieldOut(Output):
    """One field; `scope` is null where every ticket is in scope."""

    name: str
    temperature: float
    scope: ScopeOut | None
    promise: PromiseOut
    labels: tuple[LabelOut, ...]


class ModelCardOut(Output):
    version: str
    variant: str
    provider: str
    text_version: int
    base_model: str
    created_at: str
    max_tokens: int
    fields: tuple[PredictedFieldOut, ...]


class PlanOut(Output):
    """The configuration of the model's sessions. `lone_threads`: the threads for a ticket of at least `lone_tokens`
    that runs alone; null: no such session."""

    runners: int
    intra_op_threads: int
    lone_threads: int | None
    lone_tokens: int
    max_batch_tokens: int
    max_padding: float


class ServingOut(Output):
    """The model being served. `created_at`: of the bundle. `golden_largest_difference`: the largest difference between
    a logit at export and here. `expected_route_ratios`: the share of tickets that the bundle expects to route, by
    field; `promised_precisions`: the share of those that is right at least."""

    bundle: str
    model: ModelOut
    created_at: str
    provider: str
    plan: PlanOut
    queue_depth: int
    queue_tokens: int
    queue_tokens_limit: int
    cache_entries: int
    golden_rows: int
    golden_largest_difference: float
    expected_route_ratios: Mapping[str, float]
    promised_precisions: Mapping[str, float]


class MovedOut(Output):
    """A bin of a signal: its share among the reference's rows, and among the window's tickets."""

    bin: str
    expected: float
    found: float


class SignalOut(Output):
    """`psi`: the population stability index, corrected for chance and 0 where chance explains it; null: fewer than
    `fewest_tickets`. `moved`: the bins that moved most."""

    fewest_tickets: int
    psi: float | None
    moved: list[MovedOut]


class ExpectedPrecisionOut(Output):
    """Of a field's routed tickets: the mean calibrated confidence, null if too few; and the promise."""

    routed: int
    value: float | None
    promised: float


class DriftOut(Output):
    """The distinct tickets of the last `hours`, of this process, against the bundle's reference. `reference_rows` null:
    a bundle without one."""

    reference_rows: int | None
    tickets: int
    hours: float
    signals: Mapping[str, SignalOut]
    expected_precision: Mapping[str, ExpectedPrecisionOut]


class LastReloadOut(Output):
    """The last reload, started by a request, a signal, a changed link, or a failed model run.

    `cause`: the reason of a refusal; null if the reload succeeded.
    """

    at: str
    succeeded: bool
    cause: str | None


class BuildOut(Output):
    """Which code runs. `revision`: the commit; `unknown` if the build did not record it."""

    version: str
    revision: str


class ShareOut(Output):
    """A share of `rows` with its 95 % interval (Wilson)."""

    value: float
    low: float
    high: float
    rows: int


class MeasuresOut(Output):
    """`precision`: of the tickets routed to a department, the share that belongs there. `coverage`: of its tickets, the
    share that was routed. `agreement`: of the tickets routed or suggested, the share that belongs there; `confidence`,
    the mean of the same tickets, lies within its interval if the model is calibrated. null: no rows."""

    precision: ShareOut | None
    coverage: ShareOut | None
    agreement: ShareOut | None
    confidence: float | None


class LiveDepartmentOut(Output):
    """`override_rate`: of all tickets routed to the department, the share that people moved. `feedback`: of decisions
    that people told of, among them more corrected ones than among others. `audit`: of the random share alone."""

    override_rate: ShareOut | None
    feedback: MeasuresOut
    audit: MeasuresOut


class LiveOut(Output):
    """How good the routing is in use, since a time. `decisions` and `routed`: all, without the random share. `rows`: by
    basis, the number of decisions with feedback that the estimate rests on."""

    computed_at: str
    since: str
    decisions: int
    routed: int
    rows: Mapping[str, int]
    overall: LiveDepartmentOut
    departments: Mapping[str, LiveDepartmentOut]


class SliceOut(Output):
    """One of: a connected helpdesk, the domain of the sender, a mailbox in To or Cc, or a further field with its
    likeliest value."""

    connection: str | None
    sender_domain: str | None
    mailbox: str | None
    field: str | None
    value: str | None


class SwitchOut(Output):
    """A switch of automation, of a field's label, of a slice, or, without both, of the whole field. `matched`: the
    tickets that this process has found it to match."""

    field: str
    label: str | None
    slice: SliceOut | None
    mode: Mode
    who: str
    why: str
    since: str
    matched: int


class MisroutesOut(Output):
    """Of the newest closed tickets that were routed to a label, those that people `moved` elsewhere. `allowed`: the
    share that the promise leaves. `evidence`: at 1 the misroute alarm takes the label back."""

    field: str
    label: str
    tickets: int
    moved: int
    allowed: float
    evidence: float


class AutomationOut(Output):
    """`known`: false while the switches could not be read since the start; nothing is routed until then. `misroutes`:
    of the labels with closed tickets that no switch keeps back."""

    known: bool
    switches: tuple[SwitchOut, ...]
    misroutes: tuple[MisroutesOut, ...]


class RecordsOut(Output):
    """The record of decisions. `cause`: why the database takes none now; null: it does. `live`: null before the first
    estimate, which follows the start."""

    database: str
    cause: str | None
    when_away: str
    spool_rows: int
    spool_bytes: int
    live: LiveOut | None


class EventOut(Output):
    """What became of an event. `state`: `processed`, `ignored`, `repeated` or `failed`; `reason`: of a processed event,
    the decision's outcome."""

    state: str
    reason: str


class DeliveryOut(Output):
    """What became of a helpdesk's call. Helpdesks read the status alone; this is for people."""

    events: tuple[EventOut, ...]


class ConnectionOut(Output):
    """A connected helpdesk. `modes`: by field, and by `field.label` where that differs. `fault`: why nothing is written
    there; null: it may be. `waiting`, `dead`: rows of the outbox."""

    name: str
    kind: str
    mode: str
    modes: Mapping[str, str]
    fault: str | None
    breaker_open: bool
    waiting: int
    dead: int


class ChallengerOut(Output):
    """A bundle beside the serving one, on this instance. `cause`: why it failed, else null. `variant`: null until it is
    loaded. `since`, `who` and `why`: of the request that put it in force."""

    role: ChallengerRole
    version: str
    share: float
    state: ChallengerState
    cause: str | None
    variant: str | None
    since: str
    who: str
    why: str


class StatusOut(Output):
    """`GET /admin/status`. `serving` is null until the bundle is loaded.

    `not_ready`: why the instance takes no tickets now; null if ready. `last_reload` is null before the first reload,
    `records` and `automation` where records are off, `connections` without a file of them. `connections_fault`: why
    the changed file of the connections is not in use; null: it is.
    """

    build: BuildOut
    phase: Phase
    not_ready: str | None
    uptime_seconds: float
    last_reload: LastReloadOut | None
    serving: ServingOut | None
    drift: DriftOut | None
    records: RecordsOut | None
    automation: AutomationOut | None
    connections: tuple[ConnectionOut, ...] | None
    connections_fault: str | None
    challengers: tuple[ChallengerOut, ...]


class ChallengerRequest(Input):
    """`POST /admin/challenger`. `bundle`: a version in the folder of the configured bundle; may be missing with `share`
    0, which withdraws what is in force in this role. `share`: of the tickets."""

    role: ChallengerRole
    bundle: str | None = None
    share: Annotated[float, Field(ge=0, le=1)]
    why: Why


class ChallengersOut(Output):
    """What is beside the serving bundle on this instance now."""

    challengers: tuple[ChallengerOut, ...]


class ReloadRequest(Input):
    """`POST /admin/reload`. `bundle`: a version in the folder of the configured bundle; null: the configured bundle."""

    bundle: str | None = None


class ReloadOut(Output):
    """The version being served now, and the previous version."""

    version: str
    variant: str
    previous: str


class SliceRequest(Input):
    """Tickets of a connected helpdesk, of a sender's domain, to a mailbox, or those with this value of a field."""

    connection: str | None = None
    sender_domain: str | None = None
    mailbox: str | None = None
    field: str | None = None
    value: str | None = None

    @model_validator(mode="after")
    def _require_one_kind(self) -> Self:
        given = {name for name, value in self if value is not None}
        if given not in ({"connection"}, {"sender_domain"}, {"mailbox"}, {"field", "value"}):
            raise PydanticCustomError(
                "one_slice_required", "Give connection, sender_domain, mailbox, or field and value"
            )
        return self


class AutomationRequest(Input):
    """`POST /admin/automation`: a field's label, a slice of the tickets, or neither: the whole field. `route` takes
    back what was off."""

    field: str = DEPARTMENT
    label: str | None = None
    slice: SliceRequest | None = None
    mode: Literal["off", "suggest", "route"]
    why: Why

    @model_validator(mode="after")
    def _require_one_selector(self) -> Self:
        if self.label is not None and self.slice is not None:
            raise PydanticCustomError("one_selector_required", "Give a label or a slice, not both")
        return self
