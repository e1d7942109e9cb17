"""`/desk/try`: paste or drop a mail, or give subject and body, and see what becomes of it. Nothing is recorded."""

import asyncio
from collections.abc import AsyncGenerator

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from models.errors import MailError
from models.ticket import Ticket
from service.automation.in_force import InForce
from service.context import RequestContext
from service.desk.pages import PageError, Pages
from service.desk.try_mail.trial import try_mail
from service.http.body import BodyReader, Content
from service.routing.cpu_pool import CpuPool
from service.routing.router import Router, deadline_in
from service.settings import Settings

FORM_BYTES = 16_384
"""Of the form around the mail."""
CHUNK_BYTES = 65_536


class TryMail:
    def __init__(
        self,
        pages: Pages,
        router: Router,
        cpu_pool: CpuPool,
        bodies: BodyReader,
        in_force: InForce,
        settings: Settings,
    ) -> None:
        self._pages = pages
        self._router = router
        self._cpu_pool = cpu_pool
        self._bodies = bodies
        self._in_force = in_force
        self._settings = settings

    def routes(self) -> list[Route]:
        return [
            Route("/try", self._pages.guarded(self.show)),
            Route("/try", self._pages.guarded(self.run), methods=["POST"]),
        ]

    async def show(self, request: Request) -> Response:
        return self._pages.render(request, "try.html", trial=None)

    async def run(self, request: Request) -> Response:
        settings = self._settings
        deadline = deadline_in(settings.request_timeout_seconds)
        context = RequestContext(deadline, request.state.session.name)
        self._router.check(context)
        body = await self._bodies.read(request, settings.max_mail_bytes + FORM_BYTES, deadline)
        given = await self._given(request, body)
        lease = self._router.lease_engine()
        try:
            trial = await try_mail(
                given,
                lease.engine,
                self._cpu_pool,
                self._in_force,
                context,
                max_mail_bytes=settings.max_mail_bytes,
                trust_spam_headers=settings.trust_spam_headers,
            )
        except MailError as error:
            raise PageError(413, f"This mail is not read: {error}.") from None
        finally:
            lease.release()
        return self._pages.render(request, "try_steps.html", trial=trial)

    async def _given(self, request: Request, body: Content) -> bytes | Ticket:
        """The mail, or the ticket of subject and body."""
        parser = MultiPartParser(
            request.headers, _chunks(body), max_files=1, max_fields=8, max_part_size=self._settings.max_body_bytes
        )
        try:
            form = await parser.parse()
        except MultiPartException:
            raise PageError(
                400,
                "This upload cannot be read: give one mail, or subject and body. What is pasted may have at most "
                f"{self._settings.max_body_bytes:,} bytes; a file may be larger.",
            ) from None
        try:
            file, pasted = form.get("mail"), str(form.get("raw") or "")
            if isinstance(file, UploadFile) and (raw := await file.read()):
                return raw
            if pasted.strip():
                return pasted.encode(errors="replace")
            subject, text = str(form.get("subject") or ""), str(form.get("body") or "")
        finally:
            await form.close()
        if not subject.strip() and not text.strip():
            raise PageError(422, "Give a mail, or a subject or a body.")
        return Ticket(subject=subject, body=text, sender=str(form.get("sender") or ""))


async def _chunks(body: Content) -> AsyncGenerator[bytes, None]:
    """With a pause after each, in which other requests have their turn."""
    for start in range(0, len(body), CHUNK_BYTES):
        yield bytes(body[start : start + CHUNK_BYTES])
        await asyncio.sleep(0)
