"""The Hugging Face Trainer with this project's loss, optimiser, row order, averaged weights and checkpoints."""

import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from training.learn.arguments import training_arguments
from training.learn.checkpoints import newest_checkpoint, seal, unwritable
from training.learn.classifier import TicketClassifier
from training.learn.distributed import agreed, processes, wait_for_all
from training.learn.losses import FieldsLoss, divergence, twice
from training.learn.optimizer import WeightAverage, adamw
from training.learn.rows import EncodedExamples, EpochSampler
from training.recipe import Recipe

BEST = "best.safetensors"
"""File in every checkpoint after the first measured epoch: the averaged weights of the best epoch so far."""
_AVERAGE = "average.safetensors"


@dataclass(frozen=True)
class EpochContent:
    """The content of an epoch: the rows (the company's own first), the number of general rows drawn, and the loss."""

    rows: EncodedExamples
    own: int
    drawn: int
    loss: FieldsLoss


class TicketTrainer(Trainer):
    """A Trainer that learns an `EpochContent` by a recipe.

    Args:
        model: trained in place.
        content: rows and loss.
        recipe: the settings.
        run_folder: the folder of the checkpoints.
        checkpoint_seconds: the most work within an epoch, in seconds, that an interruption may cost.
        callbacks: the caller's callbacks.
        arguments: passed to the Trainer unchanged.
    """

    def __init__(
        self,
        model: TicketClassifier,
        content: EpochContent,
        recipe: Recipe,
        run_folder: Path,
        checkpoint_seconds: float,
        callbacks: Iterable[TrainerCallback],
        **arguments: Any,
    ) -> None:
        steps = [EarlyStoppingCallback(early_stopping_patience=recipe.patience), _StepEnd(self, checkpoint_seconds)]
        super().__init__(
            model=model,
            args=training_arguments(recipe, run_folder),
            train_dataset=content.rows,
            callbacks=[*steps, *callbacks],
            **arguments,
        )
        self._classifier = model
        self._content = content
        self._recipe = recipe
        self.average = WeightAverage(model, recipe.averaging)

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,  # noqa: ARG002 the Trainer passes it; our loss is already a mean
    ) -> Any:
        labels, weights = inputs.pop("labels"), inputs.pop("weights", None)
        if model.training and self._recipe.r_drop:
            first, second = twice(model, inputs)
            loss = self._content.loss
            apart = divergence(first, second, labels, loss.space)
            return 0.5 * (loss(first, labels, weights) + loss(second, labels, weights)) + self._recipe.r_drop * apart
        logits = model(**inputs)["logits"]
        loss = self._content.loss if model.training else self._content.loss.plain
        found = loss(logits, labels, weights)
        return (found, {"logits": logits}) if return_outputs else found

    def create_optimizer(self) -> Optimizer:
        if self.optimizer is None:
            self.optimizer = adamw(self._classifier, self._recipe)
        return self.optimizer

    def _get_train_sampler(self, train_dataset: Dataset[Any] | None = None) -> EpochSampler:  # noqa: ARG002 ours
        lengths = [len(encoding.ids) for encoding in self._content.rows.encodings]
        group = self.args.train_batch_size * self.args.gradient_accumulation_steps * processes()
        return EpochSampler(lengths, self._content.own, self._content.drawn, group, self._recipe.seed)

    def evaluate(self, *arguments: Any, **named: Any) -> dict[str, float]:
        """Measure the averaged weights: early stopping and the choice of the best epoch use them."""
        with self.average.applied():
            return super().evaluate(*arguments, **named)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        folder = Path(str(self.args.output_dir)) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)  # type: ignore[no-untyped-call]  # untyped in transformers
            self._save_averages(folder)
            wait_for_all()
            if self.args.should_save:
                done = self.control.should_training_stop or self.state.global_step >= self.state.max_steps
                seal(folder, finished=done)
        except (
            OSError,
            RuntimeError,
            SafetensorError,
        ) as error:  # torch and safetensors have own types for a full disk
            raise unwritable(folder, error) from error
        wait_for_all()

    def _save_averages(self, folder: Path) -> None:
        if not self.args.should_save:
            return
        save_file(self.average.state(), folder / _AVERAGE)
        before = newest_checkpoint(folder.parent)
        if self.state.best_global_step == self.state.global_step:
            save_file({name: value.contiguous() for name, value in self.average.weights().items()}, folder / BEST)
        elif before is not None and (before.folder / BEST).exists():
            os.link(before.folder / BEST, folder / BEST)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[no-untyped-call]  # untyped there
        self.average.load(load_file(Path(resume_from_checkpoint) / _AVERAGE))


class _StepEnd(TrainerCallback):
    """After each step: update the average, and decide whether a checkpoint is due.

    Checkpoints are written at logging steps, so that no partial sum of the log is lost with the process.
    """

    def __init__(self, trainer: TicketTrainer, checkpoint_seconds: float) -> None:
        self._trainer = trainer
        self._seconds = checkpoint_seconds
        self._saved_at = time.monotonic()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._trainer.average.update(state.global_step)
        ends_epoch = float(state.epoch or 0).is_integer()  # the epoch's own checkpoint follows
        if state.global_step % args.logging_steps == 0 and not ends_epoch:
            control.should_save = agreed(time.monotonic() - self._saved_at >= self._seconds)

    def on_epoch_end(
        self,
        args: TrainingArguments,  # noqa: ARG002 the callback's signature is the Trainer's, here and below
        state: TrainerState,  # noqa: ARG002
        control: TrainerControl,
        **kwargs: Any,  # noqa: ARG002
    ) -> None:
        control.should_log = True

    def on_save(self, *_: Any, **__: Any) -> None:
        self._saved_at = time.monotonic()
