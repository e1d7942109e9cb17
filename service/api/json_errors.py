"""Converts validation errors of JSON bodies: the documented field, a code from a closed set, and a message.

The messages are not pydantic's: those are for Python developers, and differ between a single ticket and a batch.
"""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.api.schemas import (
    AutomationRequest,
    ChallengerRequest,
    FeedbackRequest,
    RouteRequest,
    SliceRequest,
    names_of,
)
from service.errors import FieldError

MAX_LISTED_ERRORS = 10
MAX_COUNTED_ERRORS = 100
"""With more errors, none is listed: building a list of 80,000 errors takes longer than the validation."""
UNKNOWN_NAME = "*"
"""Replaces a name that is not documented: the name is input, and input is never repeated."""
TICKET_NAMES = names_of(RouteRequest)
FEEDBACK_NAMES = names_of(FeedbackRequest)
TOO_MANY_VALUES = FieldError("", "too_many_values", "The body has too many values; send fewer tickets, or headers")

_TOO_MANY_ERRORS = FieldError("", "too_many_errors", f"More than {MAX_COUNTED_ERRORS} values do not match the schema")
_HEADERS = "headers"
_HEADER = "header_type"
_MESSAGES: Mapping[str, str] = {
    "extra_forbidden": "There is no such field; the fields are {names}",
    "missing": "This field is required",
    "model_type": "This must be an object",
    "dict_type": "This must be an object",
    "list_type": "This must be a list",
    "string_type": "This must be a string",
    "literal_error": "This must be {expected}",
    "string_too_short": "This must have at least {min_length} character",
    "string_too_long": "This may have at most {max_length} characters",
    "float_type": "This must be a number",
    "finite_number": "This must be a finite number",
    "greater_than_equal": "This must be at least {ge}",
    "less_than_equal": "This may be at most {le}",
    "too_short": "This must have at least {min_length} item",
    "too_long": "This may have at most {max_length} items",
    "subject_or_body_required": "Give a subject or a body",
    "one_id_required": "Give either decision_id or ticket_id",
    "one_selector_required": "Give a label or a slice, not both",
    "one_slice_required": "Give sender_domain, mailbox, or field and value",
    _HEADER: "A header must be a string or a list of strings",
}
"""By code. The placeholders are filled from our schemas, never from input."""
FEEDBACK_CODES = frozenset({"unknown_field", "unknown_label", "future_time", "malformed_time"})
"""Of `feedback.py`."""
AUTOMATION_CODES = frozenset(
    {"unknown_field", "unknown_label", "unknown_connection", "malformed_domain", "malformed_address", "same_field"}
)
"""Of `admin/automation.py`."""
CODES = frozenset({*_MESSAGES, *FEEDBACK_CODES, *AUTOMATION_CODES, TOO_MANY_VALUES.code, _TOO_MANY_ERRORS.code})
"""All values of `code` in `errors`."""
_KNOWN_NAMES = frozenset(
    {
        "tickets",
        "feedback",
        *TICKET_NAMES,
        *FEEDBACK_NAMES,
        *names_of(AutomationRequest),
        *names_of(SliceRequest),
        *names_of(ChallengerRequest),
    }
)


def field_errors(error: ValidationError, names: Sequence[str]) -> tuple[FieldError, ...]:
    """The first `MAX_LISTED_ERRORS` different errors. `names`: the documented fields."""
    if error.error_count() > MAX_COUNTED_ERRORS:
        return (_TOO_MANY_ERRORS,)
    errors = dict.fromkeys(_field_error(item, names) for item in error.errors(include_url=False, include_input=False))
    return tuple(errors)[:MAX_LISTED_ERRORS]


def _field_error(item: ErrorDetails, names: Sequence[str]) -> FieldError:
    code, location = item["type"], item["loc"]
    if location[:1] == (_HEADERS,) and len(location) > 2:
        # pydantic reports one error for each of the two allowed types; report one for the header.
        code, location = _HEADER, location[:2]
    message = _MESSAGES.get(code, "This does not match the schema")
    path = (str(part) if isinstance(part, int) or part in _KNOWN_NAMES else UNKNOWN_NAME for part in location)
    values = {**item.get("ctx", {}), "names": ", ".join(names)}
    return FieldError(".".join(path), code, message.format_map(values))
