"""A request's id: its client's where that is well-formed, else one of ours. The answer and every log line carry it."""

import re
from collections.abc import Iterable

from ulid import ULID

from service.access.keyring import PREFIX as KEY_PREFIX

Headers = Iterable[tuple[bytes, bytes]]
"""As they came, names in lower case."""
HEADER = b"x-request-id"
REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
KEY_MARK = KEY_PREFIX.encode()
"""Every key begins with it: one that was sent in the wrong header must not be kept as an id."""


def new_request_id() -> str:
    return str(ULID())


def request_id_of(headers: Headers) -> str:
    given = next((value for name, value in headers if name == HEADER), b"")
    return given.decode() if REQUEST_ID.fullmatch(given) and KEY_MARK not in given else new_request_id()
