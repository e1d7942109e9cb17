"""Heads of requests, beyond what httptools makes sure of. `protocol.py` asks."""

from collections.abc import Sequence

import httptools

Fields = Sequence[tuple[bytes, bytes]]
"""A head's, names in lower case."""

_UPGRADING = frozenset({b"upgrade", b"connection", b"http2-settings"})
"""The headers of a wish for another protocol. All of them go, but for a `close` that stands beside it."""


def ambiguity(version: str, headers: Fields) -> str | None:
    """Why two parsers between the client and us might read this head differently, or take its body for a request."""
    hosts = sum(name == b"host" for name, _ in headers)
    codings = [value for name, value in headers if name == b"transfer-encoding"]
    if version == "1.0":
        if codings:
            return "HTTP/1.0 has no Transfer-Encoding: send Content-Length, or HTTP/1.1"
        return "a request has one Host header at most" if hosts > 1 else None
    if version != "1.1":
        return "only HTTP/1.1 is spoken here, and 1.0"
    if hosts != 1:
        return "a request of HTTP/1.1 has one Host header, no more and no less"
    return None if codings in ([], [b"chunked"]) else "Transfer-Encoding can only be chunked, once, and nothing else"


def has_path(target: bytes) -> bool:
    """Whether there is a path in what was asked for; uvicorn takes it for granted."""
    if not target.isascii():
        return False
    try:
        return target.startswith(b"/") or httptools.parse_url(target).path is not None
    except httptools.HttpParserError:
        return False


def without_upgrade(request_line: bytes, headers: Fields) -> bytes:
    """The head again, as it would have been without a wish for another protocol."""
    kept = [name + b": " + value for name, value in headers if name not in _UPGRADING]
    if any(name == b"connection" and b"close" in value.lower() for name, value in headers):
        kept.append(b"connection: close")
    return b"\r\n".join([request_line, *kept, b"", b""])
