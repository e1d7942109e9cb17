"""The door of a guarded route: which key came with the request, and whether it may go on. Before the body is read.

Routes wrap their endpoints in it (`api/routes.py`, `management.py`), so that no way to an endpoint leads round it.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote_to_bytes

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from service.access.access import Access
from service.access.audit import UNKNOWN, audit
from service.access.caller import ANONYMOUS, Caller, Role
from service.errors import Forbidden, KeyInQuery, ServiceError, Unauthenticated
from service.http.fast_path import Endpoint
from service.http.problems import kind_of
from service.logs import add_log_fields

REFUSALS = (KeyInQuery, Unauthenticated, Forbidden)
"""What a guarded route can answer, for its documentation."""
SCHEME = "bearer"
SECURITY_SCHEMES: dict[str, Any] = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of this service, where it has keys. Its roles say which routes it may call.",
    }
}

_CALLER = "caller"
"""The entry of a request's state."""
_HOW = "as Authorization: Bearer trk_..."
_BEARER = re.compile(rb"bearer +([!-~]{1,200})", re.IGNORECASE)
_IN_QUERY = re.compile(
    rb"(?:^|[&;?])(?:(?:api|access|auth)?[-_]?(?:key|token)|auth|authorization|bearer)=|trk_", re.IGNORECASE
)


class Authorizer:
    """What stands before guarded endpoints."""

    def __init__(self, access: Access) -> None:
        self._access = access

    def needs(self, role: Role, endpoint: Endpoint) -> Endpoint:
        """The endpoint for callers with this role alone."""

        async def guarded(request: Request) -> Response:
            self._admit(request.scope, role, endpoint.__name__)
            return await endpoint(request)

        # The framework shows both; `functools.wraps` would have it look at the endpoint's signature instead of this.
        guarded.__name__, guarded.__doc__ = endpoint.__name__, endpoint.__doc__
        guarded.__dict__["role"] = role
        return guarded

    def caller(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """Who sent these; anonymous where no keys are asked for.

        Raises:
            Unauthenticated: nobody, or nobody that is known now.
        """
        return self._access.caller(_key(headers)) if self._access.asks else ANONYMOUS

    def _admit(self, scope: Scope, role: Role, action: str) -> None:
        """Say who is calling, to the log line and to whoever asks the scope.

        Raises:
            KeyInQuery, Unauthenticated, Forbidden: it goes no further.
        """
        who = UNKNOWN
        try:
            refuse_key_in_query(scope["query_string"])
            caller = scope["state"][_CALLER] = self.caller(scope["headers"])
            if self._access.asks:
                who = caller.name
                add_log_fields(scope, key=who)
            if role not in caller.roles:
                raise Forbidden(role)
        except ServiceError as error:
            if isinstance(error, Unauthenticated) and error.name is not None:
                add_log_fields(scope, key=error.name)
                who = error.name
            if role is Role.ADMIN:
                audit(who, action, kind_of(error).code)
            raise


def caller_of(scope: Scope) -> Caller:
    """Who sent this request; it has passed a guarded route."""
    caller: Caller = scope["state"][_CALLER]
    return caller


def secured(role: Role) -> dict[str, Any]:
    """`openapi_extra` of a route for callers with this role."""
    return {"security": [{SCHEME: [role.value]}]}


def refuse_key_in_query(query: bytes) -> None:
    """Refuse what looks like a key in the address, where proxies and browsers keep it.

    Raises:
        KeyInQuery
    """
    if query and _IN_QUERY.search(unquote_to_bytes(query)):
        raise KeyInQuery


def _key(headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """The one bearer token.

    Raises:
        Unauthenticated: there is none, or something else: nobody has looked whether a key stands in that.
    """
    given = [value for name, value in headers if name == b"authorization"]
    if not given:
        raise Unauthenticated(f"send one key of this service, {_HOW}")
    bearer = _BEARER.fullmatch(given[0].strip()) if len(given) == 1 else None
    if bearer is None:
        raise Unauthenticated(f"the Authorization header is not one bearer key; send the key once, {_HOW}")
    return bearer[1]
