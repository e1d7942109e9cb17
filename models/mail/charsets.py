"""Bytes of a mail → text, whatever the label says: labels are wrong, missing, or not charsets at all."""

import codecs
import re

# `bytes.decode` also takes codecs that are slow or no charset (400 KB of "punycode" take 19 s): names go by family.
_FAMILIES = (
    "utf", "iso8859", "iso2022", "cp", "koi8", "mac", "gb", "big5", "shift_jis", "euc", "hz", "johab", "tis", "ascii",
)  # fmt: skip
_WIDER = {
    "iso8859-1": "cp1252", "ascii": "utf-8", "gb2312": "gb18030", "gbk": "gb18030", "shift_jis": "cp932",
    "euc_kr": "cp949", "iso8859-9": "cp1254",
}  # fmt: skip
_MAX_DAMAGE = 0.02
_SAMPLE = 4_096
_FEW = 4  # fewer bytes beyond ASCII than this are accents in a Latin word
_HIGH = re.compile(rb"[\x80-\xff]")
_LETTER = re.compile(rb"[A-Za-z\x80-\xff]")
_BEYOND_ASCII = re.compile(r"[^\x00-\x7f]")

# Undeclared bytes in a script other than Latin: the first charset in which enough of the characters beyond ASCII are
# the script's everyday ones. The order matters: Korean would pass for Chinese, and Russian for Greek (where the bytes
# of "а" and "о" are rare letters). Better on one line of text than the statistical detectors, and no library.
_GUESSES: tuple[tuple[str, re.Pattern[str], float], ...] = (
    ("cp932", re.compile("[ぁ-ん]"), 0.25),
    ("euc_jp", re.compile("[ぁ-ん]"), 0.25),
    ("cp949", re.compile("[가-힣]"), 0.9),
    ("koi8_r", re.compile("[а-яё]"), 0.7),
    ("gb18030", re.compile("[的一是不了我在有您好请单没到订货款退查询题问谢你们帐号收]"), 0.15),
    ("big5", re.compile("[的一是不了我在有您好請單沒到訂貨款退查詢題問謝你們帳號收]"), 0.15),
    ("cp1251", re.compile("[ао]"), 0.1),
    ("cp1253", re.compile("[ά-νο-ώ]"), 0.85),
)


def decode(data: bytes, label: str | None) -> str:
    """Never raises. The declared charset where it is one and fits, else UTF-8, else a guess."""
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return data.decode("utf-16", "replace")
    fallback = "iso2022_jp" if b"\x1b$" in data[:_SAMPLE] else "utf-8"
    for name in (_codec(label), fallback):
        text = _fits(data, name) if name else None
        if text is not None:
            return text.removeprefix("\ufeff")
    return data.decode(_guess(data[:_SAMPLE]), "replace")


def _codec(label: str | None) -> str | None:
    try:
        name = codecs.lookup((label or "").strip("\"' ")[:40]).name
    except (LookupError, ValueError):
        return None
    return _WIDER.get(name, name) if name.startswith(_FAMILIES) else None


def _fits(data: bytes, name: str) -> str | None:
    """The text, if hardly a byte fails to decode (one may: a character cut in two at the end)."""
    try:
        text = data.decode(name, "replace")
    except (UnicodeError, LookupError):
        return None
    damage = text.count("\ufffd")
    return text if damage <= _MAX_DAMAGE * len(text) or (damage == 1 and text.endswith("\ufffd")) else None


def _guess(sample: bytes) -> str:
    high, letters = len(_HIGH.findall(sample)), len(_LETTER.findall(sample))
    if high >= max(_FEW, 0.3 * letters):
        for name, everyday, share in _GUESSES:
            text = _fits(sample, name) or ""
            if len(everyday.findall(text)) >= max(1, share * len(_BEYOND_ASCII.findall(text))):
                return name
    return "cp1252"
