"""The shapes of the REST API. Inputs forbid what they don't know; outputs have no defaults."""

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic.config import JsonDict
from pydantic_core import PydanticCustomError

from models.scoring import Outcome, Reason
from models.ticket import ContentType
from service.decision import Flag
from service.http.problems import Output, Problem
from service.lifecycle import Phase

TICKET_ID_LENGTH = 200
ADDRESS_LENGTH = 2000
"""A name and an address; longer ones are not addresses."""
RECIPIENTS = 1000
HEADERS = 1000


class Input(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False, hide_input_in_errors=True)


def names_of(model: type[BaseModel]) -> tuple[str, ...]:
    """Its fields as clients write them."""
    return tuple(field.alias or name for name, field in model.model_fields.items())


def _given(name: str) -> JsonDict:
    """In JSON Schema: this field is there, and not null."""
    return {"required": [name], "properties": {name: {"type": "string"}}}


Address = Annotated[str, Field(max_length=ADDRESS_LENGTH)]


class RouteRequest(Input):
    """One ticket. Either subject or body must be given (they may be blank); `null` is as good as absent."""

    model_config = ConfigDict(json_schema_extra={"anyOf": [_given("subject"), _given("body")]})

    id: Annotated[str, Field(min_length=1, max_length=TICKET_ID_LENGTH)] | None = None
    subject: str | None = None
    body: str | None = None
    sender: Address | None = Field(default=None, alias="from")
    # Lists, not tuples: strict mode takes a JSON array for a tuple only while it parses JSON itself, and a batch's
    # tickets are validated one by one.
    recipients: Annotated[list[Address], Field(max_length=RECIPIENTS)] | None = Field(default=None, alias="to")
    headers: Annotated[dict[str, str | list[str]], Field(max_length=HEADERS)] | None = None
    content_type: ContentType | None = None

    @model_validator(mode="after")
    def _something_to_read(self) -> Self:
        if self.subject is None and self.body is None:
            raise PydanticCustomError("subject_or_body_required", "Give a subject or a body")
        return self


class CandidateOut(Output):
    department: str
    confidence: float


class FieldOut(Output):
    """A further field's answer. `value` is null for review."""

    value: str | None
    confidence: float
    outcome: Outcome


class ModelOut(Output):
    version: str
    variant: str
    text_version: int


class DecisionOut(Output):
    """`department` is null for review; `confidence` is the best candidate's either way."""

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


class LabelOut(Output):
    """A label and the lowest confidence at which it is routed or suggested; null: never."""

    name: str
    route: float | None
    suggest: float | None
    pooled: bool
    calibration_rows: int


class PromiseOut(Output):
    """What the thresholds were asked for (precision among routed and suggested tickets, with this confidence), and what
    the calibration rows bore out; null: not known, or nothing is routed."""

    aim: str
    per_label: str
    route_precision: float
    suggest_precision: float
    confidence: float
    achieved_coverage: float | None
    achieved_precision: float | None
    achieved_precision_low: float | None


class ScopeOut(Output):
    """A ticket with a score below the threshold is out of scope; at most the share `refused` of ordinary mail is."""

    score: str
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
    """How the model runs. `lone_threads` is for a ticket of at least `lone_tokens` that nothing else runs beside; null:
    no such session."""

    runners: int
    intra_op_threads: int
    lone_threads: int | None
    lone_tokens: int
    max_batch_tokens: int
    max_padding: float


class ServingOut(Output):
    """What is being served. `created_at`: when the bundle was made. `golden_largest_difference` is a logit's, between
    export and here."""

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


class LastReloadOut(Output):
    """The last reload, whoever asked for it: a request, a signal, the watch, or a failed run.

    `cause` says why it was refused, and is null where it succeeded.
    """

    at: str
    succeeded: bool
    cause: str | None


class StatusOut(Output):
    """`GET /admin/status`. `serving` is null until the bundle is loaded.

    `not_ready` says why no ticket should be sent here now. `last_reload` is null until there was one.
    """

    phase: Phase
    not_ready: str | None
    uptime_seconds: float
    last_reload: LastReloadOut | None
    serving: ServingOut | None


class ReloadRequest(Input):
    """`POST /admin/reload`: a version id beside the configured bundle; without it, what is configured as it is now."""

    bundle: str | None = None


class ReloadOut(Output):
    """The version that serves now, and the one before."""

    version: str
    variant: str
    previous: str
