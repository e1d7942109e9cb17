"""Signing in and out."""

from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from service.access.audit import UNKNOWN, audit
from service.desk.pages import PageError, Pages, refuse_foreign
from service.desk.session import PATH
from service.errors import Unauthenticated


class Login:
    def __init__(self, pages: Pages) -> None:
        self._pages = pages

    def routes(self) -> list[Route]:
        return [
            Route("/login", self.show),
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/logout", self._pages.guarded(self.sign_out), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        wanted = local_path(request.query_params.get("next", ""))
        if self._pages.sessions.anyone:
            refuse_rebinding(request)
            response: Response = RedirectResponse(wanted, 303)
            self._pages.sessions.sign_in_anonymous(request, response)
            return response
        if self._pages.sessions.of(request) is not None:
            return RedirectResponse(wanted, 303)
        return self._pages.render(request, "login.html", next=wanted, problem=None)

    async def sign_in(self, request: Request) -> Response:
        refuse_foreign(request)
        form = await self._pages.form(request)
        wanted = local_path(form.get("next", ""))
        response = RedirectResponse(wanted, 303)
        try:
            self._pages.sessions.sign_in_by_key(request, response, form.get("key", "").strip())
        except Unauthenticated as error:
            audit(error.name or UNKNOWN, "sign_in", "unauthenticated")
            problem = f"You are not signed in: {error}."
            return self._pages.render(request, "login.html", 401, next=wanted, problem=problem)
        return response

    async def sign_out(self, request: Request) -> Response:
        request.state.session = None
        response = self._pages.render(request, "error.html", line="You are signed out.")
        self._pages.sessions.sign_out(response)
        return response


def local_path(value: str) -> str:
    """A path of the desk; another address becomes the desk's first page."""
    parts = urlsplit(value)
    is_local = not parts.scheme and not parts.netloc and value.startswith(f"{PATH}/") and "\\" not in value
    return value if is_local else f"{PATH}/"


def refuse_rebinding(request: Request) -> None:
    """Where nobody has to sign in, take requests to this machine's own names only: a page elsewhere could give its name
    this machine's address.

    Raises:
        PageError
    """
    host = request.url.hostname or ""
    try:
        is_own = ip_address(host).is_loopback
    except ValueError:
        is_own = host == "localhost"
    if not is_own:
        raise PageError(403, "Without keys, open the desk as http://localhost or by the address of this machine.")
