"""Frozen models → TOML, as `training tune` writes recipes: the standard library only reads it."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel


def toml_text(model: BaseModel) -> str:
    """Every field that has a value, so that the file means the same when a default changes."""
    return "\n".join(_lines(model.model_dump(mode="json", exclude_none=True), ())) + "\n"


def _lines(table: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[str]:
    if path:
        yield f"\n[{'.'.join(path)}]"
    tables = {name: value for name, value in table.items() if isinstance(value, dict)}
    for name, value in table.items():
        if name not in tables:
            yield f"{name} = {_value(value)}"
    for name, value in tables.items():
        yield from _lines(value, (*path, name))


def _value(value: Any) -> str:
    # JSON's strings, numbers, booleans and lists of those are TOML's too; DEL alone has to be escaped besides.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
