"""`promise.folds` without `--quick`: an encoder per fold, served as their mean."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from transformers import TrainerCallback, TrainerState

import training.run.crossfit
from models.encoding import Encoding
from models.errors import TicketRouterError
from tests.support import learning
from tests.support.learning import RECIPE, learned, weights
from tests.support.rows import write_csv
from training.data.source import TicketFile
from training.learn.checkpoints import run_folder
from training.recipe import PromiseRecipe
from training.run.calibrated import judge_learned
from training.run.request import TrainRequest
from training.run.trained import Candidate

RUN = RECIPE.model_copy(update={"epochs": 2, "promise": PromiseRecipe(folds=3)})


@pytest.fixture
def request_of_words(tiny_base: Path, tmp_path: Path) -> TrainRequest:
    return learning.request_of_words(tiny_base, tmp_path, RUN)


@pytest.fixture
def encoders_win(monkeypatch: pytest.MonkeyPatch) -> None:
    """The fine-tuned networks count as better than the quick ones, which know these short texts as well."""
    width = property(lambda found: float(found.outputs["validation"].pooled.shape[1]))
    monkeypatch.setattr(Candidate, "macro_f1", width)


@pytest.mark.usefixtures("encoders_win")
def test_out_of_fold_answers_do_not_know_their_rows(tiny_base: Path, tmp_path: Path) -> None:
    """Labels that nothing in the text tells: the served mean has learned them by heart, the answers that set the
    thresholds have not."""
    generator = random.Random(3)
    rows = [(f"{number} {generator.random()}", generator.choice("ab")) for number in range(80)]
    file = TicketFile(write_csv(tmp_path / "tickets.csv", rows))
    recipe = RUN.model_copy(update={"epochs": 12, "base_share": 0.0, "learning_rate": 2e-3})
    found = learned(TrainRequest(file, recipe, str(tiny_base), tmp_path / "store"), "run")
    part = found.parts["calibration"]
    answers = found.outputs(part.encodings).logits, found.candidate.outputs["calibration"].logits
    served, apart = (float((logits[:, :2].argmax(axis=1) == part.labels[:, 0]).mean()) for logits in answers)
    assert served > apart + 0.1
    assert apart < 0.65


@pytest.mark.usefixtures("encoders_win")
def test_the_mean_of_the_folds_is_served(request_of_words: TrainRequest) -> None:
    """The network's logits are the mean of the folds' logits, and the promise is measured."""
    recipe = RUN.model_copy(update={"ngrams": False})
    found = learned(replace(request_of_words, recipe=recipe), "run")
    assert found.folds is not None
    outputs = found.outputs(found.parts["test"].encodings)
    apart = [head.logits(outputs.pooled) for head in found.folds.heads]
    assert np.allclose(outputs.logits[:, : found.material.space.size], np.mean(apart, axis=0), atol=1e-5)
    assert not np.allclose(apart[0], apart[1], atol=1e-3)
    assert found.kept == "full"
    assert judge_learned(found).entries[0].promise.kind == "measured"


@pytest.mark.usefixtures("encoders_win")
def test_the_rows_that_choose_an_epoch_are_not_learned(
    request_of_words: TrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nor are the rows of the network's own fold; neither part is empty."""
    given: list[tuple[Sequence[Encoding], Sequence[Encoding]]] = []
    finetune = training.run.crossfit.finetune

    def recorded(*arguments: Any, **options: Any) -> Any:
        data = arguments[1]
        given.append((data.train.encodings, data.validation.encodings))
        return finetune(*arguments, **options)

    monkeypatch.setattr(training.run.crossfit, "finetune", recorded)
    found = learned(request_of_words, "run")
    assert found.folds is not None
    known = found.parts["train"]
    assert len(given) == 3
    for fold, (train, watched) in enumerate(given):
        own = {known.encodings[row].ids for row in np.flatnonzero(found.folds.numbers["train"] == fold).tolist()}
        assert train
        assert watched
        assert not own & {each.ids for each in [*train, *watched]}
        assert not {each.ids for each in train} & {each.ids for each in watched}


class Count(TrainerCallback):
    """Counts the networks that begin to train."""

    begun = 0

    def on_train_begin(self, *_: object, **__: object) -> None:
        self.begun += 1


class Stop(Count):
    """Ctrl-C in the second epoch of the second network."""

    def on_step_end(self, _: object, state: TrainerState, *__: object, **___: object) -> None:
        if self.begun == 2 and state.epoch and state.epoch > 1:
            raise KeyboardInterrupt


@pytest.mark.usefixtures("encoders_win")
def test_a_resumed_run_ends_as_the_unbroken_one(request_of_words: TrainRequest) -> None:
    """Bit by bit, and without training its first network again."""
    whole = learned(request_of_words, "whole")
    key, counted = "0123456789abcdef", Count()
    with pytest.raises(KeyboardInterrupt), run_folder(request_of_words.store, key) as folder:
        learned(request_of_words, str(folder), Stop())
    with run_folder(request_of_words.store, key) as folder:
        again = learned(request_of_words, str(folder), counted)
    assert counted.begun == 2
    assert all(torch.equal(value, weights(again.model)[name]) for name, value in weights(whole.model).items())
    assert not folder.exists()


def test_quick_networks_that_are_as_good_are_kept(
    request_of_words: TrainRequest, capsys: pytest.CaptureFixture[str]
) -> None:
    """All six stages stay in the report."""
    found = learned(request_of_words, "run")
    assert found.kept == "quick"
    assert [stage.name for stage in found.stages] == ["n-grams", "frozen encoder", "quick", "encoder", "full"]
    assert "do not beat the quick one" in capsys.readouterr().out


def test_networks_too_large_for_one_file_are_refused(
    request_of_words: TrainRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is learned."""
    monkeypatch.setattr(training.run.crossfit, "_LARGEST_GRAPH", 100)
    with pytest.raises(TicketRouterError, match=r"promise\.folds: 3 networks of .* an ONNX file holds 2"):
        learned(request_of_words, "run")
    assert not (request_of_words.store.parent / "run").exists()
