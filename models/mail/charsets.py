"""Bytes of a mail → text. The declared charset may be wrong, missing, or no charset at all.

Labels have the meaning that browsers give them (webencodings); chardet guesses undeclared bytes in about 0.5 ms.
"""

import codecs
import re
import unicodedata

import chardet
import webencodings

# `bytes.decode` also accepts codecs that are slow or no charset (400 KB of "punycode" take 19 s): an allowlist.
_FAMILIES = (
    "utf", "iso8859", "iso2022", "cp", "koi8", "mac", "gb", "big5", "shift_jis", "euc", "hz", "johab", "tis", "ascii",
)  # fmt: skip
_WIDER = {
    "iso8859-1": "cp1252", "ascii": "utf-8", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
    "euc_kr": "cp949", "iso8859-9": "cp1254", "iso8859-11": "cp874", "tis-620": "cp874",
}  # fmt: skip
_ENCODINGS = chardet.EncodingEra.MODERN_WEB
_MAX_DAMAGE = 0.02
_SAMPLE = 4_096
_MAX_ESCAPES = 10_000
_JIS = re.compile(rb"\x1b(\$[@B]|\([BJI]|\$\([DQ])")
_PAIR = re.compile(rb"[\x21-\x7e]{2}")
# Mac Roman, read as Windows-1252 or -1256: "fŸr", "cafŽ", "Gr§e", "گtre".
_MISREAD = re.compile(r"[a-zß-öø-ÿšžœ](?:[À-ÖØ-ÞŠŽ]|[§‡ˆ•\x80-\x9f][a-z])|Ÿ|[\u0600-\u06ff][a-z]")
_META = re.compile(rb"<meta[^>]{1,200}charset\s{0,5}=\s{0,5}[\"']?\s{0,5}([\w:.-]{2,40})", re.IGNORECASE)

chardet.detect("ü".encode("latin-1") * 9, encoding_era=_ENCODINGS)  # loads its tables (0.6 s) before the first mail


def decode(data: bytes, label: str | None) -> str:
    """Never raises."""
    return decode_checked(data, label)[0]


def decode_checked(data: bytes, label: str | None) -> tuple[str, bool]:
    """The text, and whether it is reliable. Tried in turn: the declared charset, UTF-8, a guess."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        text = data.decode("utf-16", "replace")
        return text, _is_text(text)
    if data.isascii() and not any(sign in data for sign in (b"\x1b", b"~{", b"+", b"\0")):
        return data.decode("ascii"), True
    for name in (_codec(label), "iso2022_jp" if b"\x1b$" in data[:_SAMPLE] else "utf-8"):
        if name and (decoded := _decode_if_it_fits(data, name)) is not None:
            return decoded.removeprefix("\ufeff"), True
    guess = chardet.detect(data[:_SAMPLE], encoding_era=_ENCODINGS)["encoding"]
    text = data.decode(_codec(guess) or "cp1252", "replace")
    return text, guess is not None and _is_text(text) and _MISREAD.search(text, 0, _SAMPLE) is None


def declared_in_html(data: bytes) -> str | None:
    found = _META.search(data, 0, _SAMPLE)
    return found[1].decode("ascii") if found else None


def _codec(label: str | None) -> str | None:
    label = (label or "").strip("\"' \t")[:40]
    known = webencodings.lookup(label)
    try:
        # Browsers refuse to read HZ and ISO-2022-KR, which old mail programs still write.
        name = known.codec_info.name if known and known.name != "replacement" else codecs.lookup(label).name
    except (LookupError, ValueError):
        return None
    return _WIDER.get(name, name) if name.startswith(_FAMILIES) else None


def _decode_if_it_fits(data: bytes, name: str) -> str | None:
    """The text, if at most a few bytes fail to decode."""
    if name.startswith("utf-16") and b"\0" not in data[:_SAMPLE]:
        return None  # nearly any bytes are UTF-16 of some kind
    try:
        text = data.decode(name, "replace")
    except (UnicodeError, LookupError):
        return None
    damage = text.count("\ufffd")
    if not damage:
        return text
    if name.startswith("iso2022_jp"):
        return _decode_cp50221(data)
    if name == "utf-8":
        beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
        mostly = beyond_ascii >= 2 * damage  # bytes of Chinese and Japanese may look like UTF-8 here and there
        return data.decode(name, "stray") if mostly or damage <= _MAX_DAMAGE * len(text) else None
    return text if damage <= _MAX_DAMAGE * len(text) else None


def _decode_stray_bytes(error: UnicodeError) -> tuple[str, int]:
    """Decode bytes of Windows-1252 among UTF-8, as in an old signature or a pasted line."""
    assert isinstance(error, UnicodeDecodeError)
    if error.reason == "unexpected end of data":
        return "", error.end
    return error.object[error.start : error.end].decode("cp1252", "replace"), error.end


codecs.register_error("stray", _decode_stray_bytes)


def _decode_cp50221(data: bytes) -> str | None:
    """ISO-2022-JP as Windows writes it: with NEC's and IBM's characters, which Python has in cp932 only."""
    if data.count(b"\x1b") > _MAX_ESCAPES:
        return None
    pieces, charset = [], b"(B"
    for index, piece in enumerate(_JIS.split(data)):
        if index % 2:
            charset = piece
        elif charset in (b"$@", b"$B"):
            pieces.append(_PAIR.sub(_to_shift_jis, piece))
        elif charset == b"(I":
            pieces.append(bytes(byte | 0x80 for byte in piece))
        else:
            pieces.append(piece)
    text = b"".join(pieces).decode("cp932", "replace")
    return text if text.count("\ufffd") <= _MAX_DAMAGE * len(text) else None


def _to_shift_jis(pair: re.Match[bytes]) -> bytes:
    """Row and cell of JIS X 0208 as the two bytes of Shift JIS."""
    row, cell = pair[0]
    lead = (row + 1) // 2 + (0x70 if row < 0x5F else 0xB0)
    return bytes((lead, cell + (0x1F if cell < 0x60 else 0x20) if row % 2 else cell + 0x7E))


def _is_text(text: str) -> bool:
    """Whether a guess is plausible: almost no control, private or unassigned characters."""
    sample = text[:_SAMPLE]
    odd = sum(unicodedata.category(each) in {"Cc", "Cn", "Co"} for each in sample if each not in "\n\r\t\x0c")
    return odd + sample.count("\ufffd") <= _MAX_DAMAGE * len(sample)
