"""The management port: probes, metrics, documentation, status, reload. No ticket ever comes in here."""

import functools
from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from prometheus_client import CONTENT_TYPE_LATEST
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from service.access.audit import audit
from service.access.caller import Role
from service.admin.service import AdminService
from service.api.openapi import Document
from service.api.parse import parse_reload
from service.errors import NotReady, ServiceError
from service.http.authorize import Authorizer, caller_of
from service.http.body import BodyReader
from service.http.browsers import page_policy, refuse_pages
from service.http.headers import JSON, media_type
from service.http.problems import kind_of
from service.lifecycle import WHY_NOT_READY
from service.routing.router import deadline_in

ASSETS = "/docs/assets"
ADMIN_BODY_BYTES = 10_000
ADMIN_BODY_SECONDS = 10.0


class Assets(StaticFiles):
    """Swagger UI's files out of a package: the page works where no content network can be reached.

    Always whole: a `Range` that is not well-formed would be answered in plain text.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


class Management:
    """`document` gives the public API's OpenAPI document."""

    def __init__(
        self, document: Callable[[], Document], admin: AdminService, authorizer: Authorizer, bodies: BodyReader
    ) -> None:
        self._document = functools.cache(document)
        self._admin = admin
        self._authorizer = authorizer
        self._bodies = bodies

    def add_to(self, app: FastAPI) -> None:
        for path, endpoint in (
            ("/metrics", self.metrics),
            ("/livez", self.live),
            ("/readyz", self.ready),
            ("/startupz", self.started),
            ("/docs", self.docs),
            ("/openapi.json", self.openapi),
            ("/admin/status", self._authorizer.needs(Role.ADMIN, self.status)),
        ):
            app.add_api_route(path, endpoint, methods=["GET", "HEAD"], response_model=None)
        reload = self._authorizer.needs(Role.ADMIN, self.reload)
        app.add_api_route("/admin/reload", reload, methods=["POST"], response_model=None)
        app.mount(ASSETS, Assets(packages=[("fastapi_offline", "static")]))

    async def metrics(self) -> Response:
        return Response(self._admin.metrics(), media_type=CONTENT_TYPE_LATEST)

    async def live(self) -> Response:
        """The loop answers, and that is all it says: load or a missing part is no reason to be killed."""
        return JSONResponse({"status": "alive"})

    async def ready(self) -> Response:
        """The bundle is loaded, its golden rows came out right, and the process is not stopping. Load doesn't count."""
        why = self._admin.lifecycle.why_not_ready
        if why is not None:
            raise NotReady(why)
        return JSONResponse({"status": "ready"})

    async def started(self) -> Response:
        if self._admin.lifecycle.phase == "starting":
            raise NotReady(WHY_NOT_READY["starting"])
        return JSONResponse({"status": "started"})

    async def docs(self) -> Response:
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Ticket router",
            # The API is on the other port, where a page from this one may not call it: a button would only fail.
            swagger_ui_parameters={"supportedSubmitMethods": []},
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
        )
        page.headers.update(page_policy(bytes(page.body)))
        return page

    async def openapi(self) -> Response:
        return JSONResponse(self._document())

    async def status(self, _request: Request) -> Response:
        return _json(self._admin.status())

    async def reload(self, request: Request) -> Response:
        """Verify, load and replay a bundle, then swap. An empty body means the configured one, as it is now."""
        who = caller_of(request.scope).name
        try:
            version = await self._wanted(request)
        except ServiceError as error:
            audit(who, "reload", kind_of(error).code)
            raise
        return _json(await self._admin.reload(version, who))

    async def _wanted(self, request: Request) -> str | None:
        """The version asked for; None: the configured bundle."""
        refuse_pages(request)
        body = await self._bodies.read(request, ADMIN_BODY_BYTES, deadline_in(ADMIN_BODY_SECONDS))
        if not body:
            return None
        media_type(request, JSON)
        return parse_reload(body).bundle


def _json(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type=JSON)
