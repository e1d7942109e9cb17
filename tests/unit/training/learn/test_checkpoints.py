"""The folder of a run: its key, its lock, valid checkpoints, and its content after an interruption."""

import contextlib
import os
import resource
import shutil
from pathlib import Path

import pytest
import torch

from models.errors import TicketRouterError
from tests.support.learning import RECIPE, StopAt, learn, weights
from training.learn.checkpoints import newest_checkpoint, run_folder, run_key, seal
from training.recipe import GeneralRecipe, Recipe

KEY = "0123456789abcdef"


def checkpoint(folder: Path, step: int, *, sealed: bool = True, finished: bool = False) -> Path:
    made = folder / f"checkpoint-{step}"
    made.mkdir(parents=True)
    (made / "model.safetensors").write_bytes(b"weights")
    if sealed:
        seal(made, finished=finished)
    return made


def broken_off(store: Path, *complete: int) -> None:
    """A run interrupted by Ctrl-C while it saves step 30, with these complete checkpoints."""
    with run_folder(store, KEY) as folder:
        for step in complete:
            checkpoint(folder, step)
        checkpoint(folder, 30, sealed=False)
        raise KeyboardInterrupt


def test_a_key_depends_on_everything_that_affects_the_weights(tmp_path: Path) -> None:
    """The same request has the same key at any path; another recipe, file, general file or field has another."""
    first, copy, other = (tmp_path / name for name in ("a.csv", "copy.csv", "b.csv"))
    for path, content in ((first, "x"), (copy, "x"), (other, "y")):
        path.write_text(content)
    key = run_key(Recipe(), [first], fields=("department",))
    assert key == run_key(Recipe(), [copy], fields=["department"])
    assert len(key) == 16
    general = [Recipe(general=GeneralRecipe(data=path)) for path in (first, other)]
    others = {
        run_key(Recipe(seed=14), [first], fields=("department",)),
        run_key(Recipe(), [other], fields=("department",)),
        run_key(Recipe(), [first], fields=("department", "priority")),
        *(run_key(recipe, [first], fields=("department",)) for recipe in general),
    }
    assert len(others - {key}) == 5


def test_the_folder_is_deleted_after_the_run(tmp_path: Path) -> None:
    """After the bundle is written the store has nothing of the run."""
    with run_folder(tmp_path, KEY) as folder:
        checkpoint(folder, 10)
    assert os.listdir(tmp_path) == []


def test_an_interrupted_run_without_checkpoint_leaves_nothing(tmp_path: Path) -> None:
    """A refusal before the first checkpoint, or during it, leaves the store unchanged."""
    with pytest.raises(KeyboardInterrupt):
        broken_off(tmp_path)
    assert os.listdir(tmp_path) == []


def test_an_interrupted_run_keeps_its_checkpoint_and_says_so(tmp_path: Path) -> None:
    """The complete checkpoint stays, the half-written one is deleted, and the error says how to continue."""
    with pytest.raises(KeyboardInterrupt) as caught:
        broken_off(tmp_path, 10)
    folder = tmp_path / f".run-{KEY}"
    assert caught.value.__notes__ == ["the same command goes on from the last checkpoint"]
    assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-10"]
    with run_folder(tmp_path, KEY) as again:
        found = newest_checkpoint(again)
        assert found is not None
        assert found.folder.name == "checkpoint-10"


def test_half_written_checkpoints_are_deleted_at_the_start(tmp_path: Path) -> None:
    """After a kill the next run deletes them."""
    folder = tmp_path / ".run-0"
    checkpoint(folder, 10)
    checkpoint(folder, 20, sealed=False)
    with run_folder(tmp_path, "0"):
        assert [path.name for path in folder.glob("checkpoint-*")] == ["checkpoint-10"]


def test_a_complete_checkpoint_replaces_earlier_ones(tmp_path: Path) -> None:
    """One complete checkpoint is kept: the newest, by number and not by letter."""
    for step in (9, 20, 100):
        checkpoint(tmp_path, step, finished=step == 100)
    found = newest_checkpoint(tmp_path)
    assert found is not None
    assert (found.folder.name, found.finished) == ("checkpoint-100", True)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-100"]


def test_two_equal_runs_do_not_share_a_folder(tmp_path: Path) -> None:
    """The second is refused in one line while the first runs; another key is free."""
    with run_folder(tmp_path, "a"):
        with pytest.raises(TicketRouterError, match=r"^\S*\.run-a: another process has this very run[^\n]*$"):
            run_folder(tmp_path, "a").__enter__()
        with run_folder(tmp_path, "b"):
            pass
    with run_folder(tmp_path, "a"):
        pass


def test_an_unusable_store_is_refused(tmp_path: Path) -> None:
    """A file in the folder's place gives one clear line."""
    (tmp_path / "store").write_text("")
    with pytest.raises(TicketRouterError, match=r"^[^\n]*cannot keep checkpoints there[^\n]*$"):
        run_folder(tmp_path / "store", "a").__enter__()


def test_other_processes_of_a_run_leave_the_folder_to_the_main_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under torchrun only rank 0 locks, cleans and deletes it."""
    with run_folder(tmp_path, "a") as folder:
        made = checkpoint(folder, 10, sealed=False)
        monkeypatch.setenv("RANK", "1")
        with run_folder(tmp_path, "a") as shared:
            assert shared == folder
        assert made.exists()
        monkeypatch.delenv("RANK")


@pytest.fixture(scope="module", params=[{}, {"gradient_accumulation": 2}, {"averaging": 0.0}], ids=str)
def recipe(request: pytest.FixtureRequest) -> Recipe:
    changes: dict[str, object] = request.param
    return RECIPE.model_copy(update=changes)


def test_a_resumed_run_equals_an_uninterrupted_one(tiny_base: Path, tmp_path: Path, recipe: Recipe) -> None:
    """Stopped before any checkpoint, during an epoch, at its end, and at the very end: weights and figures are
    equal."""
    model, figures = learn(tiny_base, tmp_path / "unbroken", recipe)
    for step in (3, 11, 12, 21, 34):
        with contextlib.suppress(KeyboardInterrupt):  # with accumulation there are fewer steps
            learn(tiny_base, tmp_path / "broken", recipe, StopAt(step))
    for _ in ("the rest", "nothing left to learn"):
        again, found = learn(tiny_base, tmp_path / "broken", recipe)
        assert found == figures
        assert all(torch.equal(value, weights(again)[name]) for name, value in weights(model).items())


def test_a_run_stopped_early_does_not_resume_training(tiny_base: Path, tmp_path: Path) -> None:
    """Killed between its last epoch and the bundle, it does not train another epoch."""
    recipe = RECIPE.model_copy(update={"epochs": 9, "patience": 1, "learning_rate": 1e-12})
    _, figures = learn(tiny_base, tmp_path / "run", recipe)
    assert len(figures) == 2
    assert learn(tiny_base, tmp_path / "run", recipe, StopAt(1))[1] == figures


def test_patience_is_kept_across_a_resume(tiny_base: Path, tmp_path: Path) -> None:
    """Epochs without improvement before the stop count after it."""
    recipe = RECIPE.model_copy(update={"epochs": 9, "patience": 2, "learning_rate": 1e-12})
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_base, tmp_path / "run", recipe, StopAt(26))
    assert len(learn(tiny_base, tmp_path / "run", recipe)[1]) == 3


def test_a_half_written_checkpoint_is_not_loaded(tiny_base: Path, tmp_path: Path) -> None:
    """A checkpoint with more steps but without its marker is ignored, with any content."""
    with pytest.raises(KeyboardInterrupt):
        learn(tiny_base, tmp_path / "run", RECIPE, StopAt(12))
    whole = next((tmp_path / "run").glob("checkpoint-*"))
    half = Path(shutil.copytree(whole, whole.with_name("checkpoint-20"), ignore=shutil.ignore_patterns("complete*")))
    (half / "model.safetensors").write_bytes(b"half")
    assert len(learn(tiny_base, tmp_path / "run")[1]) == 3


def test_a_full_disk_is_reported_with_one_line(tiny_base: Path, tmp_path: Path) -> None:
    """If there is no space for a checkpoint, the line says where and what to do, and no half-written file stays."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, hard))  # less than the tiny model's weights
    try:
        with pytest.raises(TicketRouterError, match=r"^\S*checkpoint-10: no room for a checkpoint [^\n]*$"):
            learn_in_store(tiny_base, tmp_path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert os.listdir(tmp_path) == []


def learn_in_store(base: Path, store: Path) -> None:
    with run_folder(store, KEY) as folder:
        learn(base, folder, RECIPE.model_copy(update={"epochs": 1}))
