"""Nested values → plain cells: JSON and Parquet hold objects and lists where a table has text."""

from collections.abc import Iterator, Mapping
from typing import Any

from training.data.formats.table import sound

_NAMING = (
    "display_value",
    "displayname",
    "display_name",
    "name",
    "title",
    "label",
    "value",
    "login",
    "email",
    "address",
)
"""Keys under which tools give the readable form of an object: a team is {"id": 7, "name": "Billing"}."""
_DEEPEST = 4


def plain_cells(values: Mapping[str, Any]) -> dict[str, str]:
    """Every plain value by its path (`via.channel`); an object that has a name also stands under its own."""
    cells: dict[str, str] = {}
    for name, cell in _walk(values, "", 0):
        cells.setdefault(sound(name), sound(cell))
    return cells


def _walk(values: Mapping[str, Any], path: str, deep: int) -> Iterator[tuple[str, str]]:
    for key, value in values.items():
        name = f"{path}{key}"
        if isinstance(value, Mapping):
            readable = _readable(value)
            if readable is not None:
                yield name, readable
            if deep < _DEEPEST:
                yield from _walk(value, f"{name}.", deep + 1)
        elif isinstance(value, list | tuple):
            parts = [_readable(each) if isinstance(each, Mapping) else _text(each) for each in value]
            if all(part is not None for part in parts):
                yield name, ", ".join(str(part) for part in parts)
            elif isinstance(value[0], Mapping) and deep < _DEEPEST:  # of messages the first is the request
                yield from _walk(value[0], f"{name}.", deep + 1)
        elif (text := _text(value)) is not None:
            yield name, text


def _readable(value: Mapping[str, Any]) -> str | None:
    lower = {str(key).lower(): each for key, each in value.items()}
    if lower.get("type") == "doc" and isinstance(lower.get("content"), list):
        return "\n".join(map(_document_text, lower["content"]))
    for key in _NAMING:
        if key in lower and isinstance(lower[key], str | int):
            return _text(lower[key])
    return None


def _document_text(node: object) -> str:
    """The text of a block in Atlassian's document format, in which Jira gives descriptions."""
    if not isinstance(node, Mapping):
        return ""
    if node.get("type") == "hardBreak":
        return "\n"
    inside = node.get("content")
    is_block = isinstance(inside, list) and any(isinstance(each, Mapping) and "content" in each for each in inside)
    between = "\n" if is_block else ""
    return str(node.get("text", "")) + between.join(map(_document_text, inside if isinstance(inside, list) else ()))


def _text(value: object) -> str | None:
    """A plain value as text; None: it is none."""
    if value is None or value != value:  # NaN: data tools' missing value
        return ""
    if isinstance(value, Mapping | list | tuple | bytes):
        return None
    return str(value)
