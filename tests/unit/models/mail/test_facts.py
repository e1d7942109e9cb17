# ruff: noqa: E501 -- one case, one line: the table reads better
"""`mail_facts`: what the headers say about the sender."""

import pytest

from models.mail.parse import mail_facts, parse_email
from models.ticket import MailFact

AUTOMATIC, VACATION, BOUNCE, LOOP, SPAM, LIST = (
    MailFact.AUTOMATIC,
    MailFact.VACATION,
    MailFact.BOUNCE,
    MailFact.LOOP,
    MailFact.SPAM,
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
    ({"Content-Type": "multipart/report; report-type=disposition-notification"}, {AUTOMATIC}),
    ({"Content-Type": "multipart/report; report-type=feedback-report"}, {AUTOMATIC}),
    ({"Content-Type": "multipart/report; boundary=x"}, {BOUNCE}),
    ({"X-Apple-Action": "VACATION"}, {AUTOMATIC, VACATION}),
    ({"X-MS-Exchange-Inbox-Rules-Loop": "ann@home.example", "X-Auto-Response-Suppress": "All"}, {AUTOMATIC, VACATION}),
    ({"X-MS-Exchange-Inbox-Rules-Loop": "ann@home.example"}, set()),
    ({"Subject": "Auto reply: Your invoice"}, {AUTOMATIC, VACATION}),
    ({"Subject": "AUTO: Ann Lee ist nicht im Büro (zurück am 04.03.2025)"}, {AUTOMATIC, VACATION}),
    ({"Subject": "Auto: Schaden gemeldet"}, set()),
    ({"Subject": "Out of the office: Your invoice"}, {AUTOMATIC, VACATION}),
    ({"From": "MAILER-DAEMON (Mail Delivery System)"}, {BOUNCE}),
    ({"From": "Mail Delivery Subsystem <>"}, {BOUNCE}),
    ({"From": "<>"}, {BOUNCE}),
    ({"From": '"Courier mail server at mx.example" <@>'}, {BOUNCE}),
    ({"From": "Postmaster"}, {BOUNCE}),
    ({"From": "Mailer Daemonson <mailer@home.example>"}, set()),
    ({"X-MS-Embedded-Report": ""}, {BOUNCE}),
    ({"X-Amz-SNS-Message-Id": "4711"}, {AUTOMATIC}),
    ({"X-Apple-Unsubscribe": "true"}, {AUTOMATIC}),
    ({"X-Spam-Flag": "YES"}, {SPAM}),
    ({"X-Spam-Status": "Yes, score=9.1 required=5.0"}, {SPAM}),
    ({"X-Spam-Flag": "NO", "X-Spam-Status": "No, score=-1.0"}, set()),
    ({"X-Loop": "help@shop.example"}, {LOOP}),
]  # fmt: skip


@pytest.mark.parametrize(("headers", "facts"), FACTS)
def test_headers_give_mail_facts(headers: dict[str, str], facts: set[MailFact]) -> None:
    """Each header gives exactly its facts; header names in any case; a mapping or pairs."""
    found = mail_facts(headers, sender="ann@home.example", recipients=("help@shop.example",))
    assert found == facts
    assert mail_facts(list(headers.items()), sender="", recipients=()) == facts


def test_the_sender_address_marks_bounces_and_loops() -> None:
    """A daemon's address is a bounce; a sender that is also the only recipient is a loop."""
    assert mail_facts({}, sender="MAILER-DAEMON@x.example", recipients=()) == {BOUNCE}
    assert mail_facts({}, sender="Help <HELP@shop.example>", recipients=["help@shop.example"]) == {LOOP}
    assert mail_facts({}, sender="", recipients=[""]) == set()


def test_a_copy_to_oneself_is_no_loop() -> None:
    """Customers put their own address in To or Cc, or send a hidden copy; only a mail to its sender alone is a loop."""
    mail = b"From: ann@example.com\nTo: %s\n%s\nSubject: Invoice\n\nPlease send it again.\n"
    assert LOOP not in parse_email(mail % (b"help@example.org", b"Cc: ann@example.com")).facts
    assert LOOP not in parse_email(mail % (b"ann@example.com", b"Cc: help@example.org")).facts
    assert LOOP not in parse_email(mail % (b"ann@example.com", b"Delivered-To: help@example.org")).facts
    assert LOOP in parse_email(mail % (b"ann@example.com", b"Delivered-To: ann@example.com")).facts
    assert LOOP in parse_email(mail % (b"ann@example.com", b"Date: Mon, 3 Mar 2025 10:11:00 +0100")).facts


@pytest.mark.parametrize(
    "field", [b"Reply-To: Ann <ann@home.example>", b"Reply-To: help@shop.example, ann@home.example"]
)
def test_a_contact_form_is_no_loop(field: bytes) -> None:
    """From and To are ours; the customer's address is in Reply-To."""
    ticket = parse_email(b"From: Shop <help@shop.example>\nTo: help@shop.example\n" + field + b"\nSubject: x\n\nhi")
    assert (ticket.sender, LOOP in ticket.facts) == ("ann@home.example", False)
    ours = parse_email(b"From: help@shop.example\nTo: help@shop.example\nReply-To: help@shop.example\n\nhi")
    assert (ours.sender, LOOP in ours.facts) == ("help@shop.example", True)
