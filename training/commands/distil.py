"""`training distil`: from a bundle and its training file to a student with fewer layers.

The teacher's weights come from its fp32 graph. Its recipe decides the split, so the student is measured on rows that
neither model learned from.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from transformers import TrainerCallback

from models.bundle.bundle import Bundle, open_bundle
from models.bundle.golden import replay
from models.encoding import Batch, Encoding
from models.errors import TicketRouterError
from models.scoring import Outputs
from training.data.source import TicketFile
from training.evaluation.record import StageFigures
from training.export.ngram_nodes import read_ngrams
from training.export.novelty_nodes import read_novelty
from training.export.weights import restore_weights
from training.learn.arguments import refuse_untrainable
from training.learn.checkpoints import run_folder, run_key
from training.learn.classifier import TicketClassifier, load_classifier, load_encoder, seeded
from training.learn.distillation import smaller, teach
from training.learn.distributed import is_main
from training.learn.finetune import predict
from training.learn.general import TrainingData
from training.learn.linear.ngrams import NgramModel
from training.recipe import Recipe
from training.run.dataset import Material, encode_parts, read_material
from training.run.request import Say, TrainRequest, TrainResult, refuse_unwritable
from training.run.trained import Learned, candidate_of, learn_ngrams, learn_novelty, with_ngrams, with_novelty
from training.run.write_bundle import deliver


@dataclass(frozen=True, slots=True)
class DistilRequest:
    """The options of the command. `base`: source of the teacher's configuration and tokenizer; None: the one in the
    teacher's manifest. `epochs` None: as many as the teacher."""

    teacher: Path
    file: TicketFile
    store: Path
    layers: int = 3
    base: str | None = None
    epochs: int | None = None
    allow_empty: bool = False


def distil(request: DistilRequest, say: Say, callbacks: Sequence[TrainerCallback] = ()) -> TrainResult | None:
    """Train a student and write its bundle into the store; None in the helper processes of torchrun.

    After an interruption, the same command resumes from the last checkpoint.

    Raises:
        TicketRouterError: any error that the user can fix; no partial bundle is left.
    """
    started = time.monotonic()
    refuse_unwritable(request.store)
    bundle = open_bundle(request.teacher)
    if bundle.manifest.fields[0].promise.kind == "measured":
        raise TicketRouterError(
            f"{bundle.version} learned from all rows, in folds, so none are left to measure a student on; train the "
            "teacher without --quick and promise.folds"
        )
    recipe = recipe_of(bundle, request.epochs)
    refuse_untrainable(recipe)
    refuse_other_data(bundle, request.file)
    asked = {"teacher": bundle.version, "layers": request.layers, **request.file.reading}
    key = run_key(recipe, request.file.paths, **asked)
    with run_folder(request.store, key) as folder:
        learned = learn_student(request, bundle, recipe, folder, say, callbacks)
        return deliver(learned, say, started) if is_main() else None


def learn_student(
    request: DistilRequest,
    bundle: Bundle,
    recipe: Recipe,
    folder: Path,
    say: Say,
    callbacks: Sequence[TrainerCallback] = (),
) -> Learned:
    """Train a student.

    Raises:
        TicketRouterError: the teacher or the file is not suitable, or the student would not have fewer layers.
    """
    fields = tuple(field.name for field in bundle.manifest.fields)
    asked = TrainRequest(
        request.file,
        recipe,
        request.base or bundle.manifest.base_model,
        request.store,
        fields,
        allow_empty=request.allow_empty,
    )
    material = read_material(asked, say)
    if material.space != bundle.manifest.label_space():
        raise TicketRouterError(
            "--data: its labels are not the teacher's; distil from the file or files that it learned from"
        )
    base = material.base
    seeded(recipe.seed)
    started = time.monotonic()
    teacher, taught = load_teacher(bundle, base, material, recipe)
    encoder = load_encoder(base, teacher.config, recipe)
    parts = encode_parts(material, encoder, recipe)
    say(f"teacher: {bundle.version} answers {len(parts['train'])} training rows")
    train = parts["train"]
    known = with_ngrams(predict(teacher, encoder, train.encodings), taught, train.encodings)
    student = smaller(teacher, request.layers)
    say(f"student: {request.layers} layers, up to {recipe.epochs} epochs")
    data = TrainingData(encoder, material.space, replace(train, soft=known), parts["validation"])
    epochs = teach(student, data, recipe, folder, callbacks)
    ngrams = learn_ngrams(student, encoder, material.space, train, recipe, say)
    found = candidate_of(student, encoder, material.space, ngrams, parts)
    minutes = (time.monotonic() - started) / 60
    stage = StageFigures(name="student", figures=found.together, minutes=minutes)
    return Learned(
        asked,
        base,
        student,
        encoder,
        material,
        parts,
        epochs,
        found,
        "student",
        (stage,),
        learn_novelty(student, encoder, train),
    )


def recipe_of(bundle: Bundle, epochs: int | None) -> Recipe:
    """The teacher's recipe, with other epochs if requested. Without general texts: the teacher has already learned
    them.

    Raises:
        TicketRouterError: the bundle's recipe is not valid in this release.
    """
    try:
        recipe = Recipe.model_validate(bundle.manifest.provenance.get("recipe"))
    except ValidationError as error:
        raise TicketRouterError(f"{bundle.path}: its recipe is not of this release; train it anew") from error
    return recipe.model_copy(update={"general": None, "epochs": epochs or recipe.epochs})


def refuse_other_data(bundle: Bundle, file: TicketFile) -> None:
    """Refuse other rows or labels: the teacher may have learned from rows that the student is measured on.

    Raises:
        TicketRouterError: a file cannot be read, or is not the one that the teacher learned from.
    """
    try:
        given = file.origin()
    except OSError as error:
        raise TicketRouterError(f"{error.filename}: cannot be read ({error.strerror})") from error
    learned = bundle.manifest.provenance.get("data", {})
    if _digests(learned) != _digests(given):
        raise TicketRouterError(
            f"--data: not the file or files that {bundle.version} learned from; give the same, unchanged"
        )
    rules = learned.get("labels", {})
    if rules.get("sha256") != given.get("labels", {}).get("sha256"):
        wanted = f"with {rules['file']}; give that one, unchanged" if rules else "without one; leave it out"
        raise TicketRouterError(f"--labels: {bundle.version} learned {wanted}")


def _digests(origin: Mapping[str, Any]) -> list[str]:
    """Of all files of a provenance entry, in their order."""
    return [each.get("sha256", "") for each in (origin, *origin.get("more", ()))]


def load_teacher(
    bundle: Bundle, base: Path, material: Material, recipe: Recipe
) -> tuple[TicketClassifier, NgramModel | None]:
    """The teacher in torch and its n-grams, checked with its golden rows.

    Raises:
        TicketRouterError: the base is not the teacher's, or the weights give other answers than the graph.
    """
    teacher = load_classifier(base, material.space, recipe)
    graph = bundle.read(bundle.fp32.entry.file)
    restore_weights(graph, teacher)
    ngrams, novelty = read_ngrams(graph), read_novelty(graph)

    def infer(batch: Batch) -> Outputs:
        with torch.inference_mode():
            found = teacher.eval()(torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask))
        rows = [
            Encoding(tuple(ids[mask == 1].tolist()), False)
            for ids, mask in zip(batch.input_ids, batch.attention_mask, strict=True)
        ]
        outputs = Outputs(with_ngrams(found["logits"].numpy(), ngrams, rows), found["pooled"].numpy())
        return outputs if novelty is None else with_novelty(outputs, novelty, rows)

    replay(bundle, bundle.fp32, infer)
    return teacher, ngrams
