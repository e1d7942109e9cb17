"""Parses the request headers that routes read: the media type of the body and the client's timeout."""

import re
from collections.abc import Iterable

from service.errors import InvalidHeader, UnsupportedMediaType

JSON = "application/json"
MAIL = "message/rfc822"
RawHeaders = Iterable[tuple[bytes, bytes]]
"""As in the scope: names in lower case."""
TIMEOUT_HEADER = "X-Request-Timeout"
_TIMEOUT = TIMEOUT_HEADER.lower().encode()

SECONDS = r"(?=.*[1-9])[0-9]{1,64}(\.[0-9]{1,64})?"
"""A positive decimal number, without exponent or sign, and with digits before and after the point. Part of OpenAPI."""
_SECONDS = re.compile(SECONDS.encode())
_UTF8 = frozenset({"utf-8", "utf8", "us-ascii"})


def values_of(headers: RawHeaders, name: bytes) -> list[bytes]:
    """The values of all headers with this name, which is in lower case."""
    return [value for each, value in headers if each == name]


def media_type(headers: RawHeaders, *accepted: str) -> str:
    """The body's media type.

    Raises:
        UnsupportedMediaType: not an accepted type, several headers, or JSON in a charset other than UTF-8.
    """
    values = values_of(headers, b"content-type")
    if len(values) > 1:
        raise UnsupportedMediaType("send one Content-Type header, not several")
    media, _, parameters = b"".join(values).decode("latin-1").partition(";")
    media = media.strip().lower()
    if media not in accepted:
        raise UnsupportedMediaType(f"Content-Type must be {' or '.join(accepted)}")
    if media == JSON and not _is_utf8(parameters):
        raise UnsupportedMediaType(f"send {JSON} in UTF-8; Content-Type has another charset")
    return media


def timeout_seconds(headers: RawHeaders, cap: float) -> float:
    """The client's `X-Request-Timeout`, at most `cap`; without the header, `cap`.

    Raises:
        InvalidHeader: the value is not a positive number of seconds.
    """
    values = values_of(headers, _TIMEOUT)
    if not values:
        return cap
    if len(values) > 1 or not _SECONDS.fullmatch(values[0]):
        raise InvalidHeader(f"{TIMEOUT_HEADER} must be a positive number of seconds, such as 2 or 0.5")
    return min(float(values[0]), cap)


def _is_utf8(parameters: str) -> bool:
    for parameter in parameters.split(";"):
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "charset":
            return value.strip().strip('"').lower() in _UTF8
    return True
