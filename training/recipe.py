"""The recipe: one frozen, typed run configuration, read from TOML. Everything that decides a bundle but the data."""

import tomllib
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, ValidationError, model_validator

from models.errors import TicketRouterError
from models.manifest import Frozen

Share = Annotated[float, Field(ge=0, lt=1)]
Precision = Annotated[float, Field(gt=0.5, lt=1)]


class SplitRecipe(Frozen):
    """How rows that the file does not assign itself are split, in shares of all rows."""

    validation: Share = 0.1
    """Early stopping and the comparison with the baseline."""
    calibration: Share = 0.1
    """Temperature and thresholds. Apart from validation: rows that chose the model flatter it."""
    test: Share = 0.1
    """The report. Taken only when the file has no split of its own: a file that has one says what its test is."""

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> Self:
        if self.validation + self.calibration + self.test >= 0.95:
            raise ValueError("the shares leave less than 5 % of the rows for training")
        return self


class PromiseRecipe(Frozen):
    """The precision that thresholds are set for, and how sure we must be of it."""

    route_precision: Precision = 0.95
    """Of what is routed without a person, at least this share is right."""
    suggest_precision: Precision = 0.8
    """Of what is routed or suggested, at least this share is right."""
    confidence: Precision = 0.95
    """The probability (over the draw of the calibration rows) with which each promise holds."""


class Recipe(Frozen):
    """How a bundle is made. Defaults suit some thousands of tickets; the reasons stand beside them."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 13
    epochs: Annotated[int, Field(ge=1, le=200)] = 10
    patience: Annotated[int, Field(ge=1)] = 3
    """Stop after this many epochs without a better macro-F1 on the validation rows."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of the top layer. None: 3e-4 for encoders narrower than 512, 5e-5 for wider ones, which break at 3e-4."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Each layer below learns this much slower: lower layers hold general language, which should stay."""
    head_multiplier: Annotated[float, Field(gt=0)] = 10.0
    """The new classification head starts from nothing and learns this much faster than the top layer."""
    warmup_share: Share = 0.06
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    label_smoothing: Share = 0.1
    pooling: Literal["mean", "cls"] = "mean"
    """mean: average of the last layer over the tokens; cls: its first token."""
    max_tokens: Annotated[int, Field(ge=16, le=512)] = 256
    """Longer tickets keep their head and tail. Twice as many tokens cost twice the time of every long ticket."""
    arithmetic: Literal["auto", "fp32", "bf16"] = "auto"
    """bf16 where the processor computes in it (training only: the exported model is fp32), fp32 elsewhere."""
    split: SplitRecipe = SplitRecipe()
    promise: PromiseRecipe = PromiseRecipe()


def load_recipe(path: Path | None) -> Recipe:
    """Read a recipe from TOML; without a path, the defaults.

    Raises:
        TicketRouterError: the file is unreadable, not TOML, or has a field that is unknown or out of bounds.
    """
    if path is None:
        return Recipe()
    try:
        return Recipe.model_validate(tomllib.loads(path.read_text("utf-8")))
    except (OSError, UnicodeDecodeError) as error:
        raise TicketRouterError(f"{path}: cannot be read as a recipe; give a UTF-8 TOML file") from error
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise TicketRouterError(f"{path}: not valid TOML: {error}") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = repr(".".join(str(part) for part in first["loc"]))[1:-1]
        raise TicketRouterError(f"{path}: {where}: {first['msg']}; see docs/training.md for the fields") from error
