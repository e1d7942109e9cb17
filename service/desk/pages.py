"""What the pages of the desk share: templates, who may see a page, errors, headers, files."""

import gzip
import hashlib
import hmac
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.access.audit import audit
from service.access.caller import Role
from service.desk.session import PATH, Session, Sessions
from service.errors import FromAPage, ServiceError
from service.http.body import BodyReader
from service.http.fast_path import TEMPLATE, Endpoint
from service.http.problems import headers_of, kind_of
from service.logs import add_log_fields
from service.routing.router import deadline_in

FOLDER = Path(__file__).parent
FORM_BYTES = 65_536
FORM_SECONDS = 10.0
NAVIGATION = (
    ("/", "Queue"),
    ("/try", "Try a mail"),
    ("/quality", "Quality"),
    ("/promise", "Promise"),
    ("/switches", "Switches"),
)
"""Paths and titles; a page that is not there has no link."""
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = {
    "Content-Security-Policy": POLICY,
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


class PageError(Exception):
    """A page of one line instead of what was asked for. `line`: for the person, without content of a ticket."""

    def __init__(self, status: int, line: str) -> None:
        super().__init__(line)
        self.status = status
        self.line = line


class Pages:
    """`paths`: of all pages, set by `Desk`: what is not there gets no link and no place on another page."""

    def __init__(self, sessions: Sessions, bodies: BodyReader, version: str) -> None:
        self.sessions = sessions
        self.paths: frozenset[str] = frozenset()
        self._bodies = bodies
        self.files = StaticFiles(FOLDER / "static")
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.globals.update(static=self.files.url, version=version, has_page=lambda path: path in self.paths)

    def render(self, request: Request, template: str, status: int = 200, **values: Any) -> Response:
        """Every template has `session` (None: not signed in), `csrf`, `path` (below /desk), `version`, `navigation`,
        `static(name)` and `has_page(path)`."""
        session: Session | None = getattr(request.state, "session", None)
        content = self._templates.get_template(template).render(
            session=session,
            csrf="" if session is None else session.csrf,
            path=request.url.path.removeprefix(PATH) or "/",
            navigation=[each for each in NAVIGATION if each[0] in self.paths] if session is not None else [],
            **values,
        )
        return Response(content, status, media_type="text/html")

    def guarded(self, endpoint: Endpoint, role: Role = Role.REVIEW) -> Endpoint:
        """Wrap an endpoint: without a session a browser is sent to sign in, and a script gets 401. A POST needs the
        session's token, in the header `X-CSRF-Token` or, in a form of a page, as `csrf`."""

        async def page(request: Request) -> Response:
            session = self.sessions.of(request)
            if session is None:
                return self._not_signed_in(request)
            request.state.session = session
            if any("\0" in value for value in request.path_params.values()):  # PostgreSQL takes none
                raise PageError(404, "There is no such page.")
            add_log_fields(request.scope, key=session.name)
            if request.method == "POST":
                refuse_foreign(request)
                token = request.headers.get("x-csrf-token") or (await self.form(request)).get("csrf", "")
                if not hmac.compare_digest(token.encode(), session.csrf.encode()):
                    raise PageError(403, "This page belongs to another session: load it again.")
            if role not in session.roles:
                if role is Role.ADMIN:
                    audit(session.name, endpoint.__name__, "forbidden")
                raise PageError(403, f"This needs the role {role}, which {session.name} lacks.")
            return await endpoint(request)

        return page

    async def form(self, request: Request) -> Mapping[str, str]:
        """The fields of a small urlencoded form; of a name given twice, the last."""
        if not hasattr(request.state, "form"):
            kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
            if kind != "application/x-www-form-urlencoded":
                raise PageError(415, "This is not a form that the desk can read.")
            body = await self._bodies.read(request, FORM_BYTES, deadline_in(FORM_SECONDS))
            try:
                fields = parse_qsl(bytes(body).decode(), keep_blank_values=True, max_num_fields=200)
            except ValueError:
                raise PageError(400, "This form cannot be read.") from None
            if any("\0" in value for _, value in fields):
                raise PageError(400, "This form cannot be read.")
            request.state.form = dict(fields)
        form: Mapping[str, str] = request.state.form
        return form

    async def on_error(self, request: Request, error: Exception) -> Response:
        """An exception handler of the desk's application."""
        headers: Mapping[str, str] = {}
        if isinstance(error, PageError):
            status, line = error.status, error.line
        elif isinstance(error, ServiceError):
            kind = kind_of(error)
            status, line, headers = kind.status, f"{kind.title}: {error}.", headers_of(error)
            add_log_fields(request.scope, problem=kind.code)
        else:
            status = getattr(error, "status_code", 500)
            line = {404: "There is no such page.", 405: "This page does not take this method."}.get(
                status, f"An error of the service; its log has the cause under {request.state.request_id}."
            )
        template = "line.html" if is_script(request) else "error.html"
        response = self.render(request, template, status, line=line)
        for name, value in headers.items():
            if name != "WWW-Authenticate":  # a browser would ask for a password
                response.headers[name] = value
        return response

    def _not_signed_in(self, request: Request) -> Response:
        if is_script(request) or request.method != "GET":
            return self.render(request, "line.html", 401, line="Your session has ended: sign in again.")
        wanted = request.url.path + (f"?{request.url.query}" if request.url.query else "")
        return RedirectResponse(f"{PATH}/login?next={quote(wanted, safe='')}", 303)


def is_script(request: Request) -> bool:
    """Whether htmx or our script asks, for a part of a page."""
    return "hx-request" in request.headers


def local_path(value: str) -> str:
    """A path of the desk; another address becomes the desk's first page."""
    is_local = value.startswith(f"{PATH}/") and value.isascii() and value.isprintable() and "\\" not in value
    return value if is_local else f"{PATH}/"


def refuse_foreign(request: Request) -> None:
    """Refuse what a page of another site made the browser send.

    Raises:
        FromAPage
    """
    if request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        raise FromAPage


class DeskHeaders:
    """Adds the headers that every response of the desk has, and names its route for log and metrics."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[TEMPLATE] = PATH
        await self._app(scope, receive, partial(_send_with_headers, send))


async def _send_with_headers(send: Send, message: Message) -> None:
    if message["type"] == "http.response.start":
        headers = MutableHeaders(scope=message)
        for name, value in _HEADERS.items():
            headers.setdefault(name, value)
        headers.setdefault("Cache-Control", "no-store")
    await send(message)


class StaticFiles:
    """The files of the pages, under names with their digests, so that browsers keep them for ever."""

    def __init__(self, folder: Path) -> None:
        self._urls: dict[str, str] = {}
        self._files: dict[str, tuple[bytes, bytes, str]] = {}
        for path in sorted(folder.iterdir()):
            if path.suffix in _TYPES:
                content = path.read_bytes()
                name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:12]}{path.suffix}"
                self._urls[path.name] = f"{PATH}/static/{name}"
                self._files[name] = (content, gzip.compress(content, mtime=0), _TYPES[path.suffix])

    def url(self, name: str) -> str:
        return self._urls[name]

    async def endpoint(self, request: Request) -> Response:
        found = self._files.get(request.path_params["name"])
        if found is None:
            raise PageError(404, "There is no such file.")
        plain, packed, media_type = found
        headers = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
        if "gzip" not in request.headers.get("accept-encoding", ""):
            return Response(plain, headers=headers, media_type=media_type)
        return Response(packed, headers=headers | {"Content-Encoding": "gzip"}, media_type=media_type)
