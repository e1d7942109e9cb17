"""Words of strangers for a terminal: labels, file names and columns can hold what a terminal acts on.

An escape sequence moves the cursor, renames the window or paints over the line before; U+202E writes backwards. The
command lines of both sides pass all that they print through here.
"""

import json
from collections.abc import Iterable


def printable(text: str) -> str:
    """One line of visible characters: every other one is spelled as JSON spells it, so that JSON stays JSON."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def printed(lines: Iterable[str]) -> str:
    """Lines to be printed, each of them one."""
    return "\n".join(map(printable, lines))
