"""A mail is tried step by step, over sockets; nothing of it is recorded."""

import html
import re
import time
from pathlib import Path

import pytest

from models.mail.parse import MAX_MAIL_BYTES
from tests.desk.operate.conftest import ADMIN
from tests.desk.operate.person import Person
from tests.desk.test_pages import ATTACKS
from tests.support.desk import visitor
from tests.support.process import Service, serving

MAIL = b"""\
From: Ann Smith <ann@example.com>
To: support@example.com
Subject: Re: Invoice wrong
In-Reply-To: <1@example.com>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary=b

--b
Content-Type: text/plain; charset=utf-8

I was charged twice.

-- 
Ann Smith
+49 30 123456

On Mon, 3 Mar 2025 at 10:10, Bob <bob@example.com> wrote:
> Dear <script>alert(1)</script>
--b
Content-Type: application/pdf
Content-Disposition: attachment; filename="invoice.pdf"

%PDF
--b--
"""


def text_of(page: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", page)).split())


def test_every_step_of_a_mail_is_shown(reviewer: Person) -> None:
    response = reviewer.try_mail(MAIL)
    assert response.status_code == 200
    shown = text_of(response.text)
    assert "from Ann Smith <ann@example.com>" in shown
    assert "application/pdf – invoice.pdf 4 not read" in shown
    assert "Cut: signature" in shown
    assert "Cut: introduces a quote" in shown
    assert "Cut: quoted" in shown
    assert "Invoice wrong I was charged twice. 4. Scored and decided" in shown
    assert re.search(r"department: (route|suggest|review)", shown)
    assert re.search(r"(billing|technical|sales|returns) \d+\.\d % \d+\.\d %", shown)
    assert "Not recorded" in shown
    assert "<script>" not in response.text


def test_trial_gives_what_the_api_gives_and_leaves_no_decision(desk: Service, reviewer: Person) -> None:
    before = desk.counts("decisions_total")
    shown = text_of(reviewer.try_mail(MAIL).text)
    assert desk.counts("decisions_total") == before
    with desk.client(headers=ADMIN.header) as client:
        headers = {"Content-Type": "message/rfc822"}
        answer = client.post("/v1/route", content=MAIL, headers=headers).json()
    assert f"department: {answer['outcome']}" in shown
    for candidate in answer["candidates"]:
        assert f"{candidate['department']} {candidate['confidence']:.1%}".replace("%", " %") in shown


def test_subject_and_body_or_a_pasted_source_do_as_well(reviewer: Person) -> None:
    assert "Where is it?" in text_of(reviewer.try_mail(subject="Parcel", body="Where is it?").text)
    assert "Cut: signature" in text_of(reviewer.try_mail(raw=MAIL.decode()).text)


def test_automatic_mail_is_not_asked_about(reviewer: Person) -> None:
    shown = text_of(reviewer.try_mail(b"From: a@b.c\nAuto-Submitted: auto-replied\nSubject: x\n\nAway.").text)
    assert "The model was not asked: a program sent this." in shown
    assert "automatic" in shown


def test_switch_that_decides_is_named(reviewer: Person, admin: Person) -> None:
    switch = {"field": "department", "kind": "sender_domain", "name": "example.com"}
    admin.send("/switches", **switch, mode="off", why="their own team reads these")
    shown = text_of(reviewer.try_mail(MAIL).text)
    admin.send("/switches", **switch, mode="route", why="back")
    assert "Switch off for sender domain example.com by adam: their own team reads these" in shown
    assert "Switch off" not in text_of(reviewer.try_mail(MAIL).text)


@pytest.mark.parametrize(
    "raw",
    [
        b"", b"\0" * 5000, b"From: a\n" * 5000, b"Content-Type: multipart/mixed; boundary=b\n\n" + b"--b\n" * 50_000,
        b"Subject: x\n\n" + b"From: a@b\nFoo: x\n" * 20_000, b"Content-Type: text/html\n\n" + b"<div>" * 100_000,
        b"Subject: =?utf-8?b?" + b"A" * 100_000 + b"?=\n\nx",
    ],
    ids=["empty", "NUL", "headers", "boundaries", "labels", "divs", "encoded"],
)  # fmt: skip
def test_hostile_mail_ends_in_time_with_a_page(reviewer: Person, raw: bytes) -> None:
    started = time.monotonic()
    response = reviewer.try_mail(raw)
    assert response.status_code == (422 if not raw else 200)
    assert time.monotonic() - started < 10


def test_large_mail_is_read_without_its_attachments(reviewer: Person) -> None:
    attachment = b"A" * 76 + b"\n"
    raw = MAIL.replace(b"%PDF\n", attachment * (3 * MAX_MAIL_BYTES // len(attachment)))
    response = reviewer.try_mail(raw)
    assert response.status_code == 200
    assert "attachments of a large mail are dropped" in response.text


def test_upload_that_is_none_is_refused_in_one_line(reviewer: Person) -> None:
    headers = {"HX-Request": "true"}
    for content, kind in ((b"x", "multipart/form-data"), (b"x", "multipart/form-data; boundary=b"), (b"{}", "a/b")):
        answer = reviewer.client.post("/try", content=content, headers={**headers, "Content-Type": kind})
        assert answer.status_code in (400, 422)
        assert len(answer.text) < 300


def test_mail_beyond_the_limit_is_413(tiny_bundle_path: Path, tmp_path: Path) -> None:
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--max-mail-bytes", "20000")
    with serving(tiny_bundle_path, *flags) as service, visitor(service) as client:
        person = Person(client)
        for size in (21_000, 100_000):
            assert person.try_mail(b"Subject: x\n\n" + b"a" * size).status_code == 413
        assert person.try_mail(b"Subject: x\n\n" + b"a" * 19_000).status_code == 200


@pytest.mark.parametrize("attack", ATTACKS)
def test_markup_of_a_mail_is_text_in_every_step(reviewer: Person, attack: str) -> None:
    line = attack.replace("\n", " ")
    raw = (
        f"From: {line} <a@b.c>\nTo: {line}\nSubject: {line}\nMessage-ID: {line}\nReferences: {line}\n"
        f'Content-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: text/plain; charset="{line}"\n\n{attack}\n'
        "-- \nAnn Smith\n+49 30 123456\n"
        f'--b\nContent-Type: a/b\nContent-Disposition: attachment; filename="{line}"\n\nx\n'
    )
    for page in (reviewer.try_mail(raw.encode()), reviewer.try_mail(subject=attack, body=attack, sender=attack)):
        assert page.status_code == 200
        assert not re.search(r"<script|<img|<svg|<a hx|onfocus='|onerror=\"", page.text)
        assert attack in html.unescape(page.text)
