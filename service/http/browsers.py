"""What browsers are told, and asked: the management port has the one page, and a web page may reach what people can.

Clients that are no browsers ignore all of it.
"""

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import FromAPage

NOSNIFF = ("X-Content-Type-Options", "nosniff")
"""A type is what the header says, on both ports: JSON never turns into a page."""
NOTHING = "default-src 'none'; frame-ancestors 'none'"
_PAGE = (
    # Swagger UI sets styles from its script and draws its icons from data: addresses. `connect-src`: the document.
    "default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class BrowserPolicy:
    """Nothing of an answer runs, is framed, or tells other sites where it was; a page brings its own policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", NOTHING)
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        await self._app(scope, receive, send_with_policy)


def page_policy(page: bytes) -> dict[str, str]:
    """The header for a page of ours: its own files, and the one script that stands in it, by its digest."""
    digests = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page)]
    return {"Content-Security-Policy": _PAGE.format(digest="' 'sha256-".join(digests))}


def refuse_pages(request: Request) -> None:
    """Refuse what a web page sends: browsers say so with every POST, and let any site send one to this machine.

    Raises:
        FromAPage
    """
    if "origin" in request.headers:
        raise FromAPage
