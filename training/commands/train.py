"""`training train`: from closed tickets to a bundle, or one clear error and no partial bundle."""

import time
from collections.abc import Sequence
from pathlib import Path

from transformers import TrainerCallback

from training.learn.arguments import refuse_untrainable
from training.learn.base import resolve_base
from training.learn.checkpoints import newest_checkpoint, run_folder, run_key
from training.learn.classifier import load_classifier, load_encoder, seeded
from training.learn.distributed import is_main
from training.learn.finetune import finetune
from training.learn.general import read_general
from training.learn.head import start_at_centroids
from training.learn.rows import EncodedRows
from training.run.dataset import Material, encode_parts, read_material
from training.run.request import Say, TrainRequest, TrainResult, refuse_unwritable
from training.run.trained import Learned
from training.run.write_bundle import deliver


def train(request: TrainRequest, say: Say, callbacks: Sequence[TrainerCallback] = ()) -> TrainResult | None:
    """Train a bundle and write it into the store; None in the helper processes of torchrun.

    After an interruption, the same command resumes from the last checkpoint.

    Raises:
        TicketRouterError: any error that the user can fix; no partial bundle is left.
    """
    started = time.monotonic()
    refuse_unwritable(request.store)
    refuse_untrainable(request.recipe)
    material = read_material(request, say)
    base = resolve_base(request.base)  # after the table: report its errors before a download
    with run_folder(request.store, _key(request, base)) as folder:
        learned = learn(request, base, material, folder, say, callbacks)
        return deliver(learned, say, started) if is_main() else None


def learn(
    request: TrainRequest,
    base: Path,
    material: Material,
    folder: Path,
    say: Say,
    callbacks: Sequence[TrainerCallback] = (),
) -> Learned:
    """Fine-tune the base model on the dataset, with checkpoints in `folder`."""
    recipe, space = request.recipe, material.space
    general = read_general(recipe)  # before the model: report its errors before the model loads
    seeded(recipe.seed)
    model = load_classifier(base, space, recipe)
    encoder = load_encoder(base, model.config, recipe)
    parts = encode_parts(material, encoder)
    say(f"encoder: fine-tuning {request.base}, up to {recipe.epochs} epochs")
    train, validation = (EncodedRows(parts[name].encodings, parts[name].labels) for name in ("train", "validation"))
    if recipe.head_start == "centroids" and newest_checkpoint(folder) is None:  # a checkpoint has its own head
        start_at_centroids(model, encoder, space, train)
    epochs = finetune(model, encoder, space, train, validation, recipe, folder, callbacks, general=general)
    return Learned(request, base, model, encoder, material, parts, epochs)


def _key(request: TrainRequest, base: Path) -> str:
    model = [base / name for name in ("config.json", "model.safetensors", "tokenizer.json")]
    return run_key(request.recipe, [*request.file.paths, *model], fields=request.fields, **request.file.reading)
