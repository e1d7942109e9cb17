"""`Desk`: the pages there are, and their application."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from models.build import build
from service.access.access import Access
from service.admin.service import AdminService
from service.automation.automation import Automation
from service.desk.labels import descriptions
from service.desk.login import Login
from service.desk.pages import DeskHeaders, PageError, Pages
from service.desk.quality.pages import Quality
from service.desk.review.alike import AlikePages
from service.desk.review.review import Review
from service.desk.review.why import Why
from service.desk.session import PATH, DeskError, Sessions
from service.desk.switches.pages import Switches
from service.desk.try_mail.page import TryMail
from service.errors import ServiceError
from service.helpdesks.link import Link
from service.http.body import BodyReader
from service.http.fast_path import application
from service.records.records import Records
from service.routing.cpu_pool import CpuPool
from service.routing.router import Router
from service.settings import Settings
from service.similar.similar import Similar

ROUTE = PATH
"""The label of all its requests in the metrics."""
METHODS = ("GET", "POST")
STATUSES = (200, 204, 303, 400, 401, 403, 404, 405, 408, 409, 413, 415, 422, 429, 500, 503, 504)
"""What its pages answer with."""


class Desk:
    """`links`: the connected helpdesks by name.

    Raises:
        DeskError: records are off, the labels file has faults, or the desk would be open beyond loopback without
            sign-in.
    """

    def __init__(
        self,
        settings: Settings,
        access: Access,
        bodies: BodyReader,
        cpu_pool: CpuPool,
        router: Router,
        records: Records | None,
        automation: Automation | None,
        admin: AdminService,
        links: Mapping[str, Link],
    ) -> None:
        if records is None or automation is None:
            raise DeskError("--desk needs a record: --records is off")
        by_key, by_oidc = settings.keys_file is not None, settings.desk_oidc_issuer is not None
        if not by_key and not by_oidc and not _is_loopback(settings.host):
            raise DeskError(
                f"--desk needs --keys-file or --desk-oidc-issuer while the service listens on {settings.host}"
            )
        self._settings = settings
        self.sessions = Sessions(access, with_oidc=by_oidc)
        self.pages = Pages(self.sessions, bodies, build().version)
        self.similar = Similar(records, router, settings)
        self._oidc = None
        if by_oidc:
            from service.desk.oidc import Oidc  # here: Authlib takes 0.3 s to import

            self._oidc = Oidc(settings, self.pages)
        self._review = Review(
            self.pages,
            records,
            router,
            links,
            descriptions(settings.desk_labels_file),
            texts_kept=settings.records_text,
        )
        self._quality = Quality(self.pages, router, records)
        login = Login(self.pages, by_key=by_key, by_oidc=by_oidc)
        pages: list[Any] = [
            login,
            self._review,
            Why(self.pages, records, router),
            AlikePages(self.pages, self.similar, records),
            TryMail(self.pages, router, cpu_pool, bodies, automation.in_force, settings),
            self._quality,
            Switches(self.pages, router, records, automation, admin, links),
            *([self._oidc] if self._oidc is not None else []),
        ]
        routes = [route for page in pages for route in page.routes()]
        routes.append(Route("/static/{name}", self.pages.files.endpoint))
        self.pages.paths = frozenset(route.path for route in routes)
        self._app = Starlette(
            routes=routes,
            middleware=[Middleware(DeskHeaders)],
            exception_handlers=dict.fromkeys((PageError, ServiceError, HTTPException, Exception), self.pages.on_error),
        )

    def add_to(self, app: FastAPI) -> None:
        app.router.routes.append(Route(PATH, DeskHeaders(application(_to_slash))))
        app.mount(PATH, self._app)

    async def start(self) -> None:
        """
        Raises:
            DeskError: a secret cannot be read.
        """
        self.sessions.open(self._settings)
        if self._oidc is not None:
            self._oidc.open()
        self._review.start()
        await self.similar.start()

    async def stop(self) -> None:
        """No effect if it was not started."""
        await self.similar.stop()
        await self._review.stop()
        await self._quality.stop()


async def _to_slash(_request: Request) -> Response:
    return RedirectResponse(f"{PATH}/", 303)


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
