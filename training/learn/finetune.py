"""Fine-tuning from rows to the best epoch's weights, resumable after an interruption; and prediction with torch.

`metrics.json` keeps one `EpochFigures` per epoch.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from sklearn.metrics import f1_score
from transformers import EvalPrediction, PrinterCallback, TrainerCallback, TrainerState

from models.bundle.manifest import Frozen
from models.encoding import Batch, Encoder, Encoding
from models.fields import LabelSpace
from models.scoring import Logits, Outputs
from training.learn.checkpoints import newest_checkpoint
from training.learn.classifier import TicketClassifier
from training.learn.distributed import leave, wait_for_all
from training.learn.general import TrainingData, resize_head, with_general
from training.learn.losses import training_loss
from training.learn.optimizer import freeze
from training.learn.rows import Collator, outputs_through
from training.learn.trainer import BEST, EpochContent, TicketTrainer
from training.recipe import Recipe


class EpochFigures(Frozen):
    """One epoch: the mean training loss, and the department's macro-F1 on the validation rows."""

    epoch: float
    loss: float | None
    macro_f1: float


def epoch_figures(log: Sequence[Mapping[str, Any]]) -> tuple[EpochFigures, ...]:
    """The epochs of a Trainer's log; each loss is the mean over the epoch's steps."""
    figures = []
    total, steps, last = 0.0, 0, 0
    for entry in log:
        if "loss" in entry:  # the mean since the entry before
            total += entry["loss"] * (entry["step"] - last)
            steps += entry["step"] - last
            last = entry["step"]
        if "eval_macro_f1" in entry:
            loss = round(total / steps, 4) if steps else None
            figures.append(EpochFigures(epoch=entry["epoch"], loss=loss, macro_f1=entry["eval_macro_f1"]))
            total, steps = 0.0, 0
    return tuple(figures)


CHECKPOINT_SECONDS = 180.0
"""An interruption costs at most this number of seconds of work. A checkpoint is five times the size of the weights."""


def finetune(
    model: TicketClassifier,
    data: TrainingData,
    recipe: Recipe,
    run_folder: Path,
    callbacks: Iterable[TrainerCallback] = (),
    *,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
) -> tuple[EpochFigures, ...]:
    """Train `model` in place. Returns the epochs' figures.

    Afterwards it holds the averaged weights of the best epoch.

    With a complete checkpoint in `run_folder`, training resumes from it, with the same result as an uninterrupted run.
    Under torchrun every process calls this function, and all end with the same weights.

    Raises:
        TicketRouterError: the recipe needs what encoder or machine do not support, or the disk is full.
    """
    freeze(model, recipe.frozen_layers)
    space, train, general = data.space, data.train, data.general
    if general is None:
        wide, loss = space, training_loss(space, train.labels, recipe, auxiliary=False)
        content = EpochContent(train, own=len(train), drawn=0, loss=loss)
    else:
        wide, rows = with_general(space, train, general, data.encoder)
        loss = training_loss(wide, rows.labels, recipe, auxiliary=True)
        content = EpochContent(rows, own=len(train), drawn=general.drawn(len(train)), loss=loss)
    resize_head(model, wide)
    trainer = TicketTrainer(
        model,
        content,
        recipe,
        run_folder,
        checkpoint_seconds,
        callbacks,
        eval_dataset=data.validation if general is None else data.validation.with_field(),
        data_collator=Collator(data.encoder),
        compute_metrics=DepartmentF1(space),
    )
    return train_to_the_end(trainer, model, space, run_folder)


def train_to_the_end(
    trainer: TicketTrainer, model: TicketClassifier, space: LabelSpace, run_folder: Path
) -> tuple[EpochFigures, ...]:
    """Train the remaining epochs, and end the joint work of several processes. Returns the epochs' figures.

    Afterwards the trainer's `model` holds the best epoch's averaged weights, with only the labels of `space`.

    Raises:
        TicketRouterError: the disk is full.
    """
    trainer.remove_callback(PrinterCallback)  # type: ignore[no-untyped-call]  # untyped in transformers
    last = _last_checkpoint(trainer, run_folder)
    model.load_state_dict(load_file(last / BEST))
    resize_head(model, space)
    figures = epoch_figures(TrainerState.load_from_json(str(last / "trainer_state.json")).log_history)
    leave()  # not earlier: the main process removes the folder at the end
    model.eval()
    return figures


def _last_checkpoint(trainer: TicketTrainer, run_folder: Path) -> Path:
    """The folder of the run's last checkpoint, after any remaining training."""
    wait_for_all()  # until the main process has prepared the folder
    found = newest_checkpoint(run_folder)
    if found is None or not found.finished:
        trainer.train(resume_from_checkpoint=str(found.folder) if found else None)
        # bf16 training wraps `forward`; calibration and export need the plain fp32 network.
        trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)
        found = newest_checkpoint(run_folder)
    assert found is not None  # every epoch ends with one
    return found.folder


def predict(model: TicketClassifier, encoder: Encoder, encodings: Sequence[Encoding], batch_size: int = 32) -> Logits:
    """Logits of all rows in their order, shape [rows, labels], in fp32."""
    return predict_with_pooled(model, encoder, encodings, batch_size).logits


def predict_with_pooled(
    model: TicketClassifier, encoder: Encoder, encodings: Sequence[Encoding], batch_size: int = 32
) -> Outputs:
    """Logits and pooled vectors of all rows in their order, in fp32."""
    device = next(model.parameters()).device

    def infer(batch: Batch) -> Outputs:
        inputs = (torch.from_numpy(array).to(device) for array in (batch.input_ids, batch.attention_mask))
        found = model(*inputs)
        return Outputs(*(found[name].float().cpu().numpy() for name in ("logits", "pooled")))

    model.eval()
    with torch.inference_mode():
        return outputs_through(infer, encodings, encoder, batch_size)


@dataclass(frozen=True)
class DepartmentF1:
    """Macro-F1 of the department: every label has equal weight, rare ones too."""

    space: LabelSpace

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        logits = np.asarray(prediction.predictions)[:, self.space.department.slice]
        wanted = np.asarray(prediction.label_ids)[:, 0]
        return {"macro_f1": float(f1_score(wanted, logits.argmax(axis=1), average="macro", zero_division=0))}
