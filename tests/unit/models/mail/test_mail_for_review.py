# ruff: noqa: E501 -- one sample, one line: the table reads better than wrapped mails
"""Mail for review: reports, receipts, vacation notes, spam, encrypted and undecodable mail. All made up."""

import base64
import os
from pathlib import Path

import pytest

from models.fields import Field
from models.mail.parse import parse_email
from models.scoring import FieldScoring, Outcome, Reason, Threshold, verdict_without_model
from models.text.prepare import prepare
from models.ticket import MailFact

ANN = "From: Ann <ann@home.example>\nTo: help@shop.example\n"
REPORT = (
    "Content-Type: multipart/report{type}; boundary=b\n\n--b\n\n{text}\n--b\nContent-Type: {part}\n\n{fields}\n--b--\n"
)
STATUS = "Final-Recipient: rfc822; bob@home.example\nAction: failed\nStatus: 5.1.1"

BOUNCES = {
    "no domain": "From: MAILER-DAEMON (Mail Delivery System)\nSubject: Undelivered Mail\n\nNo such user.",
    "empty address": "From: Mail Delivery Subsystem <>\nSubject: Mail delivery failed\n\nThere was an error delivering your mail.",
    "empty From": "From: <>\nTo: help@shop.example\nSubject: Mail delivery failed\n\nThere was an error delivering your mail.",
    "dragonfly": "From: MAILER-DAEMON <>\nTo: help@shop.example\nSubject: Mail delivery failed\nX-Original-To: <help@shop.example>\n\nThis is the mail agent at mx.example.\n\nThere was an error delivering your mail to <bob@home.example>.",
    "system's name": "From: Mail Delivery System <noreply@mx.example>\nSubject: Delivery status\n\nIt was not delivered.",
    "postmaster": "From: postmaster@mx.example\nSubject: Undeliverable: Order\n\nIt was not delivered.",
    "null return path": f"Return-Path: <>\n{ANN}Subject: Undeliverable\n\nIt was not delivered.",
    "name without address": 'From: "MXL Postmaster" <>\nTo: help@shop.example\nSubject: Mail delivery failed\n\nIt was not delivered.',
    "mailbox without domain": 'From: "Mail system" <mailer-daemon>\nTo: help@shop.example\nSubject: Undeliverable\n\nIt was not delivered.',
    "another daemon": "From: FETCHMAIL-DAEMON@mx.example\nTo: help@shop.example\nSubject: Undelivered\n\nIt was not delivered.",
    "exchange's mailbox": "From: Microsoft Outlook <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@corp.example>\nTo: help@shop.example\nSubject: Undeliverable: Order\n\nIt was not delivered.",
    "domino": "From: <Mail Router>\nTo: help@shop.example\nSubject: DELIVERY FAILURE\n\nIt was not delivered.",
    "mdaemon": "From: MDaemon at mx.example <MDaemon@mx.example>\nTo: help@shop.example\nSubject: Permanent Delivery Failure\n\nIt was not delivered.",
    "daemon in the return path": f"Return-Path: <MAILER-DAEMON>\n{ANN}Subject: Undeliverable\n\nIt was not delivered.",
    "daemon of a host in the return path": f"Return-Path: <MAILER-DAEMON@mx.example>\n{ANN}Subject: Undeliverable\n\nIt was not delivered.",
    "exchange, embedded report": "From: System Administrator\nTo: help@shop.example\nX-MS-Embedded-Report:\nSubject: Undeliverable\n\nIt was not delivered.",
    "typed report": ANN
    + REPORT.format(
        type="; report-type=delivery-status", text="Failed.", part="message/delivery-status", fields=STATUS
    ),
    "untyped report": ANN + REPORT.format(type="", text="Failed.", part="text/plain", fields=STATUS),
    "status in a mixed mail": ANN
    + REPORT.format(type="", text="Failed.", part="message/delivery-status", fields=STATUS).replace(
        "multipart/report", "multipart/mixed"
    ),
    "status of another kind": ANN
    + REPORT.format(
        type="; report-type=delivery-status", text="Failed.", part="message/global-delivery-status", fields=STATUS
    ),
}
AUTOMATIC = {
    "read receipt": ANN
    + REPORT.format(
        type="; report-type=disposition-notification",
        text="Your message was read.",
        part="message/disposition-notification",
        fields="Disposition: manual-action; displayed",
    ),
    "deleted unread": ANN
    + REPORT.format(
        type="; report-type=disposition-notification",
        text="Not read.",
        part="message/disposition-notification",
        fields="Disposition: automatic-action; deleted",
    ),
    "receipt in a mixed mail": ANN
    + REPORT.format(
        type="", text="Gelesen.", part="message/disposition-notification", fields="Disposition: displayed"
    ).replace("multipart/report", "multipart/mixed"),
    "spam complaint": ANN
    + REPORT.format(
        type="; report-type=feedback-report",
        text="This is an abuse report.",
        part="message/feedback-report",
        fields="Feedback-Type: abuse",
    ),
    "complaint, untyped": ANN
    + REPORT.format(type="", text="Abuse.", part="message/feedback-report", fields="Feedback-Type: abuse"),
    "complaint of a mailbox": "From: staff@hotmail.com\nTo: help@shop.example\nSubject: complaint about message from 192.0.2.1\n\nSee attachment.",
    "list abuse": f"{ANN}X-Apple-Unsubscribe: true\nSubject: unsubscribe\n\nunsubscribe",
    "accepted": ANN
    + "Subject: Accepted: Meeting\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nAnn has accepted.\n--b\nContent-Type: text/calendar; method=REPLY\n\nBEGIN:VCALENDAR\n--b--\n",
    "declined, undeclared": ANN
    + "Subject: Abgesagt: Termin\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nAnn kommt nicht.\n--b\nContent-Type: text/calendar\n\nBEGIN:VCALENDAR\nMETHOD:REPLY\n--b--\n",
    "tentative, quoted method": ANN
    + 'Subject: Peut-être : Réunion\nContent-Type: text/calendar; method="reply"\n\nBEGIN:VCALENDAR',
    "another time proposed": ANN
    + "Subject: New time: Meeting\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nAnn proposes Monday.\n--b\nContent-Type: text/calendar; method=COUNTER\n\nBEGIN:VCALENDAR\n--b--\n",
    "accepted, attached": ANN
    + "Subject: Accepted: Meeting\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nAnn has accepted.\n--b\nContent-Type: application/ics; name=invite.ics\n\nBEGIN:VCALENDAR\nMETHOD:REPLY\n--b--\n",
    "hebrew": f"{ANN}Content-Type: text/plain; charset=utf-8\nSubject: תשובה אוטומטית: הזמנה\n\nI am away.",
    "croatian": f"{ANN}Content-Type: text/plain; charset=utf-8\nSubject: Automatski odgovor: Narudžba\n\nI am away.",
    "bulgarian": f"{ANN}Content-Type: text/plain; charset=utf-8\nSubject: Автоматичен отговор: Поръчка\n\nI am away.",
    "notification service": f"{ANN}X-Amz-SNS-Message-Id: 4711\nSubject: AWS Notification Message\n\n{{}}",
    "notification service, headers lost": 'From: no-reply@sns.amazonaws.com\nTo: help@shop.example\nSubject: AWS Notification Message\n\n{"notificationType":"Bounce"}',
    "capitals": f"{ANN}Subject: Automatic Reply: Order\n\nI am away.",
    "in brackets": f"{ANN}Subject: [Auto-Reply] Order\n\nI am away.",
    "qq": f"{ANN}Content-Type: text/plain; charset=utf-8\nSubject: 自动回复: 订单\n\nI am away.",
    "notes of old": f"{ANN}Subject: Ann Baker/DE/Corp is out of the office.\n\nI am away.",
    "apple vacation": f"{ANN}X-Apple-Action: VACATION\nSubject: Re: Order\n\nI am away.",
    "exchange rule": f"{ANN}X-MS-Exchange-Inbox-Rules-Loop: ann@home.example\nX-Auto-Response-Suppress: All\nSubject: Order\n\nI am away.",
    "auto reply": f"{ANN}Subject: Auto reply: Order\n\nI am away.",
    "notes": f"{ANN}Subject: AUTO: Ann is away\n\nI am away.",
    "automatic response": f"{ANN}Subject: Automatic response: Order\n\nI am away.",
    "german": f"{ANN}Subject: Automatische Antwort: Bestellung\n\nIch bin nicht da.",
    "header": f"{ANN}Auto-Submitted: auto-replied (vacation)\nSubject: Re: Order\n\nI am away.",
}
SPAM = {
    "flag": f"{ANN}X-Spam-Flag: YES\nSubject: Win\n\nWin a prize.",
    "status": f"{ANN}X-Spam-Status: Yes, score=9.1 required=5.0 tests=BAYES_99\nSubject: Win\n\nWin a prize.",
    "both": f"{ANN}X-Spam-Status: yes\nX-Spam-Flag: Yes\nSubject: Win\n\nWin a prize.",
}
UNREADABLE = {
    "enveloped": f"{ANN}Subject: Login\nContent-Type: application/pkcs7-mime; smime-type=enveloped-data; name=smime.p7m\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHA6CAMIACAQAx",
    "PGP/MIME": ANN
    + 'Subject: Login\nContent-Type: multipart/encrypted; protocol="application/pgp-encrypted"; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\nContent-Type: application/octet-stream; name=encrypted.asc\n\n-----BEGIN PGP MESSAGE-----\nhQ\n--b--\n',
    "PGP/MIME with a footer": ANN
    + "Subject: Login\nContent-Type: multipart/encrypted; boundary=b\n\n--b\nContent-Type: application/pgp-encrypted\n\nVersion: 1\n--b\n\nSent through a list.\n--b--\n",
    "inline PGP": f"{ANN}Subject: Login\n\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n",
    "enveloped, a gateway's type": f"{ANN}Subject: Login\nContent-Type: application/octet-stream; name=smime.p7m\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHA6CAMIACAQAx",
    "enveloped, above a list's footer": ANN
    + "Subject: Login\nContent-Type: multipart/mixed; boundary=b\n\n--b\nContent-Type: application/pkcs7-mime; name=smime.p7m\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHA6CA\n--b\n\n_____\nSent through a list.\n--b--\n",
    "inline PGP below a greeting": f"{ANN}Subject: Login\n\nHi Bob,\n\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n",
    "inline PGP, HTML": f"{ANN}Subject: Login\nContent-Type: text/html\n\n<html><body><pre>-----BEGIN PGP MESSAGE-----\n\nhQ\n-----END PGP MESSAGE-----</pre></body></html>",
    "PGP as a file alone": f"{ANN}Subject: Login\nContent-Type: application/octet-stream; name=encrypted.asc\n\n-----BEGIN PGP MESSAGE-----\n\nhQ\n",
    "rights management, by name": ANN
    + "Subject: Login\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nAnn sent a protected message.\n--b\nContent-Type: application/octet-stream; name=message.rpmsg\n\nx\n--b--\n",
    "winmail.dat": ANN
    + "Subject: Login\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\n \n--b\nContent-Type: application/ms-tnef; name=winmail.dat\nContent-Transfer-Encoding: base64\n\neJ8+Ig==\n--b--\n",
    "winmail.dat, undeclared": f"{ANN}Subject: Login\nContent-Type: application/octet-stream; name=winmail.dat\nContent-Transfer-Encoding: base64\n\neJ8+Ig==",
    "rights management": ANN
    + "Subject: Login\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nAnn sent a protected message.\n--b\nContent-Type: application/x-microsoft-rpmsg-message; name=message.rpmsg\n\nx\n--b--\n",
    "uuencoded": f"{ANN}Subject: Login\nContent-Transfer-Encoding: x-uuencode\n\nbegin 644 x\n#2&5L;&\\\n`\nend\n",
    "damaged signature": f"{ANN}Subject: Login\nContent-Type: application/x-pkcs7-mime; smime-type=signed-data\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHAqCA",
}
SCORINGS = [FieldScoring(Field("department", ("a", "b"), 0), 1.0, (Threshold(0.5, 0.3, False),) * 2)]


def _reason(mail: bytes) -> Reason | None:
    ticket = parse_email(mail)
    verdict = verdict_without_model(ticket, prepare(ticket).text, SCORINGS)
    assert verdict is None or verdict.department.outcome is Outcome.REVIEW
    return verdict.department.reason if verdict else None


@pytest.mark.parametrize(
    ("mails", "reason"),
    [
        (BOUNCES, Reason.BOUNCE),
        (AUTOMATIC, Reason.AUTOMATIC_MAIL),
        (SPAM, Reason.SPAM),
        (UNREADABLE, Reason.UNREADABLE),
    ],
)
def test_mail_for_review_skips_the_model(mails: dict[str, str], reason: Reason) -> None:
    """Each sample gets its reason."""
    assert {name: _reason(mail.encode()) for name, mail in mails.items()} == dict.fromkeys(mails, reason)


@pytest.mark.parametrize(
    "mail",
    [
        b"Subject: x\n\n" + bytes(range(128, 160)) * 9,
        b"Subject: x\nContent-Type: text/plain; charset=x-none\n\n" + bytes((i * 89 + 131) % 256 for i in range(600)),
    ],
)
def test_bytes_in_no_charset_go_to_review(mail: bytes) -> None:
    """The model would get meaningless characters."""
    assert _reason(mail) is Reason.UNREADABLE


ORDINARY = {
    "an invitation": ANN
    + "Subject: Meeting\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\nPlease come.\n--b\nContent-Type: text/calendar; method=REQUEST\n\nBEGIN:VCALENDAR\n--b--\n",
    "not spam": f"{ANN}X-Spam-Flag: NO\nX-Spam-Status: No, score=-1.1 tests=YES_MAIL\nSubject: x\n\nHello.",
    "a bounce pasted": f"{ANN}Subject: I get this\n\nYour mail server says:\n{STATUS}\nWhy?",
    "clear signed": ANN
    + 'Subject: x\nContent-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=b\n\n--b\n\nHello.\n--b\nContent-Type: application/pkcs7-signature; name=smime.p7s\n\nMIAG\n--b--\n',
    "words beside a container": ANN
    + "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nHello.\n--b\nContent-Type: application/ms-tnef; name=winmail.dat\n\nx\n--b--\n",
    "a bug tracker": "From: bugzilla-daemon@bugs.example\nTo: help@shop.example\nSubject: x\n\nHello.",
    "a pasted PGP message": f"{ANN}Subject: x\n\nSince yesterday evening your site shows this text to me instead of the answer that I wait for:\n\n-----BEGIN PGP MESSAGE-----\nhQ\n-----END PGP MESSAGE-----\n\nWhy?",
    "a signed invoice beside words": ANN
    + "Subject: x\nContent-Type: multipart/mixed; boundary=b\n\n--b\n\nHello.\n--b\nContent-Type: application/pkcs7-mime; name=IT01.xml.p7m\nContent-Transfer-Encoding: base64\n\nMIAGCSqGSIb3DQEHAqCA\n--b--\n",
    "a list's loop header": f"{ANN}List-Id: <users.list.example>\nX-Loop: users@list.example\nSubject: x\n\nHello.",
    "a car as the matter": f"{ANN}Subject: Auto: Versicherung\n\nHello.",
    "an agent away": f"{ANN}Subject: Calendar/Teams says Bob is out of the office\n\nHello.",
    "a list's return path": f"Return-Path: <bounces@list.example>\n{ANN}Subject: x\n\nHello.",
    "away as the matter": f"{ANN}Subject: Out of office does not work\n\nHow do I set it?",
}


def test_ordinary_mail_goes_to_the_model() -> None:
    """Mail that resembles the samples above."""
    assert {name: _reason(mail.encode()) for name, mail in ORDINARY.items()} == dict.fromkeys(ORDINARY)


def test_opaque_signed_smime_is_opened() -> None:
    """The mail is inside the signature, in one piece or in many."""
    words = b"Content-Type: text/plain; charset=utf-8\r\n\r\nM\xc3\xb6chte mein Geld zur\xc3\xbcck."
    head = (
        ANN.encode()
        + b"Subject: Geld\nContent-Type: application/pkcs7-mime; smime-type=signed-data; name=smime.p7m\n"
        + b"Content-Transfer-Encoding: base64\n\n"
    )
    for der in (
        _signed(_tlv(4, words)),
        _signed(_streamed(b"".join(_tlv(4, words[i : i + 9]) for i in range(0, len(words), 9)))),
    ):
        ticket = parse_email(head + base64.encodebytes(der))
        assert ticket.body == "Möchte mein Geld zurück."
        assert MailFact.UNREADABLE not in ticket.facts


def _tlv(tag: int, content: bytes) -> bytes:
    size = len(content)
    length = bytes([size]) if size < 128 else bytes([0x82]) + size.to_bytes(2, "big")
    return bytes([tag]) + length + content


def _streamed(content: bytes) -> bytes:
    return b"\x24\x80" + content + b"\0\0"


def _signed(octets: bytes) -> bytes:
    signed_data, data = bytes.fromhex("06092a864886f70d010702"), bytes.fromhex("06092a864886f70d010701")
    inside = b"\xa0\x80" + octets + b"\0\0"
    content = b"\x02\x01\x01" + _tlv(0x31, b"") + b"\x30\x80" + data + inside + b"\0\0" + _tlv(0x31, b"")
    return b"\x30\x80" + signed_data + b"\xa0\x80\x30\x80" + content + b"\0\0" * 3


MAILS = os.environ.get("TICKET_ROUTER_TEST_MAILS")
"""A folder of mails; `ordinary_mails.txt` lists those written by people."""


@pytest.mark.skipif(not MAILS, reason="TICKET_ROUTER_TEST_MAILS names no folder of mails")
def test_listed_ordinary_mails_go_to_the_model() -> None:
    """Mails of mailing lists, and fixtures of a mail library."""
    names = Path(__file__).with_name("ordinary_mails.txt").read_text("utf-8").split()
    held = {name: _reason((Path(MAILS or "") / name).read_bytes()) for name in names}
    assert {name: reason for name, reason in held.items() if reason is not None and reason is not Reason.EMPTY} == {}
