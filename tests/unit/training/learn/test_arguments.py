"""The recipe as the Trainer's arguments, and recipes that the machine cannot run."""

from pathlib import Path

import pytest
import torch

from models.errors import TicketRouterError
from tests.support.learning import RECIPE, learn
from training.learn.arguments import arithmetic, refuse_untrainable, tracking_folder, training_arguments
from training.learn.distributed import is_main, processes
from training.recipe import Recipe


def test_the_recipe_determines_the_precision() -> None:
    """fp32 and bf16 are used as given; auto depends on the machine, and never gives fp16 without a GPU."""
    assert arithmetic(Recipe(arithmetic="fp32")) == "fp32"
    assert arithmetic(Recipe(arithmetic="bf16")) == "bf16"
    if not torch.cuda.is_available():
        assert arithmetic(Recipe()) in ("fp32", "bf16")


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 is possible here")
def test_fp16_without_a_gpu_is_refused(tmp_path: Path) -> None:
    """One line that names an alternative, at the very start and again before training."""
    recipe = Recipe(arithmetic="fp16")
    for refuse in (refuse_untrainable, lambda recipe: training_arguments(recipe, tmp_path)):
        with pytest.raises(TicketRouterError, match=r'^recipe: arithmetic = "fp16" needs a GPU[^\n]*$'):
            refuse(recipe)


def test_a_tracker_that_is_not_installed_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names it and the command that installs it."""
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "mlflow" else object())
    refuse_untrainable(Recipe(track=("tensorboard",)))
    with pytest.raises(TicketRouterError, match=r"^recipe: track: mlflow is not installed; run: pip install mlflow$"):
        refuse_untrainable(Recipe(track=("tensorboard", "mlflow")))


def test_nothing_is_tracked_by_default(tiny_base: Path, tmp_path: Path) -> None:
    """The Trainer reports to no tracker, and no tracker's file appears."""
    folder = tmp_path / ".run-0"
    assert training_arguments(RECIPE, folder).report_to == []
    learn(tiny_base, folder, RECIPE.model_copy(update={"epochs": 1}))
    assert not tracking_folder(folder).exists()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # tensorboard's own protocol buffers
def test_tensorboard_gets_losses_and_figures(tiny_base: Path, tmp_path: Path) -> None:
    """`track = ["tensorboard"]` writes event files beside the runs, which outlive the run's own folder."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    folder = tmp_path / ".run-0123456789abcdef"
    _, figures = learn(tiny_base, folder, RECIPE.model_copy(update={"epochs": 2, "track": ("tensorboard",)}))
    assert tracking_folder(folder) == tmp_path / ".tracking" / "0123456789abcdef"
    events = EventAccumulator(str(tracking_folder(folder))).Reload()
    assert [event.step for event in events.Scalars("train/loss")] == [10, 12, 20, 24]
    measured = [event.value for event in events.Scalars("eval/macro_f1")]
    assert measured == pytest.approx([each.macro_f1 for each in figures])


def test_without_torchrun_this_process_is_the_main_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under torchrun, the one with rank 0 is."""
    monkeypatch.delenv("RANK", raising=False)
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert (is_main(), processes()) == (True, 1)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert (is_main(), processes()) == (False, 2)
