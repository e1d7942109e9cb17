"""`training.commands.train.learn`: what a run that goes on from its checkpoint does not do again."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import TrainerCallback

import training.commands.train
from tests.support.learning import RECIPE, StopAt, weights
from tests.support.rows import write_csv
from training.data.source import TicketFile
from training.learn.head import start_at_centroids
from training.run.dataset import read_material
from training.run.request import TrainRequest
from training.run.trained import Learned

WORDS = {"billing": "invoice", "technical": "crash", "sales": "offer"}
RUN = RECIPE.model_copy(update={"epochs": 2})


def test_a_resumed_run_takes_its_head_from_the_checkpoint(
    tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The centroids' pass over the rows is made once a run; weights and figures are bit by bit the unbroken run's."""
    started: list[str] = []

    def counted(*given: Any) -> None:
        started.append("centroids")
        start_at_centroids(*given)

    monkeypatch.setattr(training.commands.train, "start_at_centroids", counted)
    rows = [(f"{word} number {n}", name) for n in range(30) for name, word in WORDS.items()]
    file = TicketFile(write_csv(tmp_path / "tickets.csv", rows))
    request = TrainRequest(file, RUN, str(tiny_base), tmp_path / "store")
    material = read_material(request, print)

    def learned(folder: str, *callbacks: TrainerCallback) -> Learned:
        return training.commands.train.learn(request, tiny_base, material, tmp_path / folder, print, callbacks)

    whole = learned("whole")
    steps_an_epoch = math.ceil(len(material.split["train"]) / RUN.batch_size)
    with pytest.raises(KeyboardInterrupt):
        learned("broken", StopAt(steps_an_epoch + 2))
    for _ in ("the rest", "nothing left to learn"):
        again = learned("broken")
        assert again.epochs == whole.epochs
        assert all(torch.equal(value, weights(again.model)[name]) for name, value in weights(whole.model).items())
    assert started == ["centroids"] * 2  # of the whole run and of the broken one's beginning
