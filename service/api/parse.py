"""Bytes → shapes: strict JSON, and errors that say where and what without repeating anything that was sent."""

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

from service.api.json_errors import TICKET_NAMES, TOO_MANY_VALUES, field_errors
from service.api.schemas import Input, ReloadRequest, RouteRequest, names_of
from service.errors import InvalidRequest, MalformedJson
from service.http.body import Content

T = TypeVar("T", bound=BaseModel)

LARGE_BYTES = 100_000
"""Larger bodies are parsed one at a time. A parser holds the interpreter for up to 12 ms: two in turns would be no
faster, and keep the event loop waiting for both."""
MAX_PIECES = 50_000
"""Strings, commas and opening brackets; a batch of 256 tickets may have some sixty headers each. The time of a parser
goes by pieces, not by bytes, and it holds the interpreter: a megabyte of `[],` stops the service for a quarter of a
second, a megabyte of text for five milliseconds."""
DUPLICATE_KEY = "a key stands twice in one object of the body, and parsers differ in which one counts; send it once"
CONSTANT = "NaN and Infinity are no JSON; leave such a value out"

_SIGNS = (b",", b"[", b"{")
_SLICE_BYTES = 64_000
"""Counted at a time: to take two million escapes out of 4 MB in one go holds the interpreter for 25 ms."""


class _Shape(Generic[T]):
    """What a body must be: a model, and how its fields are called."""

    def __init__(self, model: type[T]) -> None:
        self.adapter = TypeAdapter(model)
        self.names = names_of(model)


_ROUTE = _Shape(RouteRequest)
_RELOAD = _Shape(ReloadRequest)
_ONE_LARGE = threading.Lock()

Parsed = RouteRequest | InvalidRequest
"""A ticket of a batch, or why it is none: its neighbours are decided all the same."""


def parse_route(body: Content) -> RouteRequest:
    """One ticket.

    Raises:
        MalformedJson: not JSON, a key stands twice, or it is too deep or a number too long to be read.
        InvalidRequest: JSON of another shape.
    """
    return _validated(_ROUTE, body)


def parse_reload(body: Content) -> ReloadRequest:
    """Which bundle to reload.

    Raises:
        MalformedJson, InvalidRequest: as `parse_route`.
    """
    return _validated(_RELOAD, body)


class BatchParser:
    """Reads `{"tickets": […]}` of at most so many tickets."""

    def __init__(self, max_tickets: int) -> None:
        item = Annotated[RouteRequest, WrapValidator(_ticket_or_error)]
        tickets = Annotated[list[item], Field(min_length=1, max_length=max_tickets)]
        self.model = create_model("BatchRequest", __base__=Input, tickets=(tickets, ...))
        self._shape = _Shape[Any](self.model)

    def parse(self, body: Content) -> Sequence[Parsed]:
        """The tickets in order.

        Raises:
            MalformedJson: not JSON, a key stands twice, or it is too deep or a number too long to be read.
            InvalidRequest: not a list of tickets, or too many of them.
        """
        tickets: Sequence[Parsed] = _validated(self._shape, body).tickets
        return tickets


def _validated(shape: _Shape[T], body: Content) -> T:
    if len(body) <= LARGE_BYTES:
        return _read(shape, body)
    with _ONE_LARGE:
        return _read(shape, body)


def _read(shape: _Shape[T], body: Content) -> T:
    if has_too_many_pieces(body):
        raise InvalidRequest((TOO_MANY_VALUES,))
    try:
        value = shape.adapter.validate_json(body)
    except ValidationError as error:
        raise _refusal(shape, error, body) from None
    _refuse_ambiguity(body)
    return value


def _ticket_or_error(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        return InvalidRequest(field_errors(error, TICKET_NAMES))


def _refusal(shape: _Shape[Any], error: ValidationError, body: Content) -> MalformedJson | InvalidRequest:
    # A list of 80,000 errors is not made for this: of syntax there is but one.
    if error.error_count() == 1:
        (only,) = error.errors(include_url=False, include_input=False)
        if only["type"] == "json_invalid":
            # The parser's own words: constants and a place, nothing of the body (a test holds them against it).
            return MalformedJson(only["msg"])
    try:
        # Before its shape is talked about: a field with NaN for a value is no JSON, whatever the field is called.
        _refuse_ambiguity(body)
    except MalformedJson as found:
        return found
    return InvalidRequest(field_errors(error, shape.names))


def _refuse_ambiguity(body: Content) -> None:
    """What one parser takes and the next refuses, or reads differently: equal keys in one object, NaN and infinities.

    The body has been parsed: its depth is bounded, and it is UTF-8.

    Raises:
        MalformedJson
    """
    _STRICT.decode(body.decode())


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) != len({key for key, _ in pairs}):
        raise MalformedJson(DUPLICATE_KEY)


def _no_constant(_name: str) -> NoReturn:
    raise MalformedJson(CONSTANT)


# Numbers stay text: reading one of thousands of digits takes Python's time for nothing.
_STRICT = json.JSONDecoder(object_pairs_hook=_distinct, parse_int=str, parse_float=str, parse_constant=_no_constant)


def has_too_many_pieces(body: Content) -> bool:
    """Whether there are more than MAX_PIECES. What is no JSON is counted as well as can be."""
    if len(body) <= MAX_PIECES or _signs(body) + body.count(b'"') <= MAX_PIECES:
        return False
    signs, marks = 0, 0
    for part in _slices(body):
        plain = part.replace(rb"\\", b"").replace(rb"\"", b"")  # now a quotation mark begins or ends a string
        between = plain.split(b'"')
        signs += _signs(b"".join(between[marks % 2 :: 2]))
        marks += len(between) - 1
        if signs + marks // 2 > MAX_PIECES:
            return True
    return False


def _slices(body: Content) -> Iterator[Content]:
    """The body in slices that cut no escape in two."""
    start = 0
    while start < len(body):
        part = body[start : start + _SLICE_BYTES]
        backslashes = len(part) - len(part.rstrip(b"\\"))
        if backslashes % 2:
            part = body[start : start + _SLICE_BYTES + 1]
        yield part
        start += len(part)


def _signs(text: Content) -> int:
    return sum(map(text.count, _SIGNS))
