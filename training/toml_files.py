"""TOML files of our own (recipe, labels) → frozen models, with one line for whatever is wrong in them."""

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from models.errors import TicketRouterError

Model = TypeVar("Model", bound=BaseModel)


def load_toml(path: Path, model: type[Model], kind: str) -> Model:
    """Read and validate a file; `kind` says in errors what it should have been, e.g. `recipe`.

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
