# ruff: noqa: E501 -- one sample, one line: the table reads better than wrapped mails
"""Hostile mails as data: what each step of reading one is worst at. Every value builds about `size` bytes."""

from collections.abc import Callable

Builder = Callable[[int], bytes]

HEAD = b"From: Ann <Ann@Home.example>\r\nTo: Help <help@shop.example>\r\nCc: bob@shop.example\r\nSubject: Parcel\r\n"
MIXED = HEAD + b"Content-Type: multipart/mixed; boundary=b\n\n"


def _fill(head: bytes, unit: bytes) -> Builder:
    return lambda size: head + unit * ((size - len(head)) // len(unit))


def _count(head: bytes, unit: Callable[[int], bytes], tail: bytes = b"\n\nhi") -> Builder:
    """Units that differ by their number."""

    def build(size: int) -> bytes:
        parts, room, number = [head], size - len(head) - len(tail), 0
        while (part := unit(number)) and len(part) <= room:
            parts.append(part)
            room -= len(part)
            number += 1
        return b"".join(parts) + tail

    return build


def _body(encoding: bytes, unit: bytes, kind: bytes = b"text/plain") -> Builder:
    return _fill(HEAD + b"Content-Type: " + kind + b"\nContent-Transfer-Encoding: " + encoding + b"\n\n", unit)


def nested(levels: int) -> bytes:
    return (
        HEAD
        + b"".join(b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (i, i) for i in range(levels))
        + b"\nhi"
    )


def _part(head: bytes, body: bytes = b"hi") -> Callable[[int], bytes]:
    return lambda _number: b"--b\n" + head + b"\n\n" + body + b"\n"


MAILS: dict[str, Builder] = {
    # structure
    "1000 levels": lambda _size: nested(1_000),
    "levels without end": _count(HEAD, lambda i: b'Content-Type: multipart/mixed; boundary="b%d"\n\n--b%d\n' % (i, i)),
    "deep and long": lambda size: _fill(nested(9), b"\n--b8\n\nx")(size),
    "deep, boundaries wrong": lambda size: _fill(HEAD + b"".join(b"Content-Type: multipart/mixed; boundary=q\n\n--b%d\n" % i for i in range(9)) + b"\n", b"\n--\n--")(size),
    "1000 messages in messages": _fill(HEAD, b"Content-Type: message/rfc822\n\n"),
    "10k parts": _fill(MIXED, b"--b\nContent-Type: text/plain\n\nhi\n"),
    "empty parts": _fill(MIXED, b"--b\n"),
    "digests": _fill(HEAD + b"Content-Type: multipart/digest; boundary=b\n\n", b"--b\n\nFrom: a@b\n\nx\n"),
    "multiparts in parts": _count(MIXED, lambda i: b'--b\nContent-Type: multipart/mixed; boundary="%d"\n\n--%d\n\nx\n' % (i, i)),
    "fan": _fill(HEAD, b"Content-Type: multipart/mixed; boundary=b\n\n--b\n"),
    "chains": _count(MIXED, lambda i: b"--b\n" + b"".join(b'Content-Type: multipart/mixed; boundary="%d.%d"\n\n--%d.%d\n' % (i, j, i, j) for j in range(9)) + b"\nx\n"),
    "long boundaries": _count(MIXED, lambda i: b'--b\nContent-Type: multipart/mixed; boundary="%d%s"\n\n' % (i, b"x" * 7000)),
    "boundaries of 200": _count(MIXED, lambda i: b'--b\nContent-Type: multipart/mixed; boundary="%d%s"\n\n' % (i, b"(.?" * 65)),
    "missing boundary": _fill(HEAD + b"Content-Type: multipart/mixed\n\n", b"--\n"),
    "boundary lines": _fill(HEAD + b"Content-Type: multipart/mixed; boundary=q\n\n", b"--a\n"),
    "boundary look-alikes": _fill(MIXED, b"--bb\n"),
    "boundary look-alikes of blanks": lambda size: MIXED + b"--b" + b" " * (size // 2) + b"x\n--b" + b"\t" * (size // 2),
    "dashes": lambda size: MIXED + b"-" * size,
    "attachments only": _count(MIXED, lambda i: b"--b\nContent-Type: image/png; name=a%d.png\nContent-Transfer-Encoding: base64\n\n" % i + b"iVBORw0KGgo" * 400 + b"\n"),
    "one large attachment": _fill(MIXED + b"--b\n\nhi\n--b\nContent-Type: application/pdf; name=a.pdf\nContent-Transfer-Encoding: base64\n\n", b"JVBERi0xLjQK\n"),
    # heads
    "16k addresses": _count(HEAD + b"To: ", lambda i: b"a%d@b.example, " % i),
    "16k folded addresses": _count(HEAD + b"To: x", lambda i: b",\n a%d@b.example" % i),
    "50k headers": _count(b"", lambda i: b"X-%d: a\n" % i),
    "headers of one name": _fill(b"", b"To:a@b\n"),
    "undecodable headers": _fill(b"", b"to:\xff\xff\xff\xff\n"),
    "undecodable subjects": _fill(b"", b"subject:\xe3\xe4\xe5\xe6\xe7\xe8\n"),
    "heads of parts": _fill(MIXED, b"--b\n" + b"a:b\n" * 1200 + b"\nhi\n"),
    "undecodable heads of parts": _fill(MIXED, b"--b\n" + b"content-type:\xff\xff\xff\xff\n" * 200 + b"\nhi\n"),
    "folded lines": _fill(b"Subject: a\n", b" a\n"),
    "folded lines of parts": _fill(MIXED, b"--b\nContent-Type: text/plain\n" + b" a\n" * 1500 + b"\nhi\n"),
    "broken heads": _fill(b"Subject: a\n", b"\nMessage-ID:a\n"),
    "junk between headers": _fill(b"Subject: a\n", b"junk\nA:b\n"),
    "no colon": _fill(b"", b"Subject \n"),
    "mailbox lines": _fill(b"", b"From a\n"),
    "header of 1 MB": _fill(b"Subject: ", b"a"),
    # words and parameters
    "encoded words": _fill(b"Subject: ", b"=?utf-8?q?a?= "),
    "encoded words of many charsets": _fill(b"Subject: ", b"=?utf-8?q?a?= =?koi8-r?b?YQ?= =?x-none?q?=ff=fe=fd=fc?= "),
    "half encoded words": _fill(b"Subject: ", b"=?a?q?"),
    "encoded words without end": _fill(b"Subject: ", b"=?utf-8?q?" + b"a" * 900 + b"\n "),
    "encoded file names": _fill(MIXED, b'--b\nContent-Type: image/png\nContent-Disposition: inline; filename="' + b"=?utf-8?q?a?= =?koi8-r?q?b?= " * 170 + b'"\n\nhi\n'),
    "undecodable file names": _fill(MIXED, b'--b\nContent-Type: image/png; name="' + b"=?x?q?=ff=fe=fd=fc?= =?y?q?=ff=fe=fd=fc?=" * 120 + b'"\n\nhi\n'),
    "parameters": _fill(HEAD + b"Content-Type: multipart/mixed", b"; a*1*=x"),
    "parameters of parts": _fill(MIXED, b"--b\nContent-Type: image/png" + b";a=b" * 600 + b"\nContent-Disposition: attachment" + b";a*1*=%ff" * 270 + b"\n\nhi\n"),
    "continuations": _count(HEAD + b"Content-Type: text/plain", lambda i: b"; name*%d*=utf-8''%%ff" % i),
    "open string": _fill(HEAD + b'Content-Type: text/plain; a="', b'\\"'),
    "blanks in parameters": _fill(HEAD + b"Content-Type: text/plain", b";a" + b" " * 300),
    # addresses
    "quotes in From": _fill(b"From: ", b'"'),
    "brackets in From": _fill(b"From: ", b"<("),
    "at signs": lambda _size: b"".join(name + b": <" + b"@" * 7_900 + b"\n" for name in (b"From", b"Sender", b"Reply-To", b"Return-Path", b"To", b"Cc")) + b"\nhi",
    "no at sign": lambda _size: b"".join(name + b": " + b"a" * 7_900 + b"\n" for name in (b"From", b"Sender", b"Reply-To", b"Return-Path", b"To", b"Cc")) + b"\nhi",
    "blanks in brackets": lambda _size: b"From: " + b"< " * 3_900 + b"\nTo: <" + b" " * 7_000 + b"\n\nhi",
    # bodies
    "base64": _body(b"base64", b"Y!"),
    "bad base64": _body(b"base64", b"====YQ"),
    "quoted-printable": _body(b"quoted-printable", b"="),
    "quoted-printable lines": _body(b"quoted-printable", b"=C3=BC=\n"),
    "HTML in base64": _body(b"base64", b"PGRpdj4K", b"text/html"),
    "HTML": _body(b"8bit", b"<div><b>x", b"text/html"),
    "unknown charset": _body(b"8bit", b"\xe4\xb8 ", b"text/plain; charset=x-unknown"),
    "punycode": _body(b"8bit", b"ab", b"text/plain; charset=punycode"),
    "escapes": _body(b"8bit", b"\x1b$B\x1b(B", b"text/plain; charset=iso-2022-jp"),
    "escapes of hz": _body(b"8bit", b"~{~}", b"text/plain; charset=hz"),
    "utf-7": _body(b"8bit", b"+AGE-\xff", b"text/plain; charset=utf-7"),
    "wrong charset": _body(b"8bit", b"\xff\x80", b"text/plain; charset=iso-2022-jp"),
    "wrong charset in parts": _fill(MIXED, b"--b\nContent-Type: text/plain; charset=iso-2022-kr\n\n" + b"\xff\x80" * 30_000 + b"\n"),
    "texts": _fill(MIXED, b"--b\n\n" + b"hi \xe4\xe4\xe4" * 700 + b"\n"),
    "high bytes": _fill(HEAD + b"\n", bytes(range(128, 256))),
    "all bytes": _fill(b"", bytes(range(256))),
    "NULs": _fill(b"", b"\0"),
    "line ends": _fill(b"", b"\r"),
    "UTF-16": lambda size: b"\xff\xfe" + ("Subject: x\n\n" + "\ud7ff" * (size // 2 - 14)).encode("utf-16-le"),
    # what makes the text be looked at twice
    "few words above HTML": lambda size: MIXED.replace(b"mixed", b"alternative") + b"--b\n\nhi there\n--b\nContent-Type: text/html\n\n" + b"<div hidden>x</div>" * ((size - 300) // 19),
    "quotes above HTML": lambda size: MIXED.replace(b"mixed", b"alternative") + b"--b\n\n" + b'"' * (size // 2) + b"\n--b\nContent-Type: text/html\n\n" + b"<p>" * (size // 6 - 100),
    "HTML around messages": lambda size: MIXED + b"--b\nContent-Type: text/html\n\n" + b"<div>" * (size // 20) + b"\n--b\nContent-Type: message/rfc822\n\n" + MIXED.replace(b"=b", b"=c") + b"--c\nContent-Type: text/html\n\n" + b"<div>" * (size // 20) + b"\n--c\nContent-Type: message/rfc822\n\nContent-Type: text/html\n\n" + b"<td>" * (size // 8),
}  # fmt: skip
