"""The search space of `training tune`, and the study that stores every trial.

The study is an SQLite file of Optuna (Akiba et al., KDD 2019), so that an interrupted search can continue.
"""

import contextlib
import fcntl
import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
from optuna.trial import FrozenTrial, Trial, TrialState
from sqlalchemy.engine import URL
from sqlalchemy.exc import DatabaseError

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError
from training.recipe import Recipe

_NAME = "tune"
_FREE_TRIALS = 4
"""This many trials run to the end before one is stopped early: a median of fewer is unreliable."""
FINISHED = (TrialState.COMPLETE, TrialState.PRUNED)


@dataclass(frozen=True, slots=True)
class Choice:
    """A recipe field that takes one of these values."""

    name: str
    values: tuple[Any, ...]

    def suggest(self, trial: Trial) -> Any:
        return trial.suggest_categorical(self.name, self.values)


@dataclass(frozen=True, slots=True)
class Range:
    """A recipe field between two bounds; `log`: on a logarithmic scale."""

    name: str
    low: float
    high: float
    log: bool = False

    def suggest(self, trial: Trial) -> float:
        return trial.suggest_float(self.name, self.low, self.high, log=self.log)


@dataclass(frozen=True, slots=True)
class Whole:
    """A recipe field with a whole number between two bounds."""

    name: str
    low: int
    high: int

    def suggest(self, trial: Trial) -> int:
        return trial.suggest_int(self.name, self.low, self.high)


Dimension = Choice | Range | Whole


class TrialFigures(Frozen):
    """One trial: how it ended, its macro-F1 (the last value if it was stopped), and its changes."""

    number: int
    state: str
    macro_f1: float | None
    seconds: float
    changed: Mapping[str, Any]


def dimensions(start: Recipe, learning_rate: float) -> tuple[Dimension, ...]:
    """The search space around a recipe; it always contains the recipe's own values.

    Args:
        start: the recipe to start from.
        learning_rate: the top layer's, also if the recipe derives it from the encoder's width.
    """
    wide: tuple[Dimension, ...] = (
        Range("learning_rate", learning_rate / 4, min(learning_rate * 3, 0.99), log=True),
        Range("layer_decay", 0.7, 1.0),
        Range("head_multiplier", 1.0, 30.0, log=True),
        Range("label_smoothing", 0.0, 0.2),
        Whole("epochs", max(1, start.epochs // 2), min(start.epochs + (start.epochs + 1) // 2, 200)),
        Choice("batch_size", (16, 32, 64)),
        Choice("max_tokens", (128, 256, 384)),
        Choice("averaging", (0.0, 0.99, 0.998)),
        Choice("dropout", (None, 0.05, 0.2) if start.dropout != 0 else (0.0,)),
        Choice("r_drop", (0.0, 1.0) if start.dropout != 0 else (0.0,)),
        Choice("class_weights", ("none", "sqrt", "balanced")),
    )
    return tuple(_with(each, getattr(start, each.name)) for each in wide)


def _with(dimension: Dimension, value: Any) -> Dimension:
    if isinstance(dimension, Choice):
        return Choice(dimension.name, tuple(dict.fromkeys((*dimension.values, value))))
    if value is None:  # the learning rate: its range is already built around the derived value
        return dimension
    low, high = min(dimension.low, value), max(dimension.high, value)
    if isinstance(dimension, Whole):
        return Whole(dimension.name, int(low), int(high))
    return Range(dimension.name, low, high, dimension.log)


def start_values(space: Sequence[Dimension], start: Recipe, learning_rate: float) -> dict[str, Any]:
    """The start recipe as the first trial's values."""
    values = {each.name: getattr(start, each.name) for each in space}
    return {**values, "learning_rate": learning_rate}


@contextlib.contextmanager
def open_study(path: Path, about: Mapping[str, Any], seed: int) -> Iterator[optuna.Study]:
    """Open or create the study in this file. A trial that an interruption ended is marked as failed.

    Args:
        path: the SQLite file.
        about: the identity of the search; a study of other data, base or recipe is refused.
        seed: seed of the sampler.

    Raises:
        TicketRouterError: the file cannot be used, belongs to another search, or is in use.
    """
    optuna.logging.set_verbosity(logging.ERROR)
    descriptor = _lock(path)
    try:
        storage = optuna.storages.RDBStorage(URL.create("sqlite", database=str(path.absolute())).render_as_string())
    except DatabaseError as error:
        os.close(descriptor)
        raise TicketRouterError(f"--study {path}: not a file of an earlier search; name another") from error
    try:
        study = optuna.create_study(
            storage=storage,
            study_name=_NAME,
            direction="maximize",
            load_if_exists=True,
            pruner=optuna.pruners.MedianPruner(n_startup_trials=_FREE_TRIALS),
        )
        known = study.user_attrs
        different = [name for name, value in about.items() if known.get(name, value) != value]
        if different:
            what = " and ".join(different)
            raise TicketRouterError(
                f"--study {path}: was made with other {what}; name another file to begin a new search"
            )
        for name, value in about.items():
            study.set_user_attr(name, value)
        for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            study.tell(trial.number, state=TrialState.FAIL)
        # A sampler restarts its random numbers in each process: with the same seed, a continued search would repeat the
        # values of earlier trials.
        study.sampler = optuna.samplers.TPESampler(seed=seed + len(study.trials))
        yield study
    finally:
        storage.remove_session()
        storage.engine.dispose()
        os.close(descriptor)


def finished(study: optuna.Study) -> list[FrozenTrial]:
    """The trials that count: completed, or stopped early for a low score."""
    return study.get_trials(deepcopy=False, states=FINISHED)


def trial_figures(study: optuna.Study) -> tuple[TrialFigures, ...]:
    """Every trial, in order."""
    figures = []
    for trial in study.get_trials(deepcopy=False):
        if not trial.state.is_finished():
            continue
        last = trial.value if trial.value is not None else trial.intermediate_values.get(trial.last_step or 0)
        figures.append(
            TrialFigures(
                number=trial.number,
                state=trial.state.name.lower(),
                macro_f1=last,
                seconds=trial.duration.total_seconds() if trial.duration else 0.0,
                changed=trial.params,
            )
        )
    return tuple(figures)


def _lock(path: Path) -> int:
    """Allow one search per study at a time, so that a trial marked as running is known to be interrupted."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise TicketRouterError(f"--study {path}: cannot be written ({error.strerror}); choose another") from error
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(descriptor)
        raise TicketRouterError(f"--study {path}: another search is at work in it; wait, or name another") from error
    return descriptor
