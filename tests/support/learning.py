"""Fine-tuning the tiny model: in this process, or in another one that tests may kill.

`python -m tests.support.learning BASE STORE WEIGHTS [FIELD=VALUE …]` fine-tunes and writes the final weights; it prints
`training` when it begins and its epochs as JSON at the end.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor
from transformers import TrainerCallback, TrainerState

from models.encoding import Encoder, Encoding
from models.fields import LabelSpace
from tests.support.rows import ticket_row, write_csv
from tests.support.tiny import SAMPLES
from training.commands import train
from training.data.prepared import MISSING
from training.data.source import TicketFile
from training.learn.checkpoints import run_folder, run_key
from training.learn.classifier import TicketClassifier, load_classifier, load_encoder, seeded
from training.learn.distributed import is_main
from training.learn.finetune import EpochFigures, finetune
from training.learn.general import GeneralExamples, TrainingData
from training.learn.rows import EncodedExamples
from training.recipe import Recipe
from training.run.dataset import read_material
from training.run.request import TrainRequest
from training.run.trained import Learned

SPACE = LabelSpace.of({"department": ["a", "b", "c"], "priority": ["x", "y"]})
RECIPE = Recipe(epochs=3, batch_size=4, max_tokens=32, arithmetic="fp32", averaging=0.9, patience=10)
EAGER = 0.0
"""Seconds between checkpoints: one at every possible step."""


def encoded(encodings: Sequence[Encoding], labels: NDArray[np.int64]) -> EncodedExamples:
    """Rows with only the network's input."""
    examples = tuple(ticket_row(line, "", "a") for line in range(len(encodings)))
    return EncodedExamples(examples, tuple(encodings), labels)


def rows(encoder: Encoder, count: int, start: int = 0) -> EncodedExamples:
    """Texts of different lengths whose first word determines the department (half: the first); some priorities are
    missing."""
    words, departments = ("invoice", "invoice", "crash", "offer"), (0, 0, 1, 2)
    numbers = range(start, start + count)
    texts = [f"{words[n % 4]} {n} {SAMPLES[n % len(SAMPLES)][1][: 10 + 7 * n % 60]}" for n in numbers]
    labels = np.array([[departments[n % 4], MISSING if n % 3 == 2 else n // 3 % 2] for n in numbers], dtype=np.int64)
    return encoded([encoder.encode(text) for text in texts], labels)


def fresh(base: Path, recipe: Recipe) -> tuple[TicketClassifier, Encoder]:
    """The seeded model before training, and its encoder."""
    seeded(recipe.seed)
    model = load_classifier(base, SPACE, recipe)
    return model, load_encoder(base, model.config, recipe)


def learn(
    base: Path,
    folder: Path,
    recipe: Recipe = RECIPE,
    *callbacks: TrainerCallback,
    general: GeneralExamples | None = None,
) -> tuple[TicketClassifier, tuple[EpochFigures, ...]]:
    """Fine-tune on 46 rows, in this process: 12 steps an epoch at a batch of 4."""
    model, encoder = fresh(base, recipe)
    data = TrainingData(encoder, SPACE, rows(encoder, 46), rows(encoder, 21, 200), general)
    figures = finetune(model, data, recipe, folder, callbacks, checkpoint_seconds=EAGER)
    return model, figures


def weights(model: TicketClassifier) -> dict[str, Tensor]:
    return {name: value.detach().clone().contiguous() for name, value in model.state_dict().items()}


WORDS = {"billing": "invoice", "technical": "crash", "sales": "offer"}


def request_of_words(base: Path, place: Path, recipe: Recipe) -> TrainRequest:
    """A run on 90 short texts, thirty per department, whose first word determines it."""
    texts = [(f"{word} number {n}", name) for n in range(30) for name, word in WORDS.items()]
    return TrainRequest(TicketFile(write_csv(place / "tickets.csv", texts)), recipe, str(base), place / "store")


def learned(request: TrainRequest, folder: str, *callbacks: TrainerCallback) -> Learned:
    """The result of a run, with its checkpoints in this folder beside the store; nothing is written into the store."""
    material = read_material(request, print)
    return train.learn(request, material, request.store.parent / folder, print, callbacks)


class StopAt(TrainerCallback):
    """Simulates Ctrl-C after a step."""

    def __init__(self, step: int) -> None:
        self._step = step

    def on_step_end(self, _: object, state: TrainerState, *__: object, **___: object) -> None:
        if state.global_step == self._step:
            raise KeyboardInterrupt


class _Begins(TrainerCallback):
    """Prints a line when training has begun."""

    def on_train_begin(self, *_: Any, **__: Any) -> None:
        print("training", flush=True)


def main() -> None:
    base, store, target = map(Path, sys.argv[1:4])
    changes = {name: json.loads(value) for name, _, value in (each.partition("=") for each in sys.argv[4:])}
    recipe = Recipe.model_validate({**RECIPE.model_dump(), **changes})
    with run_folder(store, run_key(recipe, [base / "model.safetensors"])) as folder:
        model, figures = learn(base, folder, recipe, *([_Begins()] if is_main() else []))
        if is_main():
            save_file(weights(model), target)
            print(json.dumps([each.model_dump() for each in figures]))


if __name__ == "__main__":
    main()
