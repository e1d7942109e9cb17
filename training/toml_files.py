"""The product's TOML files (recipe, labels) ↔ frozen models; every fault is reported in one line."""

import tomllib
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, TypeVar

import tomlkit
from pydantic import BaseModel, ValidationError

from models.errors import TicketRouterError

Model = TypeVar("Model", bound=BaseModel)


def load_toml(path: Path, model: type[Model], kind: str) -> Model:
    """Read and validate a file; `kind` names the kind of file in errors, e.g. `recipe`.

    Raises:
        TicketRouterError: the file is unreadable, not TOML, or has a field that is unknown or out of bounds.
    """
    try:
        return model.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise TicketRouterError(f"{path}: cannot be read as a {kind}; give a UTF-8 TOML file") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TicketRouterError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = repr(".".join(str(part) for part in first["loc"]))[1:-1]
        what = first["msg"].removeprefix("Value error, ")
        raise TicketRouterError(f"{path}: {where}: {what}; see docs/training.md for the fields") from error


def toml_text(model: BaseModel, start: str = "") -> str:
    """The model as TOML: the text of `start` with its comments and order, and with the model's values.

    Every field that has a value is written, so that the file keeps its meaning when a default changes.
    """
    document = tomlkit.parse(start)
    _fill(document, model.model_dump(mode="json", exclude_none=True))
    return tomlkit.dumps(document)


def _fill(table: MutableMapping[str, Any], values: Mapping[str, Any]) -> None:
    # Values before tables: a key after a table's header would belong to the table.
    for name, value in sorted(values.items(), key=lambda item: isinstance(item[1], dict)):
        if isinstance(value, dict):
            _fill(table.setdefault(name, tomlkit.table()), value)
        elif table.get(name) != value:
            table[name] = value
