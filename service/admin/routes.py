"""The routes of the management port: probes, metrics, API documentation, status, reload, switches of automation. No
ticket route."""

import functools
from collections.abc import Callable

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from pydantic import BaseModel
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Receive, Scope, Send

from service.access.audit import audit
from service.access.caller import Role
from service.admin.service import AdminService
from service.api.openapi import Document
from service.api.parse import parse_automation, parse_reload
from service.errors import NotReady, ServiceError
from service.http.authorize import Authorizer, caller_of
from service.http.body import BodyReader
from service.http.browsers import page_policy, refuse_browser_request
from service.http.headers import JSON, media_type
from service.http.problems import kind_of
from service.lifecycle import NOT_READY_REASONS
from service.routing.router import deadline_in

ASSETS = "/docs/assets"
ADMIN_BODY_BYTES = 10_000
ADMIN_BODY_SECONDS = 10.0


class Assets(StaticFiles):
    """The files of Swagger UI from a package, so that the page works without access to a CDN.

    `Range` headers are ignored: Starlette answers a malformed one in plain text.
    """

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(name, value) for name, value in scope["headers"] if name != b"range"]
        await super().__call__({**scope, "headers": headers}, receive, send)


class AdminRoutes:
    """`document` returns the OpenAPI document of the public API."""

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
            ("/admin/status", self._authorizer.require(Role.ADMIN, self.status)),
        ):
            app.add_api_route(path, endpoint, methods=["GET", "HEAD"], response_model=None)
        reload = self._authorizer.require(Role.ADMIN, self.reload)
        app.add_api_route("/admin/reload", reload, methods=["POST"], response_model=None)
        automation = self._authorizer.require(Role.ADMIN, self.automation)
        app.add_api_route("/admin/automation", automation, methods=["POST"], response_model=None)
        app.mount(ASSETS, Assets(packages=[("fastapi_offline", "static")]))

    async def metrics(self, request: Request) -> Response:
        content, media_type = self._admin.metrics(request.headers.get("accept", ""))
        return Response(content, media_type=media_type)

    async def live(self) -> Response:
        """The event loop responds. Load or a missing model must not restart the process, so they are not checked."""
        return JSONResponse({"status": "alive"})

    async def ready(self) -> Response:
        """The bundle is loaded, its golden rows were reproduced, and the process is not stopping. Load is not
        checked."""
        reason = self._admin.lifecycle.not_ready_reason
        if reason is not None:
            raise NotReady(reason)
        return JSONResponse({"status": "ready"})

    async def started(self) -> Response:
        if self._admin.lifecycle.phase == "starting":
            raise NotReady(NOT_READY_REASONS["starting"])
        return JSONResponse({"status": "started"})

    async def docs(self) -> Response:
        page = get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Ticket router",
            # No "Try it out": the API is on the other port, which a page from this port may not call.
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
        return _json_response(self._admin.status())

    async def reload(self, request: Request) -> Response:
        """Verify, load and replay a bundle, then swap. An empty body means the configured bundle in its current
        state."""
        caller = caller_of(request.scope).name
        version = None
        try:
            refuse_browser_request(request)
            body = await self._bodies.read(request, ADMIN_BODY_BYTES, deadline_in(ADMIN_BODY_SECONDS))
            if body:
                media_type(request.scope["headers"], JSON)
                version = parse_reload(body).bundle
        except ServiceError as error:
            audit(caller, "reload", kind_of(error).code)
            raise
        return _json_response(await self._admin.reload(version, caller))

    async def automation(self, request: Request) -> Response:
        """Switch the automation of a label, a slice or a field off, to suggestions, or back."""
        caller = caller_of(request.scope).name
        try:
            refuse_browser_request(request)
            media_type(request.scope["headers"], JSON)
            body = await self._bodies.read(request, ADMIN_BODY_BYTES, deadline_in(ADMIN_BODY_SECONDS))
            switch = await self._admin.set_automation(parse_automation(body), caller)
        except ServiceError as error:
            audit(caller, "automation", kind_of(error).code)
            raise
        return _json_response(switch)


def _json_response(model: BaseModel) -> Response:
    return Response(model.model_dump_json(), media_type=JSON)
