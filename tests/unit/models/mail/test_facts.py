# ruff: noqa: E501 -- one case, one line: the table reads better
"""`mail_facts`: what the headers say about the sender."""

import pytest

from models.mail.parse import mail_facts, parse_email
from models.ticket import MailFact

AUTOMATIC, VACATION, BOUNCE, LOOP, LIST = (
    MailFact.AUTOMATIC,
    MailFact.VACATION,
    MailFact.BOUNCE,
    MailFact.LOOP,
    MailFact.LIST,
)
FACTS: list[tuple[dict[str, str], set[MailFact]]] = [
    ({}, set()),
    ({"Auto-Submitted": "no"}, set()),
    ({"AUTO-SUBMITTED": "auto-generated"}, {AUTOMATIC}),
    ({"auto-submitted": "auto-replied; owner=x"}, {AUTOMATIC, VACATION}),
    ({"Precedence": "list"}, {LIST}),
    ({"Precedence": "Bulk"}, {LIST}),
    ({"Precedence": "junk"}, {AUTOMATIC}),
    ({"X-Precedence": "auto_reply"}, {AUTOMATIC, VACATION}),
    ({"List-Id": "<a.b.c>"}, {LIST}),
    ({"X-Autoreply": "yes"}, {AUTOMATIC, VACATION}),
    ({"X-Autoreply": "no"}, set()),
    ({"X-Auto-Response-Suppress": "All"}, set()),
    ({"Subject": "Out of office"}, set()),
    ({"Subject": "Out of Office: Your invoice"}, {AUTOMATIC, VACATION}),
    ({"Subject": "Automatic reply: Your invoice"}, {AUTOMATIC, VACATION}),
    ({"Subject": "=?utf-8?q?R=C3=A9ponse_automatique=C2=A0:_x?="}, {AUTOMATIC, VACATION}),
    ({"Subject": "Re: Automatic reply: Your invoice"}, set()),
    ({"Subject": "Automatic reply does not work"}, set()),
    ({"Subject": "Automatic reply: x", "Content-Type": "multipart/report; report-type=delivery-status"}, {BOUNCE}),
    ({"Subject": "=?utf-8?q?R=C3=A9ponse_automatique_:_x?=", "Auto-Submitted": "auto-generated"}, {AUTOMATIC, VACATION}),
    ({"Return-Path": "<>"}, {BOUNCE}),
    ({"Return-Path": "<>", "Auto-Submitted": "auto-replied"}, {AUTOMATIC, VACATION}),
    ({"Return-Path": "<ann@home.example>"}, set()),
    ({"X-Failed-Recipients": "x@y", "Auto-Submitted": "auto-replied"}, {AUTOMATIC, BOUNCE}),
    ({"Content-Type": 'multipart/report; report-type="delivery-status"; boundary=x'}, {BOUNCE}),
    ({"Content-Type": "multipart/report; report-type=disposition-notification"}, set()),
    ({"X-Loop": "help@shop.example"}, {LOOP}),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "facts"), FACTS)
def test_headers_tell_facts(headers: dict[str, str], facts: set[MailFact]) -> None:
    """Each header proves what it proves and nothing more, in any case, as mapping or as pairs."""
    found = mail_facts(headers, sender="ann@home.example", recipients=("help@shop.example",))
    assert found == facts
    assert mail_facts(list(headers.items()), sender="", recipients=()) == facts


def test_the_sender_tells_bounces_and_loops() -> None:
    """Daemons bounce; a sender who is a recipient is our own mail come back."""
    assert mail_facts({}, sender="MAILER-DAEMON@x.example", recipients=()) == {BOUNCE}
    assert mail_facts({}, sender="Help <HELP@shop.example>", recipients=["help@shop.example"]) == {LOOP}
    assert mail_facts({}, sender="", recipients=[""]) == set()


def test_a_copy_to_oneself_is_no_loop() -> None:
    """A customer who puts their own address in Cc is a customer; the same address in To is our mail come back."""
    mail = b"From: ann@example.com\nTo: %s\nCc: %s\nSubject: Invoice\n\nPlease send it again.\n"
    assert MailFact.LOOP not in parse_email(mail % (b"help@example.org", b"ann@example.com")).facts
    assert MailFact.LOOP in parse_email(mail % (b"ann@example.com", b"help@example.org")).facts
