"""The fuzz targets: each takes bytes, and raises an exception for a finding.

A finding is an undocumented exception, a wrong result, or CPU beyond the budget.
"""

import contextlib
import time
from collections.abc import Callable, Mapping

from models.cpu_budget import MAIL_SECONDS, TEXT_SECONDS, Budget
from models.errors import MailError, TooComplex
from models.mail.parse import MAX_ATTACHMENTS, MAX_NAME_CHARACTERS, parse_email
from models.text.html import html_to_text
from models.text.prepare import MAX_CHARACTERS, prepare
from models.ticket import Ticket
from service.api.convert import ticket_of, tickets_of
from service.api.parse import BatchParser, parse_reload, parse_route
from service.errors import FieldError, InvalidRequest, ServiceError
from tests.fuzz.http import http

Target = Callable[[bytes], None]

SECONDS = 0.5
"""CPU for one input: both budgets, and as much again for instrumented code between two budget checks."""
_BATCH = BatchParser(8)


class Finding(AssertionError):
    """A wrong result for an input."""


def _require(holds: bool, promise: str) -> None:
    if not holds:
        raise Finding(promise)


def _within_budget(target: Target) -> Target:
    def limited(data: bytes) -> None:
        start = time.thread_time()
        target(data)
        _require(time.thread_time() - start <= SECONDS, "CPU stays within the budget")

    return limited


def mail(data: bytes) -> None:
    """Any bytes give a ticket, and the ticket gives a text."""
    with contextlib.suppress(MailError, TooComplex):
        ticket = parse_email(data, Budget(MAIL_SECONDS))
        _require(len(ticket.attachments) <= MAX_ATTACHMENTS, "attachments are capped")
        _require(all(len(one.name) <= MAX_NAME_CHARACTERS for one in ticket.attachments), "names are capped")
        _prepare(ticket)


def text(data: bytes) -> None:
    """Any characters, including lone surrogates, give a text that UTF-8 can encode. The first line is the subject."""
    subject, _, body = _characters(data).partition("\n")
    _prepare(Ticket(subject=subject, body=body))


def html(data: bytes) -> None:
    """Any markup gives a text, alone and as a ticket."""
    source = _characters(data)
    with contextlib.suppress(TooComplex):
        found = html_to_text(source, budget=Budget(TEXT_SECONDS))
        _require(
            len(found) <= 10 * len(source) + 100, "text is bounded by its markup: <hr> becomes a line of 32 hyphens"
        )
    _prepare(Ticket(body=source, content_type="text/html"))


def body(data: bytes) -> None:
    """Any body gives a request or a refusal that does not repeat the body."""
    for parse in (lambda raw: ticket_of(parse_route(raw)), lambda raw: tickets_of(_BATCH.parse(raw)), parse_reload):
        try:
            parse(data)
        except InvalidRequest as refused:
            _require(all(map(_is_ours, refused.errors)), "an error names our own fields")
        except ServiceError:
            pass


def _is_ours(error: FieldError) -> bool:
    return error.field.isascii() and error.code.replace("_", "").isalnum() and error.message.isprintable()


def _prepare(ticket: Ticket) -> None:
    with contextlib.suppress(TooComplex):
        prepared = prepare(ticket, Budget(TEXT_SECONDS))
        _require(len(prepared.text) <= MAX_CHARACTERS, "text is capped")
        _require(prepared.text == prepared.text.strip(), "text is stripped")
        prepared.text.encode()


def _characters(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


TARGETS: Mapping[str, Target] = {
    "mail": _within_budget(mail),
    "text": _within_budget(text),
    "html": _within_budget(html),
    "json": _within_budget(body),
    "http": http,
}
