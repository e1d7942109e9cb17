"""A ticket's state, in the words of the tools (states.toml): closed, open, or unknown and listed for the user."""

import tomllib
from collections.abc import Collection, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from training.data.names import plain_name

CLOSED, OPEN, UNKNOWN = "closed", "open", "unknown"
_NUMBERS_NEED = 2
"""Columns of its own that a tool's export must have before its numbers are understood."""


def states_of(columns: Sequence[str], closed: Collection[str] = ()) -> "dict[str, str]":
    """Known states (plain) → CLOSED or OPEN, for a file with these columns.

    Args:
        columns: of the file; they tell the tool, and so what a number means.
        closed: further states that the user calls closed; they win.
    """
    there = {plain_name(column) for column in columns}
    known = dict(_words())
    for tool in _tables()["numbers"]:
        if len({plain_name(column) for column in tool["columns"]} & there) >= _NUMBERS_NEED:
            known |= {plain_name(state): kind for kind in (OPEN, CLOSED) for state in tool[kind]}
            break
    return known | {plain_name(state): CLOSED for state in closed}


@cache
def _words() -> Mapping[str, str]:
    tables = _tables()
    return {plain_name(word): kind for kind in (OPEN, CLOSED) for words in tables[kind].values() for word in words}


@cache
def _tables() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))
