"""The request id: the client's if it is well-formed, else a new one. It is in the response and in every log line."""

import re
from collections.abc import Iterable

from ulid import ULID

from service.access.keyring import PREFIX as KEY_PREFIX

Headers = Iterable[tuple[bytes, bytes]]
"""Raw headers, names in lower case."""
HEADER = b"x-request-id"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
KEY_MARK = KEY_PREFIX.encode()
"""The prefix of every key: a key that is sent in the wrong header must not be logged as an id."""


def new_request_id() -> str:
    return str(ULID())


def request_id_of(headers: Headers) -> str:
    value = next((value for name, value in headers if name == HEADER), b"")
    return value.decode() if REQUEST_ID.fullmatch(value) and KEY_MARK not in value else new_request_id()
