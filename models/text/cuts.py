"""What `prepare` cut from a body, block by block, for a person to look at.

`prepare` itself knows only that it cut a quote or a signature. Here its result is compared with the whole body, and the
rule of each missing block is read from its first lines. Nothing that decides an answer depends on this.
"""

from collections.abc import Sequence
from enum import StrEnum
from itertools import groupby
from typing import NamedTuple

from models.cpu_budget import UNLIMITED, Budget
from models.text.attribution import attribution_end
from models.text.header_block import read_block
from models.text.html import MARK
from models.text.prepare import PreparedText, TextFlag, whole_lines
from models.text.quotes import QUOTE
from models.text.signatures import DELIMITER
from models.text.subject import read_subject
from models.ticket import Ticket


class Rule(StrEnum):
    """Why lines were cut."""

    QUOTE = "quote"
    """Lines with `>`, or a quote that the mail's markup declares."""
    ATTRIBUTION = "attribution"
    """The line that introduces a quote: "On Monday, Ann wrote:"."""
    HEADER = "header"
    """The header block of a quoted or forwarded message."""
    SIGNATURE = "signature"
    QUOTED_MAIL = "quoted_mail"
    """The message below an attribution or a header block, without `>`."""
    LENGTH = "length"
    """The middle of a text that is longer than is read."""


class Block(NamedTuple):
    """Consecutive lines. `rule` None: the model's text has them."""

    rule: Rule | None
    text: str


def blocks(ticket: Ticket, prepared: PreparedText, budget: Budget = UNLIMITED) -> list[Block]:
    """The body's lines in order, kept and cut.

    Raises:
        TooComplex: the budget is used up.
    """
    lines = whole_lines(ticket, budget)
    subject = read_subject(ticket.subject).text
    body = prepared.text.removeprefix(subject).removeprefix("\n")
    kept = _kept(lines, body.split("\n"))
    rules: list[Rule | None] = [None] * len(lines)
    start = 0
    capped = TextFlag.CHARACTERS_CAPPED in prepared.flags
    while start < len(lines):
        end = start + 1
        if not kept[start]:
            while end < len(lines) and not kept[end]:
                end += 1
            rules[start:end] = _rules(lines, start, end, capped, budget)
        start = end
    found = []
    place = 0
    for rule, group in groupby(rules):
        count = len(list(group))
        text = "\n".join(lines[place : place + count]).replace(MARK, "").replace(DELIMITER, "--").strip("\n")
        place += count
        if text:
            found.append(Block(rule, text))
    return found


def _kept(lines: Sequence[str], body: Sequence[str]) -> list[bool]:
    """Which lines the body has: matched from the start, and behind the first that is missing, from the end."""
    kept = [not line for line in lines]
    wanted = [line for line in (each.strip() for each in body) if line]
    numbers = [number for number, line in enumerate(lines) if line]
    texts = {number: _plain(lines[number]) for number in numbers}
    first, last = 0, -1
    for number in numbers:
        if first < len(wanted) and wanted[first] in texts[number]:
            kept[number], first, last = True, first + 1, number
    left = len(wanted) - 1
    for number in reversed(numbers):
        if number <= last or left < first:
            break
        if wanted[left] in texts[number]:
            kept[number], left = True, left - 1
    # A blank line belongs to what stands above it.
    for number in range(1, len(lines)):
        if not lines[number]:
            kept[number] = kept[number - 1]
    return kept


def _plain(line: str) -> tuple[str, ...]:
    """The line as the body may have it: in a forward the quote's marks are gone."""
    plain = line.replace(MARK, "").replace(DELIMITER, "--").strip()
    return plain, plain.lstrip("> ").strip()


def _rules(lines: Sequence[str], start: int, end: int, capped: bool, budget: Budget) -> list[Rule]:
    rules: list[Rule] = []
    quoted = frozenset(number for number in range(start, end) if QUOTE.match(lines[number]))
    rule = Rule.LENGTH if capped else Rule.QUOTED_MAIL
    number = start
    while number < end:
        budget.check()
        line = lines[number]
        if number in quoted or line.startswith(MARK):
            rule = Rule.QUOTE
        elif line in (DELIMITER, "--", "\u2014", "\u2013"):
            rule = Rule.SIGNATURE
        elif line and (found := attribution_end(lines, number, quoted=quoted, strict=False)) is not None:
            rules += [Rule.ATTRIBUTION] * (min(found, end) - number)
            number, rule = min(found, end), Rule.QUOTED_MAIL
            continue
        elif line and (block := read_block(lines, number, after_rule=number > start, expected=True)) is not None:
            rules += [Rule.HEADER] * (min(block.end, end) - number)
            number, rule = min(block.end, end), Rule.QUOTED_MAIL
            continue
        rules.append(rule)
        number += 1
    return rules
