"""Bytes → shapes: strict JSON, and errors that say where and what without repeating anything that was sent."""

import json
import threading
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from pydantic import Field, TypeAdapter, ValidationError, ValidatorFunctionWrapHandler, WrapValidator, create_model
from pydantic_core import ErrorDetails

from service.api.pieces import has_too_many_pieces
from service.api.schemas import Input, ReloadRequest, RouteRequest
from service.errors import FieldError, InvalidRequest, MalformedJson

T = TypeVar("T")

SHOWN_ERRORS = 10
COUNTED_ERRORS = 100
"""Beyond this many, errors are not listed at all: making a list of 80,000 takes longer than finding them."""
LARGE_BYTES = 100_000
"""Larger bodies are parsed one at a time. A parser holds the interpreter for up to 12 ms: two in turns would be no
faster, and keep the event loop waiting for both."""
OWN_NAME = "*"
"""Stands for a name the client made up: it is input, and input is not repeated."""
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_MESSAGES = {
    "list_type": "Input should be a valid array",
    "dict_type": "Input should be an object",
    "model_type": "Input should be an object",
}
"""pydantic's own differ between bytes and values, and with them between a ticket and one of a batch."""
_KNOWN = frozenset({"tickets", "bundle", *(field.alias or name for name, field in RouteRequest.model_fields.items())})
_ROUTE = TypeAdapter(RouteRequest)
_RELOAD = TypeAdapter(ReloadRequest)
_ONE_LARGE = threading.Lock()

_TOO_MANY_VALUES = FieldError("", "too_many_values", "The body has too many values; send fewer tickets, or headers")

Parsed = RouteRequest | InvalidRequest
"""A ticket of a batch, or why it is none: its neighbours are decided all the same."""


def parse_route(body: bytes) -> RouteRequest:
    """One ticket.

    Raises:
        MalformedJson: not JSON, or a key stands twice.
        InvalidRequest: JSON of another shape.
    """
    return _validated(_ROUTE, body)


def parse_reload(body: bytes) -> ReloadRequest:
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
        self._adapter = TypeAdapter[Any](self.model)

    def parse(self, body: bytes) -> Sequence[Parsed]:
        """The tickets in order.

        Raises:
            MalformedJson: not JSON, or a key stands twice.
            InvalidRequest: not a list of tickets, or too many of them.
        """
        tickets: Sequence[Parsed] = _validated(self._adapter, body).tickets
        return tickets


def _validated(adapter: TypeAdapter[T], body: bytes) -> T:
    if len(body) <= LARGE_BYTES:
        return _read(adapter, body)
    with _ONE_LARGE:
        return _read(adapter, body)


def _read(adapter: TypeAdapter[T], body: bytes) -> T:
    if has_too_many_pieces(body):
        raise InvalidRequest((_TOO_MANY_VALUES,))
    try:
        value = adapter.validate_json(body)
    except ValidationError as error:
        raise _refusal(error, body) from None
    _refuse_duplicate_keys(body)
    return value


def _ticket_or_error(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError as error:
        return InvalidRequest(_field_errors(error))


def _refusal(error: ValidationError, body: bytes) -> MalformedJson | InvalidRequest:
    found = _field_errors(error)
    if found[0].code == "json_invalid":
        return MalformedJson(byte_order_mark=body.startswith(_BYTE_ORDER_MARK))
    return InvalidRequest(found)


def _field_errors(error: ValidationError) -> tuple[FieldError, ...]:
    if error.error_count() > COUNTED_ERRORS:
        return (FieldError("", "too_many_errors", f"More than {COUNTED_ERRORS} things are not as documented"),)
    shown = error.errors(include_url=False, include_context=False, include_input=False)[:SHOWN_ERRORS]
    return tuple(_field_error(item) for item in shown)


def _field_error(item: ErrorDetails) -> FieldError:
    return FieldError(_where(item["loc"]), item["type"], _MESSAGES.get(item["type"], item["msg"]))


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) if isinstance(part, int) or part in _KNOWN else OWN_NAME for part in location)


def _refuse_duplicate_keys(body: bytes) -> None:
    """Which of two equal keys counts differs from parser to parser, so neither does.

    The body has been validated: its depth is bounded, and it is UTF-8.
    """
    _DISTINCT.decode(body.decode())


def _distinct(pairs: list[tuple[str, Any]]) -> None:
    if len(pairs) != len({key for key, _ in pairs}):
        raise MalformedJson


# Numbers stay text: reading one of thousands of digits takes Python's time for nothing.
_DISTINCT = json.JSONDecoder(object_pairs_hook=_distinct, parse_int=str, parse_float=str, parse_constant=str)
