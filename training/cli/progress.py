"""Progress on standard error: a line per stage and epoch, and on a terminal a bar."""

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from models.build import build
from models.printable import printable
from training.learn.distributed import is_main

_console = Console(stderr=True, highlight=False)


def print_step(line: str) -> None:
    """Print one line on the current step. Only torchrun's main process prints."""
    if is_main():
        _console.print(f"• {printable(line)}", soft_wrap=True, markup=False)


class EpochProgress(TrainerCallback):
    """A bar over all steps, and a line per epoch with the validation rows' macro-F1."""

    def __init__(self) -> None:
        self._bar = Progress(
            TextColumn("  epoch {task.fields[epoch]:.1f}"),
            BarColumn(bar_width=40),
            TextColumn("{task.percentage:>3.0f}%{task.fields[loss]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=_console,
            transient=True,
            disable=not (_console.is_terminal and is_main()),
        )
        self._task: TaskID | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._task = self._bar.add_task("train", total=state.max_steps, epoch=0.0, loss="")
        self._bar.start()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        if self._task is not None:
            self._bar.update(self._task, completed=state.global_step, epoch=state.epoch or 0.0)

    def on_log(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
        logs: dict[str, float] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if self._task is not None and logs and "loss" in logs:
            self._bar.update(self._task, loss=f" loss {logs['loss']:.3f}")

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl,
        metrics: dict[str, float] | None = None, **kwargs: Any,
    ) -> None:  # fmt: skip
        if metrics and is_main():
            line = f"  epoch {state.epoch or 0:.0f}: validation macro-F1 {metrics['eval_macro_f1']:.3f}"
            self._bar.console.print(line, markup=False, soft_wrap=True)

    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        self._bar.stop()


@contextlib.contextmanager
def run_messages() -> Iterator[None]:
    """A run's messages: which code runs comes first; the libraries' own are silenced."""
    print_step("starting: ticket-router {}, revision {}".format(*build()))
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    import transformers

    transformers.logging.set_verbosity_error()  # type: ignore[no-untyped-call]  # untyped in transformers
    for name in ("huggingface_hub", "optimum", "torch"):
        logging.getLogger(name).setLevel(logging.ERROR)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
