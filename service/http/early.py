"""Refusals by a request's head alone, before it is a task with a scope and layers around it.

In a flood nearly all is refused, and what each refusal costs is missing to the tickets that are taken. This is a short
cut and no second rule: it refuses what the API would refuse, in the same words, and leaves to the long way whatever
else might be wrong. `protocol.py` asks it for every request, `app.py` puts it together.
"""

from collections.abc import Callable, Mapping

from service.access.access import Access
from service.access.caller import Caller, Role
from service.errors import Overloaded, RateLimited, ServiceError
from service.http.authorize import Gate
from service.http.refusals import Refusal
from service.http.request_id import Headers, request_id_of

Check = Callable[[Caller, Headers], object]
"""Raises what a ticket of this caller's would be refused with now."""
Early = Callable[[bytes, Headers], Refusal | None]
"""The refusal of a POST to this path, where there is no doubt about it."""


def never(_path: bytes, _headers: Headers) -> None:
    """Of a port where everything goes the long way."""


def early(access: Access, checks: Mapping[str, Check]) -> Early:
    """`checks`: of the guarded routes, by path."""
    gate = Gate(access)
    by_path = {path.encode(): (path, check) for path, check in checks.items()}

    def refusal(path: bytes, headers: Headers) -> Refusal | None:
        if path not in by_path:
            return None
        route, check = by_path[path]
        try:
            caller = gate.caller(headers)
            if Role.ROUTE not in caller.roles:
                return None
            check(caller, headers)
        except (Overloaded, RateLimited) as error:
            # Without its traceback, whose frames know this refusal: each would wait for the collector.
            answered = error.with_traceback(None)
            return Refusal(answered, request_id_of(headers), route, "POST", caller.name if access.asks else None)
        except ServiceError:
            return None
        return None

    return refusal
