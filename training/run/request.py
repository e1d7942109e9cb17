"""The options and the result of a run."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.source import TicketFile
from training.evaluation.record import Record
from training.recipe import Recipe

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """The fields to learn, the file, and the store for the bundle."""

    file: TicketFile
    recipe: Recipe
    base: str
    store: Path
    fields: tuple[str, ...] = (DEPARTMENT,)
    quick: bool = False
    """Without fine-tuning: a linear head on the frozen encoder, and the n-grams."""
    allow_empty: bool = False
    """Make the first bundle of a store current although it routes nothing."""


@dataclass(frozen=True, slots=True)
class TrainResult:
    """The bundle's folder, and its findings as in `metrics.json`."""

    bundle: Path
    record: Record
    is_current: bool

    def summary(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "bundle": str(self.bundle),
            "current": self.is_current,
            "metrics": self.record.model_dump(mode="json"),
        }


def refuse_unwritable(store: Path) -> None:
    """Check before training that the bundle can be written.

    Raises:
        TicketRouterError: the store, or the place where it would be made, is no folder or is not writable.
    """
    place = next(path for path in (store, *store.absolute().parents) if path.exists() or path.is_symlink())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise TicketRouterError(f"--out {store}: cannot be written; choose another folder")
