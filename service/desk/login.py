"""Signing in and out."""

from ipaddress import ip_address

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from service.access.audit import UNKNOWN, audit
from service.desk.pages import PageError, Pages, local_path, refuse_foreign
from service.errors import Unauthenticated


class Login:
    """`by_key`, `by_oidc`: how people may sign in."""

    def __init__(self, pages: Pages, *, by_key: bool, by_oidc: bool) -> None:
        self._pages = pages
        self._ways = {"by_key": by_key, "by_oidc": by_oidc}

    def routes(self) -> list[Route]:
        return [
            Route("/login", self.show),
            Route("/login", self.sign_in, methods=["POST"]),
            Route("/signed-in", self._pages.guarded(self.signed_in)),
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
        return self._pages.render(request, "login.html", next=wanted, problem=None, **self._ways)

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
            return self._pages.render(request, "login.html", 401, next=wanted, problem=problem, **self._ways)
        return response

    async def signed_in(self, request: Request) -> Response:
        """After signing in for another page."""
        return self._pages.render(request, "signed_in.html", next=None)

    async def sign_out(self, request: Request) -> Response:
        request.state.session = None
        response = self._pages.render(request, "error.html", line="You are signed out.")
        self._pages.sessions.sign_out(response)
        return response


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
