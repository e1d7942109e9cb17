"""A mail's bytes as a flat list of parts, within fixed limits; whatever the damage, there is an answer.

The standard library's parser needs 8 s for 10,000 parts and recurses on nested ones; the fast ones refuse a mail with
a bad boundary or bad base64. This one looks for boundary lines and nothing else, so its time is bounded by
`MAX_DEPTH` passes over the bytes. Used by `email` alone.
"""

import binascii
import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from models.charsets import decode
from models.mail_headers import Headers, decode_base64, decode_words, header, parameters, split_head

MAX_DEPTH = 10
MAX_PARTS = 200
MAX_TEXT_BYTES = 400_000

_ANY_BOUNDARY = re.compile(rb"^--([^\s-][^\n]{0,200}|-{2,}[^\s-][^\n]{0,200})$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the tree, still encoded."""

    headers: Headers
    content_type: str
    parameters: dict[str, str]
    body: bytes

    @property
    def is_attachment(self) -> bool:
        disposition = header(self.headers, "content-disposition").split(";")[0].strip().lower()
        return disposition == "attachment" or (disposition == "inline" and bool(self.filename))

    @property
    def filename(self) -> str:
        disposed = parameters(header(self.headers, "content-disposition"))
        return decode_words(disposed.get("filename") or self.parameters.get("name") or "")

    def decoded(self) -> bytes:
        encoding = header(self.headers, "content-transfer-encoding").split(";")[0].strip().lower()
        return _decoded(self.body[:MAX_TEXT_BYTES], encoding)

    def text(self) -> str:
        return decode(self.decoded(), self.parameters.get("charset"))


@dataclass(slots=True)
class _Walk:
    parts: list[Part] = field(default_factory=list)

    def into(self, headers: Headers, body: bytes, depth: int, default: str = "text/plain") -> None:
        value = header(headers, "content-type")
        part = Part(headers, media_type(value) or default, parameters(value), body)
        children = _children(part) if part.content_type.startswith("multipart/") and depth < MAX_DEPTH else []
        for child in children:
            if len(self.parts) >= MAX_PARTS:
                return
            child_default = "message/rfc822" if part.content_type == "multipart/digest" else "text/plain"
            self.into(*split_head(child), depth + 1, child_default)
        if not children:
            self.parts.append(_leaf(part, depth))


def leaves(headers: Headers, body: bytes) -> list[Part]:
    """All parts that hold content, in order; at most `MAX_PARTS`, from at most `MAX_DEPTH` levels."""
    walk = _Walk()
    walk.into(headers, body, 0)
    return walk.parts


def media_type(value: str) -> str:
    """`text/html; charset=x` → `text/html`; "" if it is no such thing."""
    kind = value.split(";")[0].split(",")[0].strip().lower()[:100]
    return kind if re.fullmatch(r"[\w.+-]+/[\w.+*-]+", kind) else ""


def _leaf(part: Part, depth: int) -> Part:
    """A multipart without parts is read as the text it must be; below the depth limit it is opaque."""
    if not part.content_type.startswith("multipart/"):
        return part
    kind = "text/plain" if depth < MAX_DEPTH else "application/octet-stream"
    return Part(part.headers, kind, part.parameters, part.body)


def _children(part: Part) -> list[bytes]:
    declared = part.parameters.get("boundary", "").strip()
    names = [declared.encode("utf-8", "replace")] if declared else []
    guess = _ANY_BOUNDARY.search(part.body)
    if guess:
        names.append(guess[1].rstrip())
    for name in names:
        children = list(islice(_between(part.body, name), MAX_PARTS))
        if children:
            return children
    return []


def _between(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """The bytes between boundary lines. A boundary that begins another ("x" and "xy") does not match it."""
    line = re.compile(rb"^--" + re.escape(boundary) + rb"(--)?[ \t]*$\n?", re.MULTILINE)
    start: int | None = None
    for match in line.finditer(body):
        if start is not None:
            yield body[start : match.start()].removesuffix(b"\n")
        start = match.end()
        if match[1]:
            return
    if start is not None:
        yield body[start:]


def _decoded(data: bytes, encoding: str) -> bytes:
    if encoding == "base64":
        return decode_base64(data)
    if encoding == "quoted-printable":
        return quopri.decodestring(data)
    if encoding in {"x-uuencode", "uuencode", "x-uue", "uue"}:
        return b"".join(map(_uu_line, data.split(b"\n")))
    return data


def _uu_line(line: bytes) -> bytes:
    if not line or line.startswith((b"begin ", b"end")):
        return b""
    try:
        return binascii.a2b_uu(line)
    except binascii.Error:
        return line + b"\n"
