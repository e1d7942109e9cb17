"""The recipe as the Trainer's arguments, and checks of what this machine supports."""

import importlib.util
import os
from pathlib import Path
from typing import Literal

import torch
from transformers import TrainingArguments

from models.errors import TicketRouterError
from training.learn.checkpoints import PREFIX
from training.learn.distributed import processes
from training.recipe import Recipe

_LOG_STEPS = 10
"""The logging interval. Checkpoints within an epoch are written at these steps too, so a resumed run logs equal
losses."""


def refuse_untrainable(recipe: Recipe) -> None:
    """Check at once what would otherwise fail on this machine only when fine-tuning begins.

    Raises:
        TicketRouterError: fp16 without a GPU, or a tracker that is not installed.
    """
    if recipe.arithmetic == "fp16" and not torch.cuda.is_available():
        raise TicketRouterError('recipe: arithmetic = "fp16" needs a GPU, and none is here; take "auto" or "bf16"')
    for tracker in recipe.track:
        if importlib.util.find_spec(tracker) is None:
            raise TicketRouterError(f"recipe: track: {tracker} is not installed; run: pip install {tracker}")


def arithmetic(recipe: Recipe) -> Literal["fp32", "bf16", "fp16"]:
    """The computing precision: the recipe's, or the one that the processor is fast in. The weights stay fp32."""
    if recipe.arithmetic != "auto":
        return recipe.arithmetic
    if torch.cuda.is_available():
        return "bf16" if torch.cuda.is_bf16_supported() else "fp16"
    return "bf16" if torch.cpu._is_avx512_bf16_supported() else "fp32"


def tracking_folder(run_folder: Path) -> Path:
    """The folder of a run's TensorBoard files: `<store>/.tracking/<key>`; it stays when the run's own folder is
    removed."""
    return run_folder.parent / ".tracking" / run_folder.name.removeprefix(PREFIX)


def training_arguments(recipe: Recipe, run_folder: Path) -> TrainingArguments:
    """The Trainer's arguments.

    Raises:
        TicketRouterError: see `refuse_untrainable`.
    """
    refuse_untrainable(recipe)
    gpu, computed = torch.cuda.is_available(), arithmetic(recipe)
    # The Trainer leaves the last run's precision in this variable; the next fp32 run of this process would use it.
    os.environ["ACCELERATE_MIXED_PRECISION"] = "no" if computed == "fp32" else computed
    return TrainingArguments(
        output_dir=str(run_folder),
        num_train_epochs=recipe.epochs,
        per_device_train_batch_size=recipe.batch_size,
        per_device_eval_batch_size=recipe.batch_size,
        gradient_accumulation_steps=recipe.gradient_accumulation,
        gradient_checkpointing=recipe.gradient_checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False},
        lr_scheduler_type="linear",
        warmup_ratio=recipe.warmup_share,
        eval_strategy="epoch",
        save_strategy="epoch",
        restore_callback_states_from_checkpoint=True,
        logging_strategy="steps",
        logging_steps=_LOG_STEPS,
        logging_dir=str(tracking_folder(run_folder)),
        metric_for_best_model="macro_f1",
        greater_is_better=True,
        seed=recipe.seed,
        data_seed=recipe.seed,
        use_cpu=not gpu,
        ddp_backend="gloo" if processes() > 1 and not gpu else None,
        ddp_find_unused_parameters=False,
        bf16=computed == "bf16",
        fp16=computed == "fp16",
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=list(recipe.track) or "none",
        log_level_replica="error",  # torchrun's helper processes are silent
        run_name=run_folder.name.removeprefix(PREFIX),
        disable_tqdm=True,
        dataloader_pin_memory=gpu,
    )
