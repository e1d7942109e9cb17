"""HTML to text in one pass over its tags; used by `text.prepare` and, to compare parts, by `mail.body`.

No tree is built. A tree builder is quadratic on hostile input (measured: lexbor needs 2.1 s for 40,000 nested `<div>`
and 6.2 s for one tag of 60,000 attributes, `html.parser` 77 s for 195 KB of `<!--`), and all we want is the text, its
line breaks, and which of it is quoted: quoted regions come out as lines that begin with `>`, like plain-text mail.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from html import unescape
from typing import NamedTuple

from models.cpu_budget import UNLIMITED, Budget

MAX_TAGS = 12_000
MAX_TEXT = 64_000
MAX_REGIONS = 8
MAX_TAG = 800

_NAME = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9:]{0,30})")
_WHITE = re.compile(r"\s+")
_BIG_NUMBER = re.compile(r"&#[xX]?[0-9a-fA-F]{8,};?")  # html.unescape raises on numbers of 5,000 digits

_RAW = ("script", "style", "title", "template", "noframes", "xml")
_RAW_END = {name: re.compile("</" + name, re.IGNORECASE | re.ASCII) for name in _RAW}
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "col", "base", "wbr", "area", "source"})
_LINE = frozenset({
    "div", "tr", "table", "ul", "ol", "dl", "dt", "dd", "center", "section", "article", "header", "footer", "main",
    "form", "fieldset", "address", "pre", "body", "html", "thead", "tbody", "tfoot", "caption", "option", "select",
    "aside", "nav", "figure", "figcaption", "details", "summary",
})  # fmt: skip
_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})
_HIDEABLE = frozenset({"div", "span", "td", "tr", "table", "p", "font", "a", "center", "section"})
_QUOTED_VALUE = re.compile(r"\"[^\"]*\"|'[^']*'")
_HIDDEN_ATTRIBUTE = re.compile(r"\shidden(?![\w-])")
_HIDING = ("none", "hidden", "mso-hide")
# Not `font-size:0`: newsletters set it on a wrapper, and a size on what stands inside.
_HIDDEN = re.compile(r"display\s?:\s?none|visibility\s?:\s?hidden|mso-hide\s?:\s?all")

# Where webmail and desktop clients put the message being answered. A plain `blockquote` may be any quotation.
_QUOTE_CONTAINERS = (
    "yahoo_quoted", "ymail_quoted", "protonmail_quote", "zmail_extra", "tutanota_quote", "__quoted_text__",
    "gmail_extra_quote", "mail.ru_quote", "js-helper js-readmsg-msg", "edo-reply-quote", "quoted-mail",
    "messagereplysection", "gmail_attr", 'name="quote"',
)  # fmt: skip
# Outlook has no container: a marker or a bordered header block, and the old message follows as siblings.
_OUTLOOK = ("divrplyfwdmsg", "appendonsend", "mail-editor-reference", "outlookmessageheader", "border-top")
_OUTLOOK_RULE = re.compile(
    r"divrplyfwdmsg|id=[\"']?(?:x_)*appendonsend|mail-editor-reference-message-container|outlookmessageheader"
    r"|border-top\s?:\s?solid #(?:e1e1e1|b5c4df|c4c4c4)"
)
MARK = "\ufdd0"
"""Begins each line of a quote that the markup itself declares to be one; plain blockquotes have `>` alone."""
RULE = "-" * 32
"""Of hyphens: a line of underscores was typed, and may open a signature."""

# These say early in a tag that the mail itself calls it a quote.
_ANSWERS = re.compile(
    r"type=[\"']?cite|class=[\"'][^<>\"']{0,60}gmail_quote|" + "|".join(map(re.escape, _QUOTE_CONTAINERS))
)
_ANSWERING = ("cite", "gmail_quote", *_QUOTE_CONTAINERS)
_EARLY = 300
_COMMENT_END = re.compile("--!?>")


class _Tag(NamedTuple):
    name: str
    closing: bool
    source: str
    """The tag in lower case, at most `MAX_TAG` characters: attributes are only searched, never parsed."""


@dataclass(slots=True)
class _Region:
    """An open element that matters until its closing tag: it is counted, so crossing tags cannot confuse it."""

    tag: str
    quote: bool
    declared: bool = False
    open: int = 1


@dataclass(slots=True)
class _Writer:
    quote_depth: int = 0
    declared_depth: int = 0
    """Of quotes that the markup declares, where those are to be marked."""
    lines: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    preformatted: int = 0
    size: int = 0

    def text(self, source: str) -> None:
        source = source[:MAX_TEXT]
        if "&" in source:
            source = unescape(_BIG_NUMBER.sub("", source))
        self.size += len(source)
        if not self.preformatted:
            self.line.append(source)
            return
        first, *rest = source.split("\n")
        self.line.append(first)
        for part in rest:
            self.end_line(force=True)
            self.line.append(part)

    def end_line(self, *, force: bool = False) -> None:
        text = _WHITE.sub(" ", "".join(self.line)).strip()
        self.line.clear()
        if text or force:
            sign = (MARK if self.declared_depth else "") + "> " if self.quote_depth else ""
            self.lines.append(sign + text)

    def blank_line(self) -> None:
        self.end_line()
        if self.lines and self.lines[-1].strip(f"{MARK}> "):
            self.end_line(force=True)


def html_to_text(html: str, *, keep_quotes: bool = False, mark_quotes: bool = False, budget: Budget = UNLIMITED) -> str:
    """Readable text; quoted regions as `> ` lines unless `keep_quotes` (a forward's quote is its message).

    `mark_quotes`: a `MARK` before the lines of quotes that the markup declares.
    """
    text = _convert(html, budget, keep_quotes=keep_quotes, mark_quotes=mark_quotes, keep_hidden=False)
    return text or _convert(html, budget, keep_quotes=True, mark_quotes=False, keep_hidden=True)


def _has_any(words: tuple[str, ...], source: str) -> bool:
    """Asked before a regular expression that can only match where one of them is: far quicker on long tags."""
    return any(word in source for word in words)


def _convert(html: str, budget: Budget, *, keep_quotes: bool, mark_quotes: bool, keep_hidden: bool) -> str:
    writer = _Writer()
    regions: list[_Region] = []
    for token in _tokens(html):
        budget.check()
        if isinstance(token, str):
            if _visible(regions):
                writer.text(token)
        elif token.closing:
            _close(token, regions, writer)
        else:
            _open(token, regions, writer, keep_quotes=keep_quotes, mark_quotes=mark_quotes, keep_hidden=keep_hidden)
        if writer.size > MAX_TEXT:
            break
    writer.end_line()
    return "\n".join(writer.lines).strip()


def _visible(regions: list[_Region]) -> bool:
    return all(region.quote for region in regions)


def _open(
    tag: _Tag, regions: list[_Region], writer: _Writer, *, keep_quotes: bool, mark_quotes: bool, keep_hidden: bool
) -> None:
    for region in regions:
        region.open += region.tag == tag.name
    if not _visible(regions):
        return
    if len(regions) < MAX_REGIONS and tag.name not in _VOID:
        if not keep_hidden and tag.name in _HIDEABLE and _is_hidden(tag):
            regions.append(_Region(tag.name, quote=False))
            return
        declared = tag.name in {"blockquote", "div"} and _declares_quote(tag.source)
        if not keep_quotes and (declared or _is_quotation(tag)):
            writer.end_line()
            regions.append(_Region(tag.name, quote=True, declared=declared and mark_quotes))
            writer.quote_depth += 1
            writer.declared_depth += regions[-1].declared
    _break_before(tag, writer)


def _is_hidden(tag: _Tag) -> bool:
    if "style" in tag.source and _has_any(_HIDING, tag.source) and _HIDDEN.search(tag.source):
        return True
    return "hidden" in tag.source and _HIDDEN_ATTRIBUTE.search(_QUOTED_VALUE.sub("", tag.source)) is not None


def _declares_quote(source: str) -> bool:
    # Gmail's outer `div.gmail_quote` also holds what is typed below the quote: its blockquote is the quote.
    if not _has_any(_ANSWERING, source) or (source.startswith("<div") and not _has_any(_QUOTE_CONTAINERS, source)):
        return False
    found = _ANSWERS.search(source)
    return found is not None and found.start() <= _EARLY


def _is_quotation(tag: _Tag) -> bool:
    """A style without a border is how editors indent a paragraph."""
    return tag.name == "blockquote" and "border:none" not in tag.source.replace(" ", "")


def _is_outlooks(source: str) -> bool:
    return _has_any(_OUTLOOK, source) and _OUTLOOK_RULE.search(source) is not None


def _break_before(tag: _Tag, writer: _Writer) -> None:
    if tag.name == "br":
        writer.end_line(force=True)
    elif tag.name == "hr" or (tag.name in {"div", "table"} and _is_outlooks(tag.source)):
        writer.end_line()
        writer.line.append(RULE)
        writer.end_line()
    elif tag.name == "li":
        writer.end_line()
        writer.line.append("- ")
    elif tag.name in {"td", "th"}:
        writer.line.append(" ")
    elif tag.name in _PARAGRAPH and "msonormal" not in tag.source:
        writer.blank_line()
    elif tag.name in _LINE or tag.name in _PARAGRAPH or tag.name == "blockquote":
        writer.end_line()
    writer.preformatted += tag.name == "pre"


def _close(tag: _Tag, regions: list[_Region], writer: _Writer) -> None:
    if _visible(regions) and (tag.name in _LINE or tag.name in _PARAGRAPH or tag.name in {"blockquote", "li"}):
        # Word's blank line is a paragraph of one hard blank.
        writer.end_line(force=tag.name in {"p", "div"} and 0 < len(writer.line) < 8 and _is_hard_blank(writer.line))
    if tag.name == "pre":
        writer.preformatted = max(0, writer.preformatted - 1)
    for region in regions:
        region.open -= region.tag == tag.name
    while regions and regions[-1].open <= 0:
        closed = regions.pop()
        writer.quote_depth -= closed.quote
        writer.declared_depth -= closed.declared


def _is_hard_blank(pieces: list[str]) -> bool:
    return any("\xa0" in piece for piece in pieces) and not "".join(pieces).strip()


def _tokens(html: str) -> Iterator[str | _Tag]:
    """Text and tags in order; comments, declarations and raw-text elements are skipped whole.

    Browsers lose the rest of a page behind a comment or a title that never ends; here the words stay.
    """
    position, tags = 0, 0
    unending: set[str] = set()
    while position < len(html) and tags < MAX_TAGS:
        start = html.find("<", position)
        if start < 0:
            start = len(html)
        if start > position:
            yield html[position:start]
        if start == len(html):
            return
        tags += 1
        match = _NAME.match(html, start)
        if match is None:
            position = _skip_odd(html, start, unending)
            if position == start + 1:
                yield "<"
            continue
        position = end = _tag_end(html, start)
        name = match[2].lower()
        if name in _RAW_END and not match[1]:
            position = _raw_end(html, name, end, unending)
        else:
            yield _Tag(name, bool(match[1]), _lower(html[start : min(end, start + MAX_TAG)]))


def _skip_odd(html: str, start: int, unending: set[str]) -> int:
    """Past a comment, declaration or processing instruction; else past the `<` alone, which is then text."""
    if html.startswith("<!--", start):
        found = None if "!--" in unending else _COMMENT_END.search(html, start + 2)
        if found is None:
            unending.add("!--")
            return start + 4
        return found.end()
    if html.startswith(("<!", "<?", "</"), start):
        return _after(html, ">", start)
    return start + 1


def _after(html: str, what: str, start: int) -> int:
    end = html.find(what, start)
    return len(html) if end < 0 else end + len(what)


def _tag_end(html: str, start: int) -> int:
    """Past the `>` that closes the tag, quotes respected where they balance within a few steps."""
    first = end = _after(html, ">", start)
    counted, quotes = start, 0
    for _ in range(4):
        quotes += html.count('"', counted, end)
        if quotes % 2 == 0:
            return end
        counted = end
        end = _after(html, ">", _after(html, '"', end) - 1)
    return first


def _lower(source: str) -> str:
    """ASCII letters alone, as HTML compares names."""
    return source.encode("utf-8", "surrogatepass").lower().decode("utf-8", "surrogatepass")


def _raw_end(html: str, name: str, start: int, unending: set[str]) -> int:
    """Past the element. One that never ends is skipped to the end if it holds no words for people."""
    found = None if name in unending else _RAW_END[name].search(html, start)
    if found is not None:
        return _after(html, ">", found.start())
    unending.add(name)
    return len(html) if name in {"script", "style"} else start
