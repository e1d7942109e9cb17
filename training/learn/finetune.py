"""Fine-tuning with the Hugging Face Trainer: layer-wise learning rate, masked labels, early stopping on macro-F1."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import f1_score
from torch import Tensor, nn
from torch.utils.data import Dataset
from transformers import (
    EarlyStoppingCallback,
    EvalPrediction,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainingArguments,
)

from models.encoding import Batch, Encoder, Encoding
from models.fields import LabelSpace
from models.scoring import Logits
from training.data.split import MISSING
from training.learn.batches import logits_of
from training.learn.classifier import TicketClassifier
from training.recipe import Recipe

_LAYER = re.compile(r"\.layers?\.(\d+)\.")
_NARROW = 512


@dataclass(frozen=True)
class EncodedRows(Dataset[dict[str, Any]]):
    """Rows ready for the network: encodings, and label numbers of shape [rows, fields] (MISSING where absent)."""

    encodings: Sequence[Encoding]
    labels: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.encodings)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return {"input_ids": self.encodings[index].ids, "labels": self.labels[index]}


def finetune(
    model: TicketClassifier,
    encoder: Encoder,
    space: LabelSpace,
    train: EncodedRows,
    validation: EncodedRows,
    recipe: Recipe,
    workdir: Path,
    callbacks: Iterable[TrainerCallback] = (),
) -> list[dict[str, float]]:
    """Train `model` in place; afterwards it holds the best epoch's weights. Returns the epochs' validation figures."""
    trainer = TicketTrainer(
        model=model,
        args=_arguments(recipe, workdir),
        train_dataset=train,
        eval_dataset=validation,
        data_collator=Collator(encoder),
        compute_metrics=DepartmentF1(space),
        callbacks=[EarlyStoppingCallback(early_stopping_patience=recipe.patience), *callbacks],
        space=space,
        recipe=recipe,
    )
    trainer.remove_callback(PrinterCallback)  # type: ignore[no-untyped-call]  # transformers leaves it so
    trainer.train()
    # bf16 training wraps `forward`; everything after it (calibration, export) must see the plain fp32 network.
    trainer.accelerator.unwrap_model(trainer.model_wrapped, keep_fp32_wrapper=False)
    model.eval()
    return [entry for entry in trainer.state.log_history if "eval_macro_f1" in entry]


def predict(model: TicketClassifier, encoder: Encoder, encodings: Sequence[Encoding], batch_size: int = 32) -> Logits:
    """Logits of all rows in their order, shape [rows, labels], in fp32."""
    device = next(model.parameters()).device

    def infer(batch: Batch) -> Logits:
        inputs = (torch.from_numpy(array).to(device) for array in (batch.input_ids, batch.attention_mask))
        return np.asarray(model(*inputs)["logits"].float().cpu().numpy())

    model.eval()
    with torch.inference_mode():
        return logits_of(encodings, encoder, infer, batch_size)


class TicketTrainer(Trainer):
    """Trainer with two things of ours: the loss over all fields, and a learning rate per layer."""

    def __init__(self, *, model: TicketClassifier, space: LabelSpace, recipe: Recipe, **arguments: Any) -> None:
        super().__init__(model=model, **arguments)
        self._classifier = model
        self._space = space
        self._recipe = recipe

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | None = None,  # noqa: ARG002 the Trainer passes it; our loss is a mean of its own
    ) -> Any:
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        smoothing = self._recipe.label_smoothing if model.training else 0.0
        loss = fields_loss(outputs["logits"], labels, self._space, smoothing)
        return (loss, {"logits": outputs["logits"]}) if return_outputs else loss

    def create_optimizer(self) -> torch.optim.Optimizer:
        if self.optimizer is None:
            groups = parameter_groups(self._classifier, self._recipe)
            # Fused: on small models the plain loop over parameters took a third of every step.
            self.optimizer = torch.optim.AdamW(groups, fused=True)
        return self.optimizer


def fields_loss(logits: Tensor, labels: Tensor, space: LabelSpace, smoothing: float) -> Tensor:
    """Mean over the fields of their cross-entropy; a field no row of the batch has adds nothing.

    Args:
        logits: [rows, labels of all fields].
        labels: label numbers within each field, [rows, fields]; MISSING where a row has none.
        space: where each field's logits lie.
        smoothing: label smoothing, 0…1.
    """
    losses = []
    for column, field in enumerate(space):
        wanted = labels[:, column]
        if bool((wanted != MISSING).any()):
            sliced = logits[:, field.slice].float()
            losses.append(nn.functional.cross_entropy(sliced, wanted, ignore_index=MISSING, label_smoothing=smoothing))
    return torch.stack(losses).mean() if losses else logits.sum() * 0.0


def parameter_groups(model: TicketClassifier, recipe: Recipe) -> list[dict[str, Any]]:
    """One group per layer and decay setting: `layer_decay` slower a layer downwards, the head faster.

    Layer-wise decay: Howard & Ruder, "Universal Language Model Fine-tuning", ACL 2018.
    """
    rate = learning_rate(model.config.hidden_size, recipe)
    top = max((int(found[1]) for name, _ in model.named_parameters() if (found := _LAYER.search(name))), default=0)
    groups: dict[tuple[float, float], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        decay = 0.0 if parameter.ndim < 2 else recipe.weight_decay
        groups.setdefault((rate * _layer_factor(name, top, recipe), decay), []).append(parameter)
    return [{"params": members, "lr": lr, "weight_decay": decay} for (lr, decay), members in groups.items()]


def _layer_factor(name: str, top: int, recipe: Recipe) -> float:
    if name.startswith("head."):
        return recipe.head_multiplier
    found = _LAYER.search(name)
    below_top = top - int(found[1]) if found else top + 1
    return float(recipe.layer_decay**below_top)


def learning_rate(width: int, recipe: Recipe) -> float:
    """The top layer's learning rate: the recipe's, or the usual one for an encoder of this width."""
    if recipe.learning_rate is not None:
        return recipe.learning_rate
    return 3e-4 if width < _NARROW else 5e-5


@dataclass(frozen=True)
class Collator:
    """Rows → a padded batch of tensors."""

    encoder: Encoder

    def __call__(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Tensor]:
        batch = self.encoder.batch([Encoding(row["input_ids"], False) for row in rows])
        return {
            "input_ids": torch.from_numpy(batch.input_ids),
            "attention_mask": torch.from_numpy(batch.attention_mask),
            "labels": torch.from_numpy(np.stack([row["labels"] for row in rows])),
        }


@dataclass(frozen=True)
class DepartmentF1:
    """Macro-F1 of the department: every label counts alike, however rare."""

    space: LabelSpace

    def __call__(self, prediction: EvalPrediction) -> dict[str, float]:
        logits = np.asarray(prediction.predictions)[:, self.space.department.slice]
        wanted = np.asarray(prediction.label_ids)[:, 0]
        return {"macro_f1": float(f1_score(wanted, logits.argmax(axis=1), average="macro", zero_division=0))}


def _arguments(recipe: Recipe, workdir: Path) -> TrainingArguments:
    return TrainingArguments(
        output_dir=str(workdir),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        lr_scheduler_type="linear",
        warmup_ratio=recipe.warmup_share,
        group_by_length=True,
        eval_strategy="epoch",
        save_strategy="epoch",
        save_total_limit=1,
        save_only_model=True,
        logging_strategy="steps",
        logging_steps=10,
        load_best_model_at_end=True,
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=not torch.cuda.is_available(),
        bf16=computes_bf16(recipe),
        remove_unused_columns=False,
        label_names=["labels"],
        report_to="none",
        disable_tqdm=True,
        dataloader_pin_memory=torch.cuda.is_available(),
    )


def computes_bf16(recipe: Recipe) -> bool:
    """Whether to train in bf16: as the recipe says, or where the processor has instructions for it."""
    if recipe.arithmetic != "auto":
        return recipe.arithmetic == "bf16"
    if torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported())
    return bool(torch.cpu._is_avx512_bf16_supported())
