"""Distillation: a student with fewer layers learns the teacher's logits and the labels at close.

Soft targets: Hinton, Vinyals & Dean, "Distilling the Knowledge in a Neural Network", 2015. The student starts from
evenly spaced layers of the teacher: Sanh et al., "DistilBERT", 2019. `training.commands.distil` is the command.
"""

import copy
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import TrainerCallback

from models.errors import TicketRouterError
from models.fields import LabelSpace
from training.learn.classifier import TicketClassifier
from training.learn.finetune import CHECKPOINT_SECONDS, DepartmentF1, EpochFigures, train_to_the_end
from training.learn.general import TrainingData
from training.learn.losses import training_loss
from training.learn.rows import Collator
from training.learn.trainer import EpochContent, TicketTrainer
from training.recipe import Recipe

SOFTNESS = 2.0
"""Temperature of both probabilities: above 1, the teacher's probabilities of the less likely labels count more."""
TEACHER_SHARE = 0.7
"""Weight of the teacher's logits in the loss; the labels at close have the rest."""


class DistilTrainer(TicketTrainer):
    """A `TicketTrainer` whose loss also compares the student with the teacher. Without R-Drop."""

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,
    ) -> Any:
        soft = inputs.pop("soft", None)
        if soft is None:
            return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        labels, weights = inputs.pop("labels"), inputs.pop("weights", None)
        logits = model(**inputs)["logits"]
        hard, space = self._content.loss(logits, labels, weights), self._content.loss.space
        loss = (1 - TEACHER_SHARE) * hard + TEACHER_SHARE * soft_loss(logits, soft, space)
        return (loss, {"logits": logits}) if return_outputs else loss


def soft_loss(student: Tensor, teacher: Tensor, space: LabelSpace) -> Tensor:
    """Mean over the fields and rows of the KL divergence from the teacher's softened probabilities, times SOFTNESS².

    The square keeps the gradients as large as the labels'. Both logits: [rows, labels of all fields].
    """
    losses = []
    for field in space:
        wanted = (teacher[:, field.slice].float() / SOFTNESS).log_softmax(dim=-1)
        given = (student[:, field.slice].float() / SOFTNESS).log_softmax(dim=-1)
        losses.append(nn.functional.kl_div(given, wanted, log_target=True, reduction="batchmean"))
    return SOFTNESS**2 * torch.stack(losses).mean()


def smaller(teacher: TicketClassifier, layers: int) -> TicketClassifier:
    """A copy of the teacher with this number of its layers, evenly spaced, including the last one.

    Raises:
        TicketRouterError: the encoder has no such list of layers, or not more layers than requested.
    """
    student = copy.deepcopy(teacher)
    had = int(getattr(student.config, "num_hidden_layers", 0))
    stacks = [
        module for module in student.encoder.modules() if isinstance(module, nn.ModuleList) and len(module) == had
    ]
    if not stacks or not 1 <= layers < had:
        raise TicketRouterError(f"--layers {layers}: the teacher has {had} layers; give fewer, at least one")
    for stack in stacks:
        kept = [stack[had * (number + 1) // layers - 1] for number in range(layers)]
        del stack[:]
        stack.extend(kept)
    student.config.num_hidden_layers = layers
    return student


def teach(
    student: TicketClassifier,
    data: TrainingData,
    recipe: Recipe,
    run_folder: Path,
    callbacks: Iterable[TrainerCallback] = (),
) -> tuple[EpochFigures, ...]:
    """Train `student` in place, as in `finetune`, with the teacher's logits (`data.train.soft`) in the loss.

    Returns the epochs' figures.

    Raises:
        TicketRouterError: the recipe needs what this machine does not support, or the disk is full.
    """
    train, space = data.train, data.space
    loss = training_loss(space, train.labels, recipe, auxiliary=False)
    trainer = DistilTrainer(
        student,
        EpochContent(train, own=len(train), drawn=0, loss=loss),
        recipe,
        run_folder,
        CHECKPOINT_SECONDS,
        callbacks,
        eval_dataset=data.validation,
        data_collator=Collator(data.encoder),
        compute_metrics=DepartmentF1(space),
    )
    return train_to_the_end(trainer, student, space, run_folder)
