"""Escapes text for a terminal: labels, file names and columns may contain control characters.

An escape sequence can move the cursor, rename the window or overwrite the line above; U+202E reverses the text. The
command lines of `training` and `service` pass everything that they print through this module.
"""

import json
from collections.abc import Iterable


def printable(text: str) -> str:
    """One line of printable characters: others become JSON escapes, so that JSON output stays valid JSON."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else json.dumps(char)[1:-1] for char in text)


def printed(lines: Iterable[str]) -> str:
    """The lines, escaped and joined: each stays one line."""
    return "\n".join(map(printable, lines))
