"""`training.commands.train.learn`: resumed runs, quick runs, and which of the two networks is kept."""

import math
import random
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import training.commands.train
from models.errors import TicketRouterError
from tests.support.learning import RECIPE, StopAt, learned, request_of_words, weights
from tests.support.rows import write_csv
from training.data.source import TicketFile
from training.evaluation.metrics import AccuracyFigures
from training.learn.classifier import load_classifier
from training.recipe import PromiseRecipe
from training.run.calibrated import judge_learned
from training.run.request import TrainRequest
from training.run.trained import Candidate, candidate_of

RUN = RECIPE.model_copy(update={"epochs": 2})


@pytest.fixture
def request_of(tiny_base: Path, tmp_path: Path) -> TrainRequest:
    return request_of_words(tiny_base, tmp_path, RUN)


def test_a_resumed_run_ends_as_the_unbroken_one(request_of: TrainRequest) -> None:
    """Weights and figures, bit by bit."""
    whole = learned(request_of, "whole")
    rows = len(whole.parts["train"].examples)
    steps_an_epoch = math.ceil(rows / RUN.batch_size)
    with pytest.raises(KeyboardInterrupt):
        learned(request_of, "broken", StopAt(steps_an_epoch + 2))
    for _ in ("the rest", "nothing left to learn"):
        again = learned(request_of, "broken")
        assert again.epochs == whole.epochs
        assert all(torch.equal(value, weights(again.model)[name]) for name, value in weights(whole.model).items())


def test_a_quick_run_leaves_the_encoder_as_it_is(request_of: TrainRequest, tiny_base: Path) -> None:
    """It learns a head and the n-grams, and keeps no checkpoint."""
    quick = learned(replace(request_of, quick=True), "quick")
    base = load_classifier(tiny_base, quick.material.space, RUN)
    assert all(torch.equal(weights(quick.model)[name], value) for name, value in weights(base).items()
               if name.startswith("encoder."))  # fmt: skip
    assert (quick.kept, quick.epochs) == ("quick", ())
    assert [stage.name for stage in quick.stages] == ["n-grams", "frozen encoder", "quick"]
    assert not (request_of.store.parent / "quick").exists()


def test_out_of_fold_answers_do_not_know_their_rows(tiny_base: Path, tmp_path: Path) -> None:
    """Labels that nothing in the text tells: the served mean has learned them by heart, the answers that set the
    thresholds have not, and nothing is routed."""
    generator = random.Random(3)
    rows = [(f"{number} {generator.random()}", generator.choice("ab")) for number in range(80)]
    file = TicketFile(write_csv(tmp_path / "tickets.csv", rows))
    request = TrainRequest(file, RUN, str(tiny_base), tmp_path / "store", quick=True)
    found = learned(request, "run")
    part = found.parts["calibration"]
    right = {
        name: float((logits[:, :2].argmax(axis=1) == part.labels[:, 0]).mean())
        for name, logits in {
            "served": found.outputs(part.encodings).logits,
            "out of fold": found.candidate.outputs["calibration"].logits,
        }.items()
    }
    assert right["out of fold"] < 0.6
    assert right["served"] > right["out of fold"] + 0.1
    entry = judge_learned(found).entries[0]
    assert entry.promise.kind == "measured"
    assert all(label.route is None for label in entry.labels)


def test_every_row_but_the_tests_learns_plans_or_tests(request_of: TrainRequest) -> None:
    """Two thirds test; without folds, one split is exact."""
    found = learned(replace(request_of, quick=True), "folds")
    parts = {name: {row.line for row in part.examples} for name, part in found.parts.items()}
    assert parts["validation"] | parts["calibration"] == parts["train"]
    assert not parts["validation"] & parts["calibration"]
    assert not parts["test"] & parts["train"]
    assert len(parts["calibration"]) == pytest.approx(2 * len(parts["validation"]), rel=0.3)
    recipe = RUN.model_copy(update={"promise": PromiseRecipe(folds=0)})
    split = learned(replace(request_of, quick=True, recipe=recipe), "split")
    assert not {row.line for row in split.parts["calibration"].examples} & {
        r.line for r in split.parts["train"].examples
    }
    assert judge_learned(split).entries[0].promise.kind == "exact"


def test_folds_of_too_few_rows_are_refused(request_of: TrainRequest) -> None:
    recipe = RUN.model_copy(update={"promise": PromiseRecipe(folds=12)})
    with pytest.raises(TicketRouterError, match="12 folds need 120 rows, there are 81"):
        learned(replace(request_of, quick=True, recipe=recipe), "run")


@pytest.mark.parametrize("quick", [True, False])
def test_folds_need_mean_pooling(request_of: TrainRequest, quick: bool) -> None:
    """Asked for, they are refused; a quick run without them has one split."""
    recipe = RUN.model_copy(update={"promise": PromiseRecipe(folds=3), "pooling": "cls"})
    with pytest.raises(TicketRouterError, match='folds = 3 needs pooling = "mean"'):
        learned(replace(request_of, quick=quick, recipe=recipe), "run")
    found = learned(replace(request_of, quick=True, recipe=RUN.model_copy(update={"pooling": "cls"})), "run")
    assert found.promise_kind == "exact"


@pytest.mark.parametrize(("full", "kept"), [(1.0, "full"), (0.0, "quick")])
def test_the_full_network_is_kept_if_it_beats_the_quick_one(
    request_of: TrainRequest, monkeypatch: pytest.MonkeyPatch, full: float, kept: str
) -> None:
    """By macro-F1 on the validation rows; otherwise the quick network ships, with the encoder as it was."""
    figures = iter([0.5, full])

    def measured(*arguments: Any) -> Candidate:
        part = AccuracyFigures(accuracy=0.5, macro_f1=next(figures), rows=9)
        return replace(candidate_of(*arguments), together={"validation": part})

    monkeypatch.setattr(training.commands.train, "candidate_of", measured)
    found = learned(request_of, "run")
    monkeypatch.undo()
    quick = learned(replace(request_of, quick=True), "quick")
    assert found.kept == kept
    assert len(found.epochs) == RUN.epochs
    rows = found.parts["validation"].encodings
    assert np.allclose(found.outputs(rows).logits, quick.outputs(rows).logits, atol=1e-5) == (kept == "quick")


def test_texts_that_share_no_wordpiece_train_without_ngrams(
    request_of: TrainRequest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line says so."""
    monkeypatch.setattr("training.run.trained.ngram_rows", lambda *_, **__: None)
    found = learned(replace(request_of, quick=True), "run")
    assert found.candidate.ngrams is None
    assert "n-grams: left out, no wordpiece stands in two training rows" in capsys.readouterr().out
