"""The search space, a study's memory, and the recipe as TOML."""

from pathlib import Path

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from optuna.trial import TrialState

from models.errors import TicketRouterError
from training.commands.tune import _begin_with, tried
from training.commands.tune_study import Choice, dimensions, finished, open_study, start_values, trial_figures
from training.recipe import GeneralRecipe, PromiseRecipe, Recipe, SplitRecipe, load_recipe
from training.toml_files import toml_text

ABOUT = {"data": "1f", "recipe": Recipe().model_dump(mode="json")}


def study_with(path: Path, *values: float) -> None:
    with open_study(path, ABOUT, 1) as study:
        for value in values:
            trial = study.ask()
            trial.suggest_float("learning_rate", 0.0001, 0.01, log=True)
            study.tell(trial, value)


@settings(deadline=None, max_examples=30)
@given(
    start=st.sampled_from(["", "export = {int8 = false}\nepochs = 3\n", "export.int8 = false\n[split]\n# no test\n"]),
    recipe=st.builds(
        Recipe,
        epochs=st.integers(1, 200),
        learning_rate=st.none() | st.floats(1e-9, 0.9),
        label_smoothing=st.floats(0, 0.9),
        track=st.sampled_from([(), ("tensorboard",), ("tensorboard", "mlflow")]),
        split=st.builds(SplitRecipe, test=st.floats(0, 0.5), order=st.sampled_from(["auto", "random", "time"])),
        general=st.none() | st.builds(GeneralRecipe, data=st.text('aé\\"\n\x7f💡 /', min_size=1).map(Path)),
    ),
)
def test_a_written_recipe_is_read_back_unchanged(
    tmp_path_factory: pytest.TempPathFactory, recipe: Recipe, start: str
) -> None:
    """Every field, every table, unusual file names too: `train --recipe` reads what `tune` writes."""
    path = tmp_path_factory.getbasetemp() / "recipe.toml"
    path.write_text(toml_text(recipe, start), "utf-8")
    assert load_recipe(path) == recipe


def test_rewriting_a_recipe_keeps_its_comments() -> None:
    """And its order, its tables, and the spelling of unchanged values."""
    top, promise = (
        "# ours\nlearning_rate = 1e-3  # high\nepochs = {}  # few\n",
        "# agreed in May\nroute_precision = 0.97\n",
    )
    start = f"{top.format(3)}\n[promise]\n{promise}"
    written = toml_text(Recipe(learning_rate=0.001, epochs=9, promise=PromiseRecipe(route_precision=0.97)), start)
    assert written.startswith(top.format(9))
    assert f"[promise]\n{promise}" in written


@pytest.mark.parametrize(
    "start",
    [
        Recipe(),
        Recipe(epochs=1, batch_size=7, max_tokens=511, averaging=0.5, label_smoothing=0.5, layer_decay=0.3),
        Recipe(learning_rate=0.01, head_multiplier=99, dropout=0.0, class_weights="sqrt"),
        Recipe(epochs=200, learning_rate=0.9, r_drop=7, dropout=0.4),
    ],
)
def test_the_search_space_includes_the_starting_recipe(start: Recipe) -> None:
    """For any recipe: its own values can be tried, and every value in the space is valid in a recipe."""
    space = dimensions(start, start.learning_rate or 3e-4)
    values = start_values(space, start, start.learning_rate or 3e-4)
    for each in space:
        if isinstance(each, Choice):
            assert values[each.name] in each.values
            for value in each.values:
                tried(start, {each.name: value})
        else:
            assert each.low <= values[each.name] <= each.high
            tried(start, {each.name: each.low})
            tried(start, {each.name: each.high})


def test_a_study_continues_earlier_trials(tmp_path: Path) -> None:
    """Trials of an earlier process count, and the sampler doesn't draw the same values again."""
    path = tmp_path / "tune.db"
    study_with(path, 0.5, 0.6)
    study_with(path, 0.7)
    with open_study(path, ABOUT, 1) as study:
        rates = [trial.params["learning_rate"] for trial in study.trials]
        assert [trial.value for trial in finished(study)] == [0.5, 0.6, 0.7]
        assert len(set(rates)) == 3


def test_a_killed_trial_is_marked_failed(tmp_path: Path) -> None:
    """It does not count; if it was the starting recipe, that is queued again."""
    path = tmp_path / "tune.db"
    with open_study(path, ABOUT, 1) as study:
        _begin_with(study, {"epochs": 3})
        _begin_with(study, {"epochs": 3})
        study.ask().suggest_int("epochs", 1, 5)
    with open_study(path, ABOUT, 1) as study:
        assert [each.state for each in trial_figures(study)] == ["fail"]
        assert finished(study) == []
        _begin_with(study, {"epochs": 3})
        trial = study.ask()
        assert trial.suggest_int("epochs", 1, 5) == 3
        study.tell(trial, 0.5)
        _begin_with(study, {"epochs": 3})
        assert study.get_trials(states=(TrialState.WAITING,)) == []


def test_a_pruned_trial_has_its_last_figure(tmp_path: Path) -> None:
    """Its figure is its last report, and it counts."""
    with open_study(tmp_path / "tune.db", ABOUT, 1) as study:
        trial = study.ask()
        trial.report(0.3, 1)
        trial.report(0.4, 2)
        study.tell(trial, state=TrialState.PRUNED)
        (found,) = trial_figures(study)
        assert (found.state, found.macro_f1, len(finished(study))) == ("pruned", 0.4, 1)


def test_a_study_in_use_is_refused(tmp_path: Path) -> None:
    """Its running trial must not be marked failed."""
    path = tmp_path / "tune.db"
    with open_study(path, ABOUT, 1), pytest.raises(TicketRouterError, match="at work"), open_study(path, ABOUT, 1):
        pass


def test_a_study_of_another_search_is_refused(tmp_path: Path) -> None:
    """Other data, another recipe, or a file that is no study: named, and left unchanged."""
    path = tmp_path / "tune.db"
    study_with(path, 0.5)
    with pytest.raises(TicketRouterError, match="other data"), open_study(path, {**ABOUT, "data": "2f"}, 1):
        pass
    (tmp_path / "notes.db").write_text("my notes, of more than a hundred letters" * 20)
    with pytest.raises(TicketRouterError, match="not a file of an earlier"), open_study(tmp_path / "notes.db", {}, 1):
        pass
    with pytest.raises(TicketRouterError, match="cannot be written"), open_study(tmp_path / "no/t.db", {}, 1):
        pass
    with open_study(path, ABOUT, 1) as study:
        assert isinstance(study, optuna.Study)
        assert len(study.trials) == 1
