"""A request's headers and bytes → tickets and a deadline."""

import re
from collections.abc import Iterable, Mapping, Sequence

from starlette.requests import Request

from models.mail.parse import REPLY_FIELDS, mail_facts
from models.ticket import MailFact, Ticket
from service.api.parse import Parsed
from service.api.schemas import RouteRequest
from service.errors import InvalidHeader, InvalidRequest, UnsupportedMediaType

JSON = "application/json"
MAIL = "message/rfc822"
TIMEOUT_HEADER = "X-Request-Timeout"
_TIMEOUT = TIMEOUT_HEADER.lower().encode()

SECONDS = r"(?=.*[1-9])[0-9]{1,64}(\.[0-9]{1,64})?"
"""A positive number of seconds, in the document too: without exponents, signs, or a place that is not there."""
_SECONDS = re.compile(SECONDS.encode())
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})


def media_type(request: Request, *accepted: str) -> str:
    """The body's media type.

    Raises:
        UnsupportedMediaType: none of the accepted, several, or JSON in another charset than UTF-8.
    """
    given = request.headers.getlist("content-type")
    if len(given) > 1:
        raise UnsupportedMediaType("send one Content-Type header, not several")
    media, _, parameters = "".join(given).partition(";")
    media = media.strip().lower()
    if media not in accepted:
        raise UnsupportedMediaType(f"Content-Type must be {' or '.join(accepted)}")
    if media == JSON and not _is_utf8(parameters):
        raise UnsupportedMediaType(f"send {JSON} in UTF-8; Content-Type has another charset")
    return media


def timeout_seconds(headers: Iterable[tuple[bytes, bytes]], cap: float) -> float:
    """How long the client will wait: its `X-Request-Timeout`, at most the cap. Names of headers are in lower case.

    Raises:
        InvalidHeader: it is no positive number of seconds.
    """
    given = [value for name, value in headers if name == _TIMEOUT]
    if not given:
        return cap
    if len(given) > 1 or not _SECONDS.fullmatch(given[0]):
        raise InvalidHeader(f"{TIMEOUT_HEADER} must be a positive number of seconds, such as 2 or 0.5")
    return min(float(given[0]), cap)


def ticket_of(request: RouteRequest) -> Ticket:
    sender, recipients = request.sender or "", tuple(request.recipients or ())
    return Ticket(
        subject=request.subject or "",
        body=request.body or "",
        content_type=request.content_type or "text/plain",
        id=request.id,
        sender=sender,
        recipients=recipients,
        facts=_facts(request.headers, sender, recipients),
        replied=any(name.strip().lower() in REPLY_FIELDS and value for name, value in (request.headers or {}).items()),
    )


def tickets_of(parsed: Sequence[Parsed]) -> list[Ticket | InvalidRequest]:
    return [item if isinstance(item, InvalidRequest) else ticket_of(item) for item in parsed]


def _facts(
    headers: Mapping[str, str | list[str]] | None, sender: str, recipients: tuple[str, ...]
) -> frozenset[MailFact]:
    """Nothing without headers: a form's ticket may well come from the address it goes to."""
    if headers is None:
        return frozenset()
    pairs = [(name, one) for name, value in headers.items() for one in ([value] if isinstance(value, str) else value)]
    return mail_facts(pairs, sender=sender, recipients=recipients)


def _is_utf8(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower() in _UTF8
    return True
