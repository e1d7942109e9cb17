"""The encoding of a text file: from its byte order mark, from whether all of it is UTF-8, else a guess that is told."""

import re
from dataclasses import dataclass

import chardet

from training.data.formats.raw import RawFile, unpacking

_MARKS = (
    (b"\xef\xbb\xbf", "utf-8-sig"),
    (b"\xff\xfe\0\0", "utf-32"),
    (b"\0\0\xfe\xff", "utf-32"),
    (b"\xff\xfe", "utf-16"),
    (b"\xfe\xff", "utf-16"),
)
_CHUNK = 1 << 20
_SAMPLE = 1 << 15
_ESCAPED = re.compile("[\udc80-\udcff]+")
_WESTERN = frozenset(("iso8859-1", "iso-8859-1", "ascii", "windows-1252", "cp1252", "iso-8859-15", "utf-8"))


@dataclass(frozen=True, slots=True)
class Encoding:
    """A codec, what to do with bytes that it cannot decode, and what was guessed."""

    codec: str
    errors: str = "replace"
    note: str = ""


def encoding_of(raw: RawFile) -> Encoding:
    """Reads the whole file once: the first odd byte may stand on its last line."""
    for mark, codec in _MARKS:
        if raw.head.startswith(mark):
            note = "" if codec == "utf-8-sig" else f"read as {codec.upper()}"
            return Encoding(codec, "surrogateescape" if codec == "utf-8-sig" else "replace", note)
    even, odd = raw.head[0:4000:2].count(0), raw.head[1:4000:2].count(0)
    if max(even, odd) > len(raw.head[:4000]) // 5 and min(even, odd) * 10 < max(even, odd):
        codec = "utf-16-le" if odd > even else "utf-16-be"
        return Encoding(codec, note=f"read as {codec.upper()}, by its bytes")
    letters, odd_bytes, sample = _scan(raw)
    # An odd byte among many sound letters is damage in a UTF-8 file, not another encoding: see `bad_bytes`.
    if odd_bytes <= letters // 4:
        return Encoding("utf-8", "surrogateescape")
    codec = _guess(sample)
    return Encoding(codec, note=f"not UTF-8: read as {codec} (guessed by its bytes)")


def bad_bytes(text: str) -> bool:
    """Whether a decoded text holds bytes that were not UTF-8."""
    return not text.isascii() and _ESCAPED.search(text) is not None


def _scan(raw: RawFile) -> tuple[int, int, bytes]:
    """Letters beyond ASCII in sound UTF-8, bytes that are none, and a sample of lines with such bytes."""
    letters = odd = 0
    sample, rest = b"", b""
    with unpacking(raw.path), raw.open() as file:
        while chunk := file.read(_CHUNK):
            chunk = rest + chunk
            cut = chunk.rfind(b"\n") + 1 or len(chunk)
            rest, chunk = chunk[cut:], chunk[:cut]
            if not chunk.isascii():
                counts, sample = _counted(chunk, sample)
                letters, odd = letters + counts[0], odd + counts[1]
        counts, sample = _counted(rest, sample)
    return letters + counts[0], odd + counts[1], sample


def _counted(chunk: bytes, sample: bytes) -> tuple[tuple[int, int], bytes]:
    text = chunk.decode("utf-8", "surrogateescape")
    odd = sum(len(found) for found in _ESCAPED.findall(text))
    letters = len(re.findall("[^\0-\x7f\udc80-\udcff]", text))
    if odd and len(sample) < _SAMPLE:
        sample += b"\n".join(line for line in chunk.split(b"\n") if not line.isascii())[:_SAMPLE]
    return (letters, odd), sample


def _guess(sample: bytes) -> str:
    found = chardet.detect(sample, encoding_era=chardet.EncodingEra.MODERN_WEB)
    name = (found["encoding"] or "").lower()
    if not name or name in _WESTERN or (found["confidence"] or 0) < 0.2:
        return "cp1252"
    try:
        sample.decode(name, "replace")
    except LookupError:
        return "cp1252"
    return name
