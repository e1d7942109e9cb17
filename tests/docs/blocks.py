"""The fenced blocks of the documentation: their place, their content, and the reason if one is not run.

A block of commands is `sh`: every line is a command. A block with output is `console`: lines after `$ ` are commands,
the rest is output. `<!-- not run: reason -->` on the line before a block keeps its commands from being run; they are
checked all the same (`checks.py`).
"""

import functools
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from markdown_it import MarkdownIt

from tests.support.process import ROOT

COMMANDS = frozenset({"sh", "console"})
PROMPT = "$ "
_MARKER = re.compile(r"<!--\s*not run:\s*(.*?)\s*-->", re.DOTALL)


@dataclass(frozen=True)
class Statement:
    """One complete shell statement, its continued lines joined as written, and the output shown below it."""

    text: str
    output: str = ""


@dataclass(frozen=True)
class Block:
    """A fenced block. `line` counts from 1; `not_run` is the reason beside it, `before` the block it follows."""

    page: str
    line: int
    language: str
    text: str
    not_run: str | None
    before: "Block | None" = field(repr=False)

    @property
    def name(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def is_answer(self) -> bool:
        """JSON directly after a block of commands is the response to the last of them."""
        return self.language == "json" and self.before is not None and self.before.language == "sh"


def pages() -> list[Path]:
    return sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])


@functools.cache
def all_blocks() -> tuple[Block, ...]:
    return tuple(block for page in pages() for block in blocks_of(page.relative_to(ROOT).as_posix(), page.read_text()))


def blocks_of(page: str, text: str) -> Iterator[Block]:
    """The fenced blocks of a page's Markdown, in order."""
    marker, before = None, None
    for token in MarkdownIt().parse(text):
        if token.type == "fence":
            assert token.map is not None
            before = Block(page, token.map[0] + 1, token.info.strip(), token.content, marker, before)
            yield before
        found = _MARKER.search(token.content) if token.type == "html_block" else None
        marker = found[1] if found else None


def code_in_text(text: str) -> Iterator[str]:
    """The text between backticks in a page's prose and tables."""
    for token in MarkdownIt().enable("table").parse(text):
        yield from (child.content for child in token.children or () if child.type == "code_inline")


@functools.cache
def statements(block: Block) -> tuple[Statement, ...]:
    """The complete statements of a block of commands.

    Raises:
        AssertionError: the block ends inside a statement: a quote or a loop is left open.
    """
    return tuple(_typed(block) if block.language == "console" else _plain(block.text.splitlines()))


def _typed(block: Block) -> Iterator[Statement]:
    for part in re.split(rf"^{re.escape(PROMPT)}", block.text, flags=re.MULTILINE)[1:]:
        lines = part.splitlines()
        ends = next((end for end in range(1, len(lines) + 1) if _complete("\n".join(lines[:end]))), None)
        assert ends is not None, f"{block.name}: a statement is not complete"
        yield Statement("\n".join(lines[:ends]), "\n".join(lines[ends:]))


def _plain(lines: list[str]) -> Iterator[Statement]:
    held: list[str] = []
    for line in lines:
        if not held and (not line.strip() or line.lstrip().startswith("#")):
            continue
        held.append(line)
        if _complete("\n".join(held)):
            yield Statement("\n".join(held))
            held = []
    assert not held, f"not complete: {held[0]}"


@functools.cache
def _complete(text: str) -> bool:
    """Decided by bash: only bash knows all its quotes, loops and here-documents."""
    if text.rstrip(" ").endswith("\\"):
        return False
    run = subprocess.run(["bash", "-n"], input=text, capture_output=True, text=True, env={"LC_ALL": "C"})
    return run.returncode == 0 and "here-document" not in run.stderr
