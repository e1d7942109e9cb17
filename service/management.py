"""The management port: probes, metrics, documentation, status. No ticket ever comes in here."""

import functools
from collections.abc import Callable

from fastapi import FastAPI
from fastapi.openapi.docs import get_swagger_ui_html
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response
from starlette.staticfiles import StaticFiles

from service.api.documents import Document
from service.api.render import serving_out
from service.api.schemas import StatusOut
from service.errors import NotReady
from service.lifecycle import Lifecycle, Phase
from service.metrics import Metrics
from service.router import Router

ASSETS = "/docs/assets"
WHY_NOT_READY: dict[Phase, str] = {
    "starting": "the bundle is still being loaded and checked",
    "draining": "the service is stopping",
}


class Management:
    """The routes over what they report on. `document` gives the public API's OpenAPI document."""

    def __init__(
        self, document: Callable[[], Document], router: Router, metrics: Metrics, lifecycle: Lifecycle
    ) -> None:
        self._document = functools.cache(document)
        self._router = router
        self._metrics = metrics
        self._lifecycle = lifecycle

    def add_to(self, app: FastAPI) -> None:
        for path, endpoint in (
            ("/metrics", self.metrics),
            ("/livez", self.live),
            ("/readyz", self.ready),
            ("/startupz", self.started),
            ("/docs", self.docs),
            ("/openapi.json", self.openapi),
            ("/admin/status", self.status),
        ):
            app.add_api_route(path, endpoint, methods=["GET", "HEAD"], response_model=None)
        # Swagger UI's files out of a package: the page works where no content network can be reached.
        app.mount(ASSETS, StaticFiles(packages=[("fastapi_offline", "static")]))

    async def metrics(self) -> Response:
        return Response(generate_latest(self._metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def live(self) -> Response:
        """The loop answers, and that is all it says: load or a missing part is no reason to be killed."""
        return JSONResponse({"status": "alive"})

    async def ready(self) -> Response:
        """The bundle is loaded, its golden rows came out right, and the process is not stopping. Load doesn't count."""
        phase = self._lifecycle.phase
        if phase != "ready":
            raise NotReady(WHY_NOT_READY[phase])
        return JSONResponse({"status": "ready"})

    async def started(self) -> Response:
        if self._lifecycle.phase == "starting":
            raise NotReady(WHY_NOT_READY["starting"])
        return JSONResponse({"status": "started"})

    async def docs(self) -> Response:
        return get_swagger_ui_html(
            openapi_url="openapi.json",
            title="Ticket router",
            # The API is on the other port, where a page from this one may not call it: a button would only fail.
            swagger_ui_parameters={"supportedSubmitMethods": []},
            swagger_js_url=f"{ASSETS}/swagger-ui-bundle.js",
            swagger_css_url=f"{ASSETS}/swagger-ui.css",
            swagger_favicon_url=f"{ASSETS}/favicon.png",
        )

    async def openapi(self) -> Response:
        return JSONResponse(self._document())

    async def status(self) -> Response:
        router = self._router
        status = StatusOut(
            phase=self._lifecycle.phase,
            uptime_seconds=round(self._lifecycle.uptime_seconds, 3),
            serving=serving_out(router.engine) if router.has_engine else None,
        )
        return Response(status.model_dump_json(), media_type="application/json")
