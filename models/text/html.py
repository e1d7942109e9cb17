"""HTML to text in one pass over its tags; used by `text.prepare` and, to compare parts, by `mail.body`.

No tree is built: tree builders are quadratic on hostile input (measured: lexbor needs 2.1 s for 40,000 nested `<div>`
and 6.2 s for one tag of 60,000 attributes, `html.parser` 77 s for 195 KB of `<!--`), and only the text, its line breaks
and the quoted regions are needed. Quoted regions become lines that begin with `>`, as in plain-text mail.
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

# Elements without text, and the pattern that ends them.
_RAW = {
    name: re.compile("</" + name, re.IGNORECASE | re.ASCII)
    for name in ("script", "style", "title", "template", "noframes", "xml")
} | {"!--": re.compile("--!?>")}
_VOID = frozenset({"br", "hr", "img", "input", "meta", "link", "col", "base", "wbr", "area", "source"})
_PARAGRAPH = frozenset({"p", "h1", "h2", "h3", "h4", "h5", "h6"})
_LINE = _PARAGRAPH | {
    "div", "tr", "table", "ul", "ol", "dl", "dt", "dd", "center", "section", "article", "header", "footer", "main",
    "form", "fieldset", "address", "pre", "body", "html", "thead", "tbody", "tfoot", "caption", "option", "select",
    "aside", "nav", "figure", "figcaption", "details", "summary", "blockquote", "li",
}  # fmt: skip
_HIDEABLE = frozenset({"div", "span", "td", "tr", "table", "p", "font", "a", "center", "section"})

# Searched in a tag in lower case without blanks. Not `font-size:0`: newsletters set it on a wrapper whose children
# set a size.
_HIDDEN = ("display:none", "visibility:hidden", "mso-hide:all")
# Where webmail and desktop clients put the message being answered. A plain `blockquote` may be any quotation.
_QUOTE_CONTAINERS = (
    "yahoo_quoted", "ymail_quoted", "protonmail_quote", "zmail_extra", "tutanota_quote", "__quoted_text__",
    "gmail_extra_quote", "mail.ru_quote", "js-helperjs-readmsg-msg", "edo-reply-quote", "quoted-mail",
    "messagereplysection", "gmail_attr", 'name="quote"',
)  # fmt: skip
# Gmail's outer `div.gmail_quote` also holds what is typed below the quote: its blockquote is the quote.
_QUOTE_MARKUP = {
    "div": _QUOTE_CONTAINERS,
    "blockquote": ("type=cite", 'type="cite', "type='cite", "gmail_quote", *_QUOTE_CONTAINERS),
}
# Outlook has no container: a marker or a bordered header block, and the old message follows as siblings. GMX has one,
# and no blank line between header and message.
_REPLY_MARKERS = (
    "divrplyfwdmsg", "appendonsend", "mail-editor-reference-message-container", "outlookmessageheader",
    "border-top:solid#e1e1e1", "border-top:solid#b5c4df", "border-top:solid#c4c4c4",
    'name="quote"',
)  # fmt: skip
MARK = "\ufdd0"
"""Begins each line of a quote that the markup declares as a quote; lines of plain blockquotes begin with `>`."""
RULE = "-" * 32
"""Of hyphens, because a line of underscores may be typed text or begin a signature."""


class _Tag(NamedTuple):
    name: str
    closing: bool
    source: str
    """In lower case, without blanks, of at most `MAX_TAG` characters: attributes are only searched, never parsed."""


@dataclass(slots=True)
class _Region:
    """An element that is hidden or a quote, until its closing tag; `open` counts open tags of that name."""

    tag: str
    hidden: bool
    mark: str = ""
    open: int = 1


def html_to_text(html: str, *, keep_quotes: bool = False, budget: Budget = UNLIMITED) -> str:
    """Readable text; quoted regions as `> ` lines unless `keep_quotes` (a forward's quote is its message)."""
    return _TextWriter(keep_quotes).read(html, budget) or _TextWriter(True, keep_hidden=True).read(html, budget)


@dataclass(slots=True)
class _TextWriter:
    keep_quotes: bool
    keep_hidden: bool = False
    regions: list[_Region] = field(default_factory=list)
    """Open quotes; the last region may be hidden instead."""
    lines: list[str] = field(default_factory=list)
    line: list[str] = field(default_factory=list)
    preformatted: int = 0
    size: int = 0

    def read(self, html: str, budget: Budget) -> str:
        for token in _tokens(html):
            budget.check()
            if not isinstance(token, str):
                (self._close if token.closing else self._open)(token)
            elif self._visible():
                text = token[:MAX_TEXT]
                if "&" in text:
                    text = unescape(_BIG_NUMBER.sub("", text))
                self.size += len(text)
                first, *rest = text.split("\n") if self.preformatted else [text]
                self.line.append(first)
                for part in rest:
                    self._end_line(force=True)
                    self.line.append(part)
            if self.size > MAX_TEXT:
                break
        self._end_line()
        return "\n".join(self.lines).strip()

    def _visible(self) -> bool:
        return not self.regions or not self.regions[-1].hidden

    def _end_line(self, *, force: bool = False) -> None:
        text = _WHITE.sub(" ", "".join(self.line)).strip()
        self.line.clear()
        if text or force:
            sign = max(region.mark for region in self.regions) + "> " if self.regions else ""
            self.lines.append(sign + text)

    def _open(self, tag: _Tag) -> None:
        for region in self.regions:
            region.open += region.tag == tag.name
        if not self._visible():
            return
        if len(self.regions) < MAX_REGIONS and tag.name not in _VOID:
            if not self.keep_hidden and tag.name in _HIDEABLE and _has_any(_HIDDEN, tag.source):
                self.regions.append(_Region(tag.name, hidden=True))
                return
            declared = _has_any(_QUOTE_MARKUP.get(tag.name, ()), tag.source)
            # A style without a border is how editors indent a paragraph.
            if not self.keep_quotes and (declared or (tag.name == "blockquote" and "border:none" not in tag.source)):
                self._end_line()
                self.regions.append(_Region(tag.name, hidden=False, mark=MARK if declared else ""))
        if tag.name in {"td", "th"}:
            self.line.append(" ")
        elif tag.name in _LINE or tag.name in {"br", "hr"}:
            self._end_line(force=tag.name == "br")
        if tag.name == "hr" or (tag.name in {"div", "table"} and _has_any(_REPLY_MARKERS, tag.source)):
            self.line.append(RULE)
            self._end_line()
        elif tag.name == "li":
            self.line.append("- ")
        elif tag.name in _PARAGRAPH and "msonormal" not in tag.source and "".join(self.lines[-1:]).strip(f"{MARK}> "):
            self._end_line(force=True)
        self.preformatted += tag.name == "pre"

    def _close(self, tag: _Tag) -> None:
        if tag.name in _LINE and self._visible():
            # Word's blank line is a paragraph of one hard blank.
            blank = tag.name in {"p", "div"} and 0 < len(self.line) < 8 and "\xa0" in "".join(self.line)
            self._end_line(force=blank)
        if tag.name == "pre":
            self.preformatted = max(0, self.preformatted - 1)
        for region in self.regions:
            region.open -= region.tag == tag.name
        while self.regions and self.regions[-1].open <= 0:
            self.regions.pop()


def _has_any(words: tuple[str, ...], source: str) -> bool:
    return any(word in source for word in words)


def _tokens(html: str) -> Iterator[str | _Tag]:
    """Text and tags in order; comments, declarations and raw-text elements are skipped whole.

    Behind a comment or title that never ends browsers show nothing; here the text is kept.
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
        if match := _NAME.match(html, start):
            position, name = _tag_end(html, start), match[2].lower()
            if name in _RAW and not match[1]:
                position = _skip_raw(html, name, position, unending)
            else:
                source = html[start : min(position, start + MAX_TAG)]
                yield _Tag(name, bool(match[1]), "".join(source.lower().split()))
        elif html.startswith("<!--", start):
            position = max(start + 4, _skip_raw(html, "!--", start + 2, unending))
        elif html.startswith(("<!", "<?", "</"), start):
            position = _after(html, ">", start)
        else:
            position = start + 1
            yield "<"


def _skip_raw(html: str, name: str, start: int, unending: set[str]) -> int:
    """The end of the comment or element. If it never ends, only scripts and styles are skipped."""
    found = None if name in unending else _RAW[name].search(html, start)
    if found is not None:
        return found.end() if name == "!--" else found.start()
    unending.add(name)
    return len(html) if name in {"script", "style"} else start


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
