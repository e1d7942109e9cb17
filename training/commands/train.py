"""`training train`: from closed tickets to a bundle, or one clear error and no partial bundle."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from transformers import TrainerCallback

from models.errors import TicketRouterError
from training.evaluation.metrics import AccuracyFigures
from training.evaluation.record import StageFigures, StageName
from training.learn.arguments import refuse_untrainable
from training.learn.checkpoints import run_folder, run_key
from training.learn.classifier import TicketClassifier, load_classifier, load_encoder, seeded
from training.learn.distributed import is_main
from training.learn.finetune import EpochFigures, finetune
from training.learn.general import TrainingData, read_general
from training.learn.linear.head import fit_linear_head, pooled, start_at_centroids
from training.learn.optimizer import encoder_weights
from training.run.crossfit import QUICK_FOLDS, FoldRun
from training.run.dataset import Material, encode_parts, read_material
from training.run.request import Say, TrainRequest, TrainResult, refuse_unwritable
from training.run.trained import (
    Candidate,
    Learned,
    candidate_of,
    learn_ngrams,
    learn_novelty,
    ngram_figures,
    settle_base_share,
)
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
    base = material.base
    model = [base / name for name in ("config.json", "model.safetensors", "tokenizer.json")]
    key = run_key(request.recipe, [*request.file.paths, *model], fields=request.fields, **request.file.reading)
    with run_folder(request.store, key) as folder:
        learned = learn(request, material, folder, say, callbacks)
        return deliver(learned, say, started) if is_main() else None


def learn(
    request: TrainRequest,
    material: Material,
    folder: Path,
    say: Say,
    callbacks: Sequence[TrainerCallback] = (),
) -> Learned:
    """Learn the n-grams and a head on the frozen base encoder, then fine-tune it, with checkpoints in `folder`.

    The fine-tuned network is kept if it beats the quick one on the validation rows.
    """
    recipe, space, base = request.recipe, material.space, material.base
    wanted = recipe.promise.folds
    # A fold's head needs the mean: that is the graph's pooled vector.
    folds = wanted if wanted is not None else QUICK_FOLDS if recipe.pooling == "mean" else 0
    if folds and recipe.pooling != "mean":
        raise TicketRouterError(f'recipe: promise.folds = {folds} needs pooling = "mean"')
    general = read_general(recipe)  # before the model: report its errors before the model loads
    seeded(recipe.seed)
    model = load_classifier(base, space, recipe)
    encoder = load_encoder(base, model.config, recipe)
    in_folds = FoldRun(request, encoder, material, folds, say)
    if folds and (request.quick or wanted):
        return in_folds.learn(folder, callbacks)
    parts = encode_parts(material, encoder, recipe)
    train = parts["train"]

    started = time.monotonic()
    stages: list[StageFigures] = []

    def add_stage(name: StageName, figures: Mapping[str, AccuracyFigures]) -> None:
        stages.append(StageFigures(name=name, figures=figures, minutes=(time.monotonic() - started) / 60))

    def learned(
        kept: TicketClassifier, candidate: Candidate, name: StageName, epochs: tuple[EpochFigures, ...] = ()
    ) -> Learned:
        novelty = learn_novelty(kept, encoder, train)
        return Learned(request, base, kept, encoder, material, parts, epochs, candidate, name, tuple(stages), novelty)

    ngrams = learn_ngrams(model, encoder, space, train, recipe, say)
    if ngrams is not None:
        add_stage("n-grams", ngram_figures(ngrams, parts, space))
    say(f"quick: a linear head on {request.base} as it is, and the n-grams")
    vectors = pooled(model, encoder, train.encodings)
    head = fit_linear_head(space, vectors, train.labels, train.weights)
    head.put_into(model)
    quick = candidate_of(model, encoder, space, ngrams, parts)
    add_stage("frozen encoder", quick.alone)
    add_stage("quick", quick.together)
    if request.quick:
        return learned(model, quick, "quick")

    if recipe.head_start == "centroids":
        start_at_centroids(model, space, vectors, train)
    else:
        model.reset_head()
    say(f"encoder: fine-tuning {request.base}, up to {recipe.epochs} epochs; to beat: macro-F1 {quick.macro_f1:.3f}")
    weights = encoder_weights(model)
    data = TrainingData(encoder, space, train, parts["validation"], general)
    epochs = finetune(model, data, recipe, folder, callbacks)
    share = settle_base_share(model, weights, data, ngrams, recipe)
    say(f"encoder: {share:.0%} of its weights from {request.base}, {1 - share:.0%} fine-tuned")
    full = candidate_of(model, encoder, space, ngrams, parts)
    add_stage("encoder", full.alone)
    add_stage("full", full.together)
    if full.macro_f1 > quick.macro_f1:
        return learned(model, full, "full", epochs)
    say("the fine-tuned network does not beat the quick one on the validation rows: the quick one is kept")
    if folds:
        found = replace(in_folds, request=replace(request, quick=True)).learn(folder)
        return replace(found, request=request, epochs=epochs, stages=(*found.stages, *stages[-2:]))
    model = load_classifier(base, space, recipe)
    head.put_into(model)
    return learned(model, quick, "quick", epochs)
