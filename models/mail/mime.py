"""A mail's bytes as a flat list of parts, within fixed limits. Damaged mails give a list too.

The standard library's parser needs 8 s for 10,000 parts and recurses into nested parts; fast parsers refuse a mail with
a bad boundary or bad base64. This parser only searches boundary lines, so it needs at most `MAX_DEPTH` passes over the
bytes. The content of attachments is never decoded. Used by `parse` and `reader`.
"""

import quopri
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal

from models.cpu_budget import UNLIMITED, Budget
from models.mail.charsets import declared_in_html, decode_checked
from models.mail.headers import Headers, decode_base64, decode_words, header, parameters, split_head

MAX_DEPTH = 10
MAX_PARTS = 200
MAX_MULTIPARTS = 100
MAX_PART_LINES = 100
"""Lines of a part's header; usual are five."""
MAX_TEXT_BYTES = 400_000
MAX_BOUNDARY = 200
"""RFC 2046 allows 70."""
MAX_FILENAME = 1_000
"""Characters of an encoded file name; one character can take a dozen."""

MESSAGES = frozenset({"message/rfc822", "message/global"})
_TEXT = ("text/", "application/xhtml+xml")
_DATA_TYPES = frozenset({
    "text/calendar", "text/vcard", "text/x-vcard", "text/directory", "text/rfc822-headers", "text/css", "text/csv",
    "text/xml", "text/x-amp-html", "text/javascript",
})  # fmt: skip
_ENRICHED = frozenset({"text/enriched", "text/richtext"})
_ENRICHED_TAG = re.compile(r"<param>[^<]{0,1000}</param>|</?[A-Za-z-]{1,60}>", re.IGNORECASE)

# Both begin with fixed bytes, so that the regular expression engine can skip to candidates.
_ANY_BOUNDARY = re.compile(rb"\n--([^\s-][^\n]{0,200}|-{2,}[^\s-][^\n]{0,200})(?=\n|\Z)")
_BOUNDARY_END = rb"(--)?[ \t]*(?=\n|\Z)"


@dataclass(frozen=True, slots=True)
class Part:
    """A leaf of the tree, its body still encoded."""

    content_type: str
    parameters: dict[str, str]
    filename: str
    is_attachment: bool
    encoding: str
    body: bytes

    def decoded(self) -> bytes:
        data = self.body[:MAX_TEXT_BYTES]
        if self.encoding == "base64":
            return decode_base64(data)
        return quopri.decodestring(data) if self.encoding == "quoted-printable" else data

    @property
    def kind(self) -> Literal["plain", "html"] | None:
        """The kind of text; None for attachments and data."""
        if self.is_attachment or not self.content_type.startswith(_TEXT):
            return None
        if self.content_type.endswith(("/html", "/xhtml+xml", "/x-html")):
            return "html"
        return None if self.content_type in _DATA_TYPES else "plain"

    def text(self) -> tuple[str, bool]:
        """The text, and whether it was decoded reliably."""
        data = self.decoded()
        charset = self.parameters.get("charset") or (declared_in_html(data) if self.kind == "html" else None)
        text, sure = decode_checked(data, charset)
        if self.content_type in _ENRICHED:
            text = _ENRICHED_TAG.sub("", text)
        return text, sure and "uu" not in self.encoding


@dataclass(slots=True)
class _PartCollector:
    budget: Budget
    parts: list[Part] = field(default_factory=list)
    multiparts: int = 0

    def add_parts(self, headers: Headers, body: bytes, depth: int, default: str = "text/plain") -> None:
        self.budget.check_now()
        value = header(headers, "content-type")
        kind, declared = media_type(value) or default, parameters(value)
        is_multipart = kind.startswith("multipart/")
        children: list[bytes] = []
        if is_multipart and depth < MAX_DEPTH and self.multiparts < MAX_MULTIPARTS:
            self.multiparts += 1
            children = _split(body, declared.get("boundary", "").strip())
        for child in children:
            if len(self.parts) >= MAX_PARTS:
                return
            child_default = "message/rfc822" if kind == "multipart/digest" else "text/plain"
            self.add_parts(*split_head(child, MAX_PART_LINES), depth + 1, child_default)
        if not children:
            if is_multipart:  # without parts it is read as the text that it must be; below the depth limit not at all
                kind = "text/plain" if depth < MAX_DEPTH else "application/octet-stream"
            self.parts.append(leaf_of(headers, kind, declared, body))


def leaves(headers: Headers, body: bytes, budget: Budget = UNLIMITED) -> list[Part]:
    """All leaf parts in order; at most `MAX_PARTS`, from at most `MAX_DEPTH` levels."""
    collector = _PartCollector(budget)
    collector.add_parts(headers, body, 0)
    return collector.parts


def media_type(value: str) -> str:
    """`text/html; charset=x` → `text/html`; "" if the value is no media type."""
    kind = value.split(";")[0].split(",")[0].strip().lower()[:100]
    return kind if re.fullmatch(r"[\w.+-]+/[\w.+*-]+", kind) else ""


def leaf_of(headers: Headers, kind: str, declared: dict[str, str], body: bytes) -> Part:
    value = header(headers, "content-disposition")
    filename = decode_words((parameters(value).get("filename") or declared.get("name") or "")[:MAX_FILENAME])
    encoding = _first_word(header(headers, "content-transfer-encoding"))
    if kind == "application/octet-stream" and filename.lower().endswith(".eml"):
        kind = "message/rfc822"
    return Part(kind, declared, filename, _first_word(value) == "attachment", encoding, body)


def _first_word(value: str) -> str:
    return value.split(";")[0].strip().lower()


def _split(body: bytes, declared: str) -> list[bytes]:
    """The bytes of the parts: between lines of the declared boundary, else of the first line that looks like one."""
    body = b"\n" + body
    name = declared.encode("utf-8", "replace")
    children = list(islice(_between(body, name), MAX_PARTS)) if 0 < len(name) <= MAX_BOUNDARY else []
    if not children and (guess := _ANY_BOUNDARY.search(body)):
        children = list(islice(_between(body, guess[1].rstrip()), MAX_PARTS))
    return children


def _between(body: bytes, boundary: bytes) -> Iterator[bytes]:
    """The bytes between boundary lines. A boundary that begins another ("x" and "xy") does not match it."""
    line = re.compile(rb"\n--" + re.escape(boundary) + _BOUNDARY_END)
    start: int | None = None
    for match in line.finditer(body):
        if start is not None:
            yield body[start : match.start()]
        start = match.end() + 1
        if match[1]:
            return
    if start is not None:
        yield body[start:]
