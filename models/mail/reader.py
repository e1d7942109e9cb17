"""Reads a large mail as it arrives and keeps what `parse_email` needs: headers, boundaries and the text parts.

Attachments are dropped as they arrive, neither decoded nor stored. The result is a mail of at most `MAX_MAIL_BYTES`
that gives the same ticket.
"""

import re

from models.errors import MailError
from models.mail.containers import SMIME_TYPES, may_be_signed_mail
from models.mail.headers import MAX_HEADER_BYTES, MAX_HEADER_LINES, header, parameters, split_head
from models.mail.mime import (
    MAX_BOUNDARY,
    MAX_MULTIPARTS,
    MAX_PART_LINES,
    MAX_PARTS,
    MAX_TEXT_BYTES,
    MESSAGES,
    leaf_of,
    media_type,
)
from models.mail.parse import MAX_MAIL_BYTES

WHOLE_BYTES = MAX_MAIL_BYTES
"""A mail up to this size is kept unchanged, because removing attachments as they arrive blocks the event loop."""
MAX_DASHED_LINES = 20_000
"""Lines that begin like a boundary; real mails have some hundred. The rest of the mail is dropped."""

_HEAD_END = re.compile(rb"(?:^|\n)\r?\n")
_LONGEST_LINE = MAX_BOUNDARY + 10


class MailReader:
    """Call `feed` with the bytes in pieces of any size, then `kept` for the reduced mail."""

    def __init__(self, max_bytes: int, whole_bytes: int = WHOLE_BYTES) -> None:
        self._max_bytes = max_bytes
        self._whole_bytes = whole_bytes
        self._size = 0
        self._pieces: list[bytes] = []
        self._bytes_left = MAX_MAIL_BYTES
        self._buffer = bytearray()
        self._in_head, self._part_bytes_left, self._searched = True, 0, 0
        self._boundaries: set[bytes] = set()
        self._parts = self._dashed = 0

    @property
    def held(self) -> int:
        """Bytes in memory: at most `MAX_MAIL_BYTES`, a head and what `feed` was last given."""
        return MAX_MAIL_BYTES - self._bytes_left + len(self._buffer)

    def feed(self, data: bytes) -> None:
        """
        Raises:
            MailError: the mail has more bytes than are accepted.
        """
        self._size += len(data)
        if self._size > self._max_bytes:
            raise MailError(f"the e-mail has over {self._max_bytes:,} bytes, which is the most that is accepted")
        self._buffer += data
        if self._size <= self._whole_bytes:
            return
        while self._parts <= MAX_PARTS and self._dashed <= MAX_DASHED_LINES and self._bytes_left > 0:
            if not (self._read_head() if self._in_head else self._read_body()):
                return
        self._buffer.clear()  # more structure than is read

    def kept(self) -> bytes:
        """The mail without the content of attachments."""
        self._append(bytes(self._buffer), self._bytes_left if self._in_head else self._part_bytes_left)
        self._buffer.clear()
        return b"".join(self._pieces)

    def _read_head(self) -> bool:
        """Takes a part's head off the buffer; False if more bytes must arrive first."""
        found = _HEAD_END.search(self._buffer, self._searched)
        if found is None and len(self._buffer) < MAX_HEADER_BYTES:
            self._searched = max(0, len(self._buffer) - 2)
            return False
        self._searched = 0
        end = found.end() - 1 if found else MAX_HEADER_BYTES  # the last line end begins the body: a boundary may follow
        head = self._take(end)
        self._append(head, self._bytes_left)
        self._parts += 1
        headers, _ = split_head(
            head.replace(b"\r\n", b"\n").lstrip(b"\n"), MAX_PART_LINES if self._parts > 1 else MAX_HEADER_LINES
        )
        value = header(headers, "content-type")
        part = leaf_of(headers, media_type(value) or "text/plain", parameters(value), b"")
        kind = part.content_type
        # A message inside has a head and parts of its own.
        self._in_head = kind in MESSAGES and part.encoding not in {"base64", "quoted-printable"}
        if self._in_head:
            self._append(self._take(1), self._bytes_left)
        words = part.kind is not None or kind in SMIME_TYPES or may_be_signed_mail(part)
        words |= kind.startswith(("multipart/", "message/")) or (kind == "text/calendar" and not part.is_attachment)
        self._part_bytes_left = MAX_TEXT_BYTES if words else 0
        boundary = part.parameters.get("boundary", "").strip().encode("utf-8", "replace")
        if (
            kind.startswith("multipart/")
            and len(self._boundaries) < MAX_MULTIPARTS
            and 0 < len(boundary) <= MAX_BOUNDARY
        ):
            self._boundaries.add(boundary)
        return True

    def _read_body(self) -> bool:
        """Takes the bytes up to the next boundary off the buffer; False if more bytes must arrive first."""
        start = 0
        while (dashes := self._buffer.find(b"\n--", start)) >= 0:
            end = self._buffer.find(b"\n", dashes + 3)
            if end < 0 and len(self._buffer) - dashes < _LONGEST_LINE:
                self._consume(dashes)
                return False
            start = dashes + 1
            self._dashed += 1
            if self._dashed > MAX_DASHED_LINES:
                break
            line = bytes(self._buffer[dashes + 3 : end][:_LONGEST_LINE]).rstrip() if end >= 0 else b""
            closing = line not in self._boundaries
            if not closing or (line.endswith(b"--") and line[:-2] in self._boundaries):
                self._consume(dashes)
                self._append(self._take(end - dashes + (not closing)), self._bytes_left)
                # Text behind the closing boundary belongs to a broken mail: keep it.
                self._in_head, self._part_bytes_left = not closing, MAX_TEXT_BYTES if closing else 0
                return True
        self._consume(max(0, len(self._buffer) - 2))
        return False

    def _consume(self, size: int) -> None:
        """Takes the first bytes off the buffer: text is kept, attachments are dropped."""
        self._part_bytes_left -= self._append(self._take(size), self._part_bytes_left)

    def _take(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        return taken

    def _append(self, data: bytes, limit: int) -> int:
        kept = data[: min(limit, self._bytes_left)]
        self._pieces.append(kept)
        self._bytes_left -= len(kept)
        return len(kept)
