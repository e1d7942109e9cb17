"""The short way to the routes that are called for every ticket.

The framework keeps all other paths, and these in the documentation; its layers (telemetry, body limit, exit stacks,
dependency solving, cookies) cost more time than a short ticket's cleaning, encoding and deciding together.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]
TEMPLATE = "template"
"""The scope's entry that names the route that was taken, as the framework's `route` does."""


class FastPath:
    """Hands POSTs on these very paths to their applications, everything else to the framework's."""

    def __init__(self, app: ASGIApp, direct: Mapping[str, ASGIApp]) -> None:
        self._app = app
        self._direct = direct

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        direct = self._direct.get(scope["path"]) if scope["type"] == "http" and scope["method"] == "POST" else None
        if direct is None:
            return await self._app(scope, receive, send)
        scope[TEMPLATE] = scope["path"]
        return await direct(scope, receive, send)


def application(endpoint: Endpoint) -> ASGIApp:
    """An endpoint as an application of its own."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    return app
