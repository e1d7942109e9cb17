"""Authorization of a guarded route: authenticates the key and checks its role before the body is read.

The routes wrap their endpoints (`api/routes.py`, `admin/routes.py`), so that an endpoint cannot be reached without the
check.
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
"""The errors of a guarded route, for its documentation."""
SCHEME = "bearer"
SECURITY_SCHEMES: dict[str, Any] = {
    SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "A key of this service, if it has a keys file. The key's roles permit the routes.",
    }
}

_CALLER = "caller"
"""The entry in the request's state that holds the caller."""
_FORM = "as Authorization: Bearer trk_..."
_BEARER = re.compile(rb"bearer +([!-~]{1,200})", re.IGNORECASE)
_IN_QUERY = re.compile(
    rb"(?:^|[&;?])(?:(?:api|access|auth)?[-_]?(?:key|token)|auth|authorization|bearer)=|trk_", re.IGNORECASE
)


class Authorizer:
    def __init__(self, access: Access) -> None:
        self._access = access

    def require(self, role: Role, endpoint: Endpoint) -> Endpoint:
        """Wrap the endpoint so that only callers with this role reach it.

        The wrapper stores the caller in the scope, and its name in the log line. It raises KeyInQuery, Unauthenticated
        or Forbidden if it refuses the request.
        """

        async def guarded(request: Request) -> Response:
            scope, actor = request.scope, UNKNOWN
            try:
                refuse_key_in_query(scope["query_string"])
                caller = scope["state"][_CALLER] = self.authenticate(scope["headers"])
                if self._access.keys_required:
                    actor = caller.name
                    add_log_fields(scope, key=actor)
                if role not in caller.roles:
                    raise Forbidden(role)
            except ServiceError as error:
                if isinstance(error, Unauthenticated) and error.name is not None:
                    add_log_fields(scope, key=error.name)
                    actor = error.name
                if role is Role.ADMIN:
                    audit(actor, endpoint.__name__, kind_of(error).code)
                raise
            return await endpoint(request)

        # FastAPI documents both. Not `functools.wraps`: FastAPI would then read the signature of the endpoint.
        guarded.__name__, guarded.__doc__ = endpoint.__name__, endpoint.__doc__
        guarded.__dict__["role"] = role
        return guarded

    def authenticate(self, headers: Iterable[tuple[bytes, bytes]]) -> Caller:
        """The caller with the key in these headers; the anonymous caller if no key is required.

        Raises:
            Unauthenticated: there is no Authorization header, it is not exactly one bearer token, or the key is not
                valid.
        """
        if not self._access.keys_required:
            return ANONYMOUS
        values = [value for name, value in headers if name == b"authorization"]
        if not values:
            raise Unauthenticated(f"send one key of this service, {_FORM}")
        bearer = _BEARER.fullmatch(values[0].strip()) if len(values) == 1 else None
        if bearer is None:
            raise Unauthenticated(f"the Authorization header is not one bearer key; send the key once, {_FORM}")
        return self._access.authenticate(bearer[1])


def caller_of(scope: Scope) -> Caller:
    """The caller of a request to a guarded route."""
    caller: Caller = scope["state"][_CALLER]
    return caller


def secured(role: Role) -> dict[str, Any]:
    """`openapi_extra` of a route that requires this role."""
    return {"security": [{SCHEME: [role.value]}]}


def refuse_key_in_query(query: bytes) -> None:
    """Refuse a query that seems to contain a key: proxies and browsers keep addresses.

    Raises:
        KeyInQuery
    """
    if query and _IN_QUERY.search(unquote_to_bytes(query)):
        raise KeyInQuery
