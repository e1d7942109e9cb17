"""Parses request bodies: strict JSON, validated by the schemas, with errors that never repeat input."""

import contextlib
import json
import threading
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Generic, NoReturn, TypeVar

from pydantic import (
    BaseModel,
    Field,
    TypeAdapter,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    create_model,
)

from service.api.json_errors import FEEDBACK_NAMES, TICKET_NAMES, TOO_MANY_VALUES, field_errors
from service.api.schemas import AutomationRequest, FeedbackRequest, Input, ReloadRequest, RouteRequest, names_of
from service.errors import InvalidRequest, MalformedJson
from service.http.body import Content

T = TypeVar("T", bound=BaseModel)

LARGE_BYTES = 100_000
"""Larger bodies are parsed one at a time. A parser holds the GIL for up to 12 ms: two threads would not be faster, but
the event loop would wait for both."""
MAX_JSON_TOKENS = 50_000
"""Strings, commas and opening brackets; enough for a batch of 256 tickets with sixty headers each. The time of the
parser, which holds the GIL, depends on tokens, not bytes: a megabyte of `[],` blocks the service for 250 ms, a megabyte
of text for 5 ms."""
DUPLICATE_KEY = "an object in the body has a key twice, and parsers differ in which value they use; send each key once"
CONSTANT = "NaN and Infinity are not JSON; leave such a value out"

_SEPARATORS = (b",", b"[", b"{")
_SLICE_BYTES = 64_000
"""Size of the slices in which tokens are counted: removing two million escapes from 4 MB at once holds the GIL for 25
ms."""


class _Schema(Generic[T]):
    """The model of a body, and the names of its fields."""

    def __init__(self, model: type[T]) -> None:
        self.adapter = TypeAdapter(model)
        self.names = names_of(model)


_ROUTE = _Schema(RouteRequest)
_RELOAD = _Schema(ReloadRequest)
_FEEDBACK = _Schema(FeedbackRequest)
_AUTOMATION = _Schema(AutomationRequest)
_large_body_lock = threading.Lock()

Parsed = RouteRequest | InvalidRequest
"""A ticket of a batch, or its error: the other tickets of the batch are decided anyway."""


def parse_route(body: Content) -> RouteRequest:
    """Parse one ticket.

    Raises:
        MalformedJson: not JSON, a duplicate key, too deep, or a number is too long.
        InvalidRequest: the JSON does not match the schema.
    """
    return _parse(_ROUTE, body)


def parse_reload(body: Content) -> ReloadRequest:
    """Parse a reload request.

    Raises:
        MalformedJson, InvalidRequest: as `parse_route`.
    """
    return _parse(_RELOAD, body)


def parse_automation(body: Content) -> AutomationRequest:
    """Parse a switch of automation.

    Raises:
        MalformedJson, InvalidRequest: as `parse_route`.
    """
    return _parse(_AUTOMATION, body)


def parse_feedback(body: Content) -> FeedbackRequest:
    """Parse one item of feedback.

    Raises:
        MalformedJson, InvalidRequest: as `parse_route`.
    """
    return _parse(_FEEDBACK, body)


class BatchParser:
    """Parses `{"tickets": […]}` with at most `max_tickets` tickets."""

    def __init__(self, max_tickets: int) -> None:
        item = Annotated[RouteRequest, WrapValidator(_ticket_or_error)]
        tickets = Annotated[list[item], Field(min_length=1, max_length=max_tickets)]
        self.model = create_model("BatchRequest", __base__=Input, tickets=(tickets, ...))
        self._schema = _Schema[Any](self.model)

    def parse(self, body: Content) -> Sequence[Parsed]:
        """The tickets in order.

        Raises:
            MalformedJson: as `parse_route`.
            InvalidRequest: not a list of tickets, or too many tickets.
        """
        tickets: Sequence[Parsed] = _parse(self._schema, body).tickets
        return tickets


class FeedbackBatchParser:
    """Parses `{"feedback": […]}` with at most `max_items` items."""

    def __init__(self, max_items: int) -> None:
        item = Annotated[FeedbackRequest, WrapValidator(_feedback_or_error)]
        items = Annotated[list[item], Field(min_length=1, max_length=max_items)]
        self.model = create_model("FeedbackBatchRequest", __base__=Input, feedback=(items, ...))
        self._schema = _Schema[Any](self.model)

    def parse(self, body: Content) -> Sequence[FeedbackRequest | InvalidRequest]:
        """The items in order. Raises as `BatchParser.parse`."""
        items: Sequence[FeedbackRequest | InvalidRequest] = _parse(self._schema, body).feedback
        return items


def _parse(schema: _Schema[T], body: Content) -> T:
    with _large_body_lock if len(body) > LARGE_BYTES else contextlib.nullcontext():
        if has_too_many_tokens(body):
            raise InvalidRequest((TOO_MANY_VALUES,))
        try:
            value = schema.adapter.validate_json(body)
        except ValidationError as error:
            raise _convert_error(schema, error, body) from None
        _refuse_ambiguous_json(body)
        return value


def _ticket_or_error(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        return InvalidRequest(field_errors(error, TICKET_NAMES))


def _feedback_or_error(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        return InvalidRequest(field_errors(error, FEEDBACK_NAMES))


def _convert_error(schema: _Schema[Any], error: ValidationError, body: Content) -> MalformedJson | InvalidRequest:
    # A syntax error is always the only error. Check the count first: building a list of 80,000 errors is slow.
    if error.error_count() == 1:
        (only,) = error.errors(include_url=False, include_input=False)
        if only["type"] == "json_invalid":
            # The parser's message has only constants and a position, nothing of the body; a test checks this.
            return MalformedJson(only["msg"])
    try:
        # Before the schema's errors: a body with NaN is not JSON at all.
        _refuse_ambiguous_json(body)
    except MalformedJson as malformed:
        return malformed
    return InvalidRequest(field_errors(error, schema.names))


def _refuse_ambiguous_json(body: Content) -> None:
    """Refuse JSON that parsers read differently: duplicate keys in an object, NaN, infinities.

    The body has been parsed before, so it is UTF-8 and its depth is limited.

    Raises:
        MalformedJson
    """
    _STRICT.decode(body.decode())


def _refuse_duplicate_keys(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) != len({key for key, _ in pairs}):
        raise MalformedJson(DUPLICATE_KEY)


def _refuse_constant(_name: str) -> NoReturn:
    raise MalformedJson(CONSTANT)


# Numbers stay strings: converting a number of thousands of digits is slow, and the value is not used.
_STRICT = json.JSONDecoder(
    object_pairs_hook=_refuse_duplicate_keys, parse_int=str, parse_float=str, parse_constant=_refuse_constant
)


def has_too_many_tokens(body: Content) -> bool:
    """Whether the body has more than MAX_JSON_TOKENS. If the body is not JSON, the count is approximate."""
    if len(body) <= MAX_JSON_TOKENS or _count_separators(body) + body.count(b'"') <= MAX_JSON_TOKENS:
        return False
    separators, quotes = 0, 0
    for part in _slices(body):
        plain = part.replace(rb"\\", b"").replace(rb"\"", b"")  # every remaining quote starts or ends a string
        segments = plain.split(b'"')
        outside_strings = segments[quotes % 2 :: 2]
        separators += _count_separators(b"".join(outside_strings))
        quotes += len(segments) - 1
        if separators + quotes // 2 > MAX_JSON_TOKENS:
            return True
    return False


def _slices(body: Content) -> Iterator[Content]:
    """The body in slices that do not split an escape sequence."""
    start = 0
    while start < len(body):
        part = body[start : start + _SLICE_BYTES]
        backslashes = len(part) - len(part.rstrip(b"\\"))
        if backslashes % 2:
            part = body[start : start + _SLICE_BYTES + 1]
        yield part
        start += len(part)


def _count_separators(text: Content) -> int:
    return sum(map(text.count, _SEPARATORS))
