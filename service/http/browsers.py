"""Browser security: response headers, and refusal of requests that a web page sends.

The management port serves a page (`/docs`), and a web page in an administrator's browser can send requests to that
port. Other clients ignore these headers.
"""

import base64
import hashlib
import re

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.errors import FromAPage

NOSNIFF = ("X-Content-Type-Options", "nosniff")
"""On both ports: a browser must not guess the content type and show JSON as a page."""
DENY_ALL = "default-src 'none'; frame-ancestors 'none'"
_PAGE = (
    # Swagger UI sets styles from its script and draws its icons from data: addresses. `connect-src`: the document.
    "default-src 'none'; script-src 'self' 'sha256-{digest}'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
_INLINE_SCRIPT = re.compile(rb"<script>(.*?)</script>", re.DOTALL)


class BrowserPolicy:
    """Adds headers: no scripts, no framing, no referrer. A page sets its own content security policy."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_with_policy(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.setdefault("Content-Security-Policy", DENY_ALL)
                headers["Referrer-Policy"] = "no-referrer"
            await send(message)

        await self._app(scope, receive, send_with_policy)


def page_policy(page: bytes) -> dict[str, str]:
    """The policy header of a page of the service: files from the same origin, and inline scripts by their digests."""
    digests = [base64.b64encode(hashlib.sha256(script).digest()).decode() for script in _INLINE_SCRIPT.findall(page)]
    return {"Content-Security-Policy": _PAGE.format(digest="' 'sha256-".join(digests))}


def refuse_browser_request(request: Request) -> None:
    """Refuse a POST from a web page: any site can make a browser send one to this machine (CSRF). Browsers always add
    an Origin header.

    Raises:
        FromAPage
    """
    if "origin" in request.headers:
        raise FromAPage
