"""What is wrong with JSON of another shape: the known field, a code of a closed set, and a sentence of ours.

The sentences are not pydantic's: those are for Python's programmers, and differ between a ticket and one of a batch.
"""

from collections.abc import Mapping, Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from service.api.schemas import RouteRequest, names_of
from service.errors import FieldError

SHOWN_ERRORS = 10
COUNTED_ERRORS = 100
"""Beyond this many, errors are not listed at all: making a list of 80,000 takes longer than finding them."""
OWN_NAME = "*"
"""Stands for a name the client made up: it is input, and input is not repeated."""
TICKET_NAMES = names_of(RouteRequest)
TOO_MANY_VALUES = FieldError("", "too_many_values", "The body has too many values; send fewer tickets, or headers")

_TOO_MANY_ERRORS = FieldError("", "too_many_errors", f"More than {COUNTED_ERRORS} things are not as documented")
_HEADERS = "headers"
_HEADER = "header_type"
_MESSAGES: Mapping[str, str] = {
    "extra_forbidden": "There is no such field; the fields are {names}",
    "missing": "This field is required",
    "model_type": "This must be an object",
    "dict_type": "This must be an object",
    "list_type": "This must be a list",
    "string_type": "This must be a text",
    "literal_error": "This must be {expected}",
    "string_too_short": "This must have at least {min_length} character",
    "string_too_long": "This may have at most {max_length} characters",
    "too_short": "There must be at least {min_length} of these",
    "too_long": "There may be at most {max_length} of these",
    "subject_or_body_required": "Give a subject or a body",
    _HEADER: "A header must be a text or a list of texts",
}
"""By code; what is in brackets is out of our own schemas."""
CODES = frozenset({*_MESSAGES, TOO_MANY_VALUES.code, _TOO_MANY_ERRORS.code})
"""Every `code` that an entry of `errors` can have."""
_KNOWN = frozenset({"tickets", "bundle", *TICKET_NAMES})


def field_errors(error: ValidationError, names: Sequence[str]) -> tuple[FieldError, ...]:
    """At most so many, each once. `names`: of the fields that would have been taken."""
    if error.error_count() > COUNTED_ERRORS:
        return (_TOO_MANY_ERRORS,)
    found = dict.fromkeys(_field_error(item, names) for item in error.errors(include_url=False, include_input=False))
    return tuple(found)[:SHOWN_ERRORS]


def _field_error(item: ErrorDetails, names: Sequence[str]) -> FieldError:
    code, location = item["type"], item["loc"]
    if location[:1] == (_HEADERS,) and len(location) > 2:
        # One of its two forms each; that both are wrong is one fault.
        code, location = _HEADER, location[:2]
    message = _MESSAGES.get(code, "This is not as documented")
    return FieldError(_where(location), code, message.format_map({**item.get("ctx", {}), "names": ", ".join(names)}))


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) if isinstance(part, int) or part in _KNOWN else OWN_NAME for part in location)
