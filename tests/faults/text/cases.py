"""Text cases: hostile mails, texts and HTML as requests of up to a megabyte.

The inputs are the tables of `tests/unit/models/*/hostile_*.py`. They suit any server with a POST /v1/route for JSON;
mails go to `mail_path`.
"""

import json

from tests.faults.clients.wire import Case, Result
from tests.faults.http.cases import JSON, head
from tests.unit.models.mail.hostile_mails import MAILS
from tests.unit.models.text.hostile_texts import HTML, TEXTS

MEGABYTE = 1_000_000
MAIL = "message/rfc822"
SECONDS = 5.0
"""For a response. The promised limit is 250 ms of CPU."""

ANSWERED = frozenset[Result]({200, 413, 422})
MALFORMED = frozenset[Result]({200, 400, 422})
_NO_JSON = ("lone surrogates",)


def text_cases(mail_path: str = "/v1/route") -> list[Case]:
    """Every case."""
    texts = [_text(f"text: {name}", build(MEGABYTE), "text/plain") for name, build in TEXTS.items()]
    pages = [_text(f"HTML: {name}", build(MEGABYTE), "text/html") for name, build in HTML.items()]
    mails = [_case(f"mail: {name}", mail_path, MAIL, build(MEGABYTE)[:MEGABYTE]) for name, build in MAILS.items()]
    return [*_small(mail_path), *texts, *pages, *mails]


def _small(mail_path: str) -> list[Case]:
    return [
        _text("text: empty", "", "text/plain"),
        _text("text: blank", " \u200b\n" * 9, "text/plain"),
        _text("HTML: empty", "<html></html>", "text/html"),
        _case("mail: empty", mail_path, MAIL, b"\n"),
        _case("mail: long words", mail_path, MAIL, b"Subject: x\n\n" + b"x" * 2 * MEGABYTE, frozenset({200})),
    ]


def _text(name: str, text: str, content_type: str) -> Case:
    """As much of the text as fits a megabyte of JSON."""
    while len(_json(text, content_type)) > MEGABYTE:
        text = text[: len(text) * 9 // 10 // 2 * 2]  # keeps surrogate pairs together
    allowed = MALFORMED if name.endswith(_NO_JSON) else ANSWERED
    return _case(name, "/v1/route", JSON, _json(text, content_type), allowed)


def _json(text: str, content_type: str) -> bytes:
    content = {"body": text} if content_type == "text/plain" else {"body": text, "content_type": content_type}
    return json.dumps(content, ensure_ascii=any("\ud800" <= character <= "\udfff" for character in text[:9])).encode()


def _case(name: str, path: str, kind: str, body: bytes, allowed: frozenset[Result] = ANSWERED) -> Case:
    request = head(f"Content-Length: {len(body)}", request=f"POST {path} HTTP/1.1", kind=kind) + body
    return Case(name, (request,), allowed, SECONDS)
