"""Reads header fields: splitting them off, unfolding, encoded words, parameters, addresses. Used by `mime` and `email`.

Everything is capped and linear; broken fields give what can be read of them.
"""

import binascii
import quopri
import re
from urllib.parse import unquote_to_bytes

from models.charsets import decode

MAX_HEADER_BYTES = 64_000
MAX_FIELD_BYTES = 8_000
MAX_ADDRESSES = 100

Headers = tuple[tuple[str, str], ...]

_FIELD = re.compile(rb"([!-9;-~]{1,80})[ \t]*:(.*)", re.DOTALL)
_MIME_FIELD = re.compile(rb"(?:mime-version|content-type|content-transfer-encoding|message-id)[ \t]*:", re.IGNORECASE)
_PARAMETER = re.compile(r";\s*([\w.*%-]{1,60})\s*=\s*(\"(?:[^\"\\]|\\.)*\"|[^;]*)")
_WORD = re.compile(r"=\?([\w.:+-]{1,40})(?:\*[\w-]{0,20})?\?([bBqQ])\?([^?\n]{0,1000})\?=")
_WORDS = re.compile(rf"(?:{_WORD.pattern.replace('(', '(?:').replace('(?:?:', '(?:')})+")
_BETWEEN_WORDS = re.compile(r"(?<=\?=)\s+(?==\?)")
_QUOTED = re.compile(r"\"[^\"]*\"|\([^()]*\)")
_IN_BRACKETS = re.compile(r"<\s*([^<>\s]*@[^<>\s]*)\s*>")
_BARE = re.compile(r"[^\s<>()\"',;:]+@[^\s<>()\"',;:]+")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")


def split_head(raw: bytes) -> tuple[Headers, bytes]:
    """Fields, names in lower case and values unfolded; and the body. Line ends must be `\\n`."""
    fields: list[bytes] = []
    position, limit = 0, min(len(raw), MAX_HEADER_BYTES)
    while position < limit:
        end = raw.find(b"\n", position)
        end = len(raw) if end < 0 else end
        line = raw[position:end]
        if not line.strip() and not _goes_on(raw, end, fields):
            return _read_fields(fields), raw[end + 1 :]
        if not _take(line, fields) and not _resumes(raw, end, fields):
            return _read_fields(fields), raw[position:]
        position = end + 1
    return _read_fields(fields), raw[position:]


def _take(line: bytes, fields: list[bytes]) -> bool:
    """Adds a header line; False if it is none. Mailbox separators ("From ann …") are swallowed."""
    if fields and (not line.strip() or line[:1] in b" \t"):
        fields[-1] = (fields[-1] + b" " + line.strip()[:MAX_FIELD_BYTES])[:MAX_FIELD_BYTES]
        return True
    if _FIELD.match(line[:200]):
        fields.append(line[:MAX_FIELD_BYTES])
        return True
    return line.startswith((b"From ", b">From "))


def _goes_on(raw: bytes, end: int, fields: list[bytes]) -> bool:
    """Whether a blank line only broke the head: the fields that make a body readable come after it."""
    if not fields or any(line[:13].lower().startswith(b"content-type") for line in fields):
        return False
    return _MIME_FIELD.match(raw[end + 1 : end + 40]) is not None


def _resumes(raw: bytes, end: int, fields: list[bytes]) -> bool:
    """Whether a broken line is followed by a field again: then it alone is skipped."""
    return bool(fields) and _FIELD.match(raw[end + 1 : end + 200]) is not None


def _read_fields(fields: list[bytes]) -> Headers:
    found = (_FIELD.match(line) for line in fields)
    return tuple((m[1].decode("ascii").lower(), decode(m[2].strip(), None)) for m in found if m)


def header(headers: Headers, name: str) -> str:
    """The first value of that name, "" if there is none."""
    return next((value for key, value in headers if key == name), "")


def decode_words(value: str) -> str:
    """Encoded words (RFC 2047) decoded; neighbours are joined first, as some senders split characters between them."""
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
    """What can be read of base64, however damaged or cut."""
    data = _NOT_BASE64.sub(b"", data)
    usable = len(data) - (len(data) % 4 == 1)
    return binascii.a2b_base64(data[:usable] + b"=" * (-usable % 4))


def parameters(value: str) -> dict[str, str]:
    """Parameters of a structured field, with RFC 2231 continuations and percent encoding resolved."""
    plain: dict[str, str] = {}
    split: dict[str, list[tuple[int, bool, str]]] = {}
    for name, quoted in _PARAMETER.findall(value[:MAX_FIELD_BYTES]):
        text = quoted.strip()
        text = text[1:-1].replace("\\", "") if text.startswith('"') and text.endswith('"') else text.strip('"')
        base, star, index = name.lower().partition("*")
        if star:
            number = index.rstrip("*")
            split.setdefault(base, []).append((int(number[:3]) if number.isdecimal() else 0, name.endswith("*"), text))
        else:
            plain.setdefault(base, text)
    return {base: _joined(pieces) for base, pieces in split.items()} | plain


def _joined(pieces: list[tuple[int, bool, str]]) -> str:
    pieces.sort()
    charset, data = None, b""
    for position, (_, encoded, text) in enumerate(pieces):
        if encoded and position == 0 and text.count("'") >= 2:
            charset, _, text = text.split("'", 2)
        data += unquote_to_bytes(text) if encoded else text.encode("utf-8", "replace")
    return decode(data, charset)


def addresses(value: str) -> tuple[str, ...]:
    """Bare addresses of a From, To or Cc field, at most `MAX_ADDRESSES`, in lower case."""
    found: dict[str, None] = {}
    for piece in _QUOTED.sub(" ", value[:MAX_FIELD_BYTES].replace("><", ">,<")).replace(";", ",").split(","):
        match = _IN_BRACKETS.search(piece)
        address = match[1] if match else next(iter(_BARE.findall(piece)), "")
        if address and len(address) <= 254:
            found[address.lower()] = None
    return tuple(found)[:MAX_ADDRESSES]
