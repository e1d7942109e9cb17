"""Dispatches the routes that are called for every ticket without FastAPI.

FastAPI serves all other paths and documents these. Its layers (telemetry, body limit, exit stacks, dependency solving,
cookies) take more time than cleaning, encoding and deciding a short ticket.
"""

from collections.abc import Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

Endpoint = Callable[[Request], Awaitable[Response]]
TEMPLATE = "template"
"""The key in the scope for the path of the matched route, like FastAPI's `route`."""


class FastPath:
    """Sends a POST on one of these paths to its own application, every other request to FastAPI."""

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
    """An ASGI application that calls the endpoint."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    return app
