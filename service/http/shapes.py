"""The shape of every answer's base, and of every error: what `problems.py` fills in and `api/schemas.py` builds on."""

from pydantic import BaseModel, ConfigDict


class Output(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FieldProblem(Output):
    """Where a request is not as documented: known field names and positions only, `*` stands for a name of its own."""

    field: str
    code: str
    message: str


class Problem(Output):
    """RFC 9457. `code` is stable, the texts are not; `errors` is empty except for `invalid_request`."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str
    errors: tuple[FieldProblem, ...]
