"""Parses mails and prepares texts within a CPU budget. Exceeding it is no error: the ticket goes to review.

`models.errors.TooComplex` is handled only here: it sets `Ticket.unread`, and `verdict_without_model` returns a review.
Used by `api/routes.py` and `router.py`.
"""

from dataclasses import replace

from models.cpu_budget import MAIL_SECONDS, TEXT_SECONDS
from models.errors import TooComplex
from models.mail.parse import parse_email
from models.text.prepare import PreparedText, prepare
from models.ticket import Ticket
from service.context import RequestContext
from service.routing.cpu_pool import CpuPool

_NO_TEXT = PreparedText("", frozenset())


async def read_mail(cpu_pool: CpuPool, raw: bytes, context: RequestContext) -> Ticket:
    """The ticket of a mail, `unread` if parsing takes too long.

    Raises:
        MailError: the mail is larger than accepted.
        Overloaded, DeadlinePassed: as `CpuPool.run`.
    """
    try:
        return await cpu_pool.run_within(MAIL_SECONDS, len(raw), lambda budget: parse_email(raw, budget), context)
    except TooComplex:
        return Ticket(unread=True)


async def read_text(cpu_pool: CpuPool, ticket: Ticket, context: RequestContext) -> tuple[Ticket, PreparedText]:
    """The ticket and its text; no text, and the ticket `unread`, if that takes too long.

    Raises:
        Overloaded, DeadlinePassed: as `CpuPool.run`.
    """
    if ticket.unread:
        return ticket, _NO_TEXT
    size = len(ticket.subject) + len(ticket.body)
    try:
        return ticket, await cpu_pool.run_within(TEXT_SECONDS, size, lambda budget: prepare(ticket, budget), context)
    except TooComplex:
        return replace(ticket, unread=True), _NO_TEXT
