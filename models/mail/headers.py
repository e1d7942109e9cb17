"""Reads header fields: splitting them off, unfolding, encoded words, parameters, addresses.

Everything is capped and linear; of a broken field the readable part is used. Values are decoded on demand: guessing one
charset takes longer than splitting off a hundred fields.
"""

import binascii
import quopri
import re
from collections.abc import Iterator
from itertools import islice
from urllib.parse import unquote_to_bytes

from models.mail.charsets import decode

MAX_HEADER_BYTES = 64_000
MAX_HEADER_LINES = 2_000
MAX_FIELD_BYTES = 8_000
MAX_JUNK = 10
"""Consecutive lines without a field name that are skipped: a value that was wrapped without an indent."""
MAX_SAME = 50
"""Fields of one name that are read; real mails have one, or some dozens of `Received`."""
MAX_PARAMETERS = 50
MAX_ADDRESSES = 100

Headers = tuple[tuple[str, bytes], ...]
"""Names in lower case, values unfolded and undecoded."""

_FIELD = re.compile(rb"([!-9;-~]{1,80})[ \t]*:(.*)", re.DOTALL)
_MIME_FIELD = re.compile(rb"(?:mime-version|content-type|content-transfer-encoding|message-id)[ \t]*:", re.IGNORECASE)
_MAIL_FIELD = re.compile(
    rb"(?:from|to|cc|subject|date|mime-version|content-type|content-transfer-encoding|message-id|received|return-path"
    rb"|reply-to|references|in-reply-to|delivered-to|x-[\w-]{2,40})[ \t]*:",
    re.IGNORECASE,
)
_PARAMETER = re.compile(r";\s*([\w.*%-]{1,60})\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^;]*)")
# An encoded word (RFC 2047): "=?charset*language?encoding?text?=".
_CHARSET, _LANGUAGE, _ENCODING, _TEXT = r"[\w.:+-]{1,40}", r"(?:\*[\w-]{0,20})?", "[bBqQ]", r"[^?\n]{0,1000}"
_WORD = re.compile(rf"=\?({_CHARSET}){_LANGUAGE}\?({_ENCODING})\?({_TEXT})\?=")
_WORDS = re.compile(rf"(?:=\?{_CHARSET}{_LANGUAGE}\?{_ENCODING}\?{_TEXT}\?=)+")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
_QUOTED = re.compile(r"\"[^\"]*\"|\([^()]*\)")
# Possessive, and no two neighbours that may take the same character: else a long run of "@" costs its square.
_IN_BRACKETS = re.compile(r"<\s*+([^<>\s@]*+@[^<>\s]*+)\s*+>")
_BARE = re.compile(r"[^\s<>()\"',;:]++")
_NOT_BASE64 = bytes(set(range(256)) - set(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"))


def split_head(raw: bytes, max_lines: int = MAX_HEADER_LINES) -> tuple[Headers, bytes]:
    """The header fields and the body. Line ends must be `\\n`."""
    fields: list[bytes] = []
    typed = False
    position, limit = 0, min(len(raw), MAX_HEADER_BYTES)
    for _ in range(max_lines):
        if position >= limit:
            break
        end = raw.find(b"\n", position)
        end = len(raw) if end < 0 else end
        line = raw[position:end]
        is_blank = not line.strip()
        # A blank line may stand inside a broken head: go on if the fields that describe the body follow.
        if is_blank and (not fields or typed or _MIME_FIELD.match(raw[end + 1 : end + 40]) is None):
            return _read_fields(fields), raw[end + 1 :]
        if fields and (is_blank or line[:1] in b" \t"):
            _continue(fields, line)
        elif _FIELD.match(line[:200]):
            fields.append(line[:MAX_FIELD_BYTES])
        elif not line.startswith((b"From ", b">From ")):  # a mailbox's separator is skipped
            if not _resumes(raw, end, fields):
                return _read_fields(fields), raw[position:]
            if fields:
                _continue(fields, line)
        typed |= line[:12].lower() == b"content-type"
        position = end + 1
    rest = raw[position:]
    return _read_fields(fields), rest.partition(b"\n\n")[2] or rest  # the head is longer than is read


def _continue(fields: list[bytes], line: bytes) -> None:
    if len(fields[-1]) < MAX_FIELD_BYTES:  # else every line of a long field would copy all of it
        fields[-1] = (fields[-1] + b" " + line.strip()[:MAX_FIELD_BYTES])[:MAX_FIELD_BYTES]


def _resumes(raw: bytes, end: int, fields: list[bytes]) -> bool:
    """Whether fields follow a line that is none: the next line, or a usual field within `MAX_JUNK` lines."""
    if fields and _FIELD.match(raw[end + 1 : end + 200]) is not None:
        return True
    for _ in range(MAX_JUNK):
        start = end + 1
        end = raw.find(b"\n", start)
        line = raw[start : end if end >= 0 else len(raw)][:200]
        if end < 0 or not line.strip():
            return False
        if _MAIL_FIELD.match(line):
            return True
    return False


def _read_fields(fields: list[bytes]) -> Headers:
    found = (_FIELD.match(line) for line in fields)
    return tuple((m[1].decode("ascii").lower(), m[2].strip()) for m in found if m)


def header(headers: Headers, name: str) -> str:
    """The first value of that name, "" if there is none."""
    return next(values(headers, name), "")


def values(headers: Headers, name: str) -> Iterator[str]:
    """The values of that name in order, at most `MAX_SAME`."""
    return (decode(value, None) for value in islice((value for key, value in headers if key == name), MAX_SAME))


def decode_words(value: str) -> str:
    """Encoded words (RFC 2047) decoded. Adjacent words are joined first: some senders split characters between them."""
    if "=?" not in value:
        return value
    return _WORDS.sub(_decode_run, _BETWEEN_WORDS.sub("", value[:MAX_FIELD_BYTES]))


def _decode_run(match: re.Match[str]) -> str:
    pieces: list[tuple[str, bytes]] = []
    for charset, encoding, text in _WORD.findall(match[0]):
        data = text.encode("utf-8", "replace")
        data = decode_base64(data) if encoding in "bB" else quopri.decodestring(data, header=True)
        if pieces and pieces[-1][0] == charset.lower():
            data = pieces.pop()[1] + data
        pieces.append((charset.lower(), data))
    return "".join(decode(data, charset) for charset, data in pieces)


def decode_base64(data: bytes) -> bytes:
    """The readable part of base64 that may be damaged or cut."""
    data = data.translate(None, _NOT_BASE64)
    usable = len(data) - (len(data) % 4 == 1)
    return binascii.a2b_base64(data[:usable] + b"=" * (-usable % 4))


def parameters(value: str) -> dict[str, str]:
    """Parameters of a structured field, with RFC 2231 continuations and percent encoding resolved."""
    plain: dict[str, str] = {}
    split: dict[str, list[tuple[int, bool, str]]] = {}
    for match in islice(_PARAMETER.finditer(value[:MAX_FIELD_BYTES]), MAX_PARAMETERS):
        name, quoted = match.groups()
        text = quoted.strip()
        text = text[1:-1].replace("\\", "") if text.startswith('"') and text.endswith('"') else text.strip('"')
        base, star, index = name.lower().partition("*")
        if star:
            number = index.rstrip("*")
            split.setdefault(base, []).append((int(number[:3]) if number.isdecimal() else 0, name.endswith("*"), text))
        else:
            plain.setdefault(base, text)
    joined: dict[str, str] = {}
    for base, pieces in split.items():
        charset, data = None, b""
        for position, (_, encoded, text) in enumerate(sorted(pieces)):
            if encoded and position == 0 and text.count("'") >= 2:
                charset, _, text = text.split("'", 2)
            data += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
        joined[base] = decode(data, charset)
    return joined | plain


def addresses(value: str) -> tuple[str, ...]:
    """Bare addresses of a From, To or Cc field, at most `MAX_ADDRESSES`, in lower case."""
    found: dict[str, None] = {}
    for piece in _QUOTED.sub(" ", value[:MAX_FIELD_BYTES].replace("><", ">,<")).replace(";", ",").split(","):
        match = _IN_BRACKETS.search(piece)
        address = match[1] if match else next((run for run in _BARE.findall(piece) if "@" in run[1:-1]), "")
        if address and len(address) <= 254:
            found[address.lower()] = None
    return tuple(found)[:MAX_ADDRESSES]
