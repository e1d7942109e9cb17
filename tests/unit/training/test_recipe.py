"""The recipe: TOML in, a frozen configuration out."""

from pathlib import Path

import pytest

from models.errors import TicketRouterError
from training.recipe import Recipe, load_recipe


def put(tmp_path: Path, content: str | bytes) -> Path:
    path = tmp_path / "recipe.toml"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def test_without_a_file_the_defaults_apply(tmp_path: Path) -> None:
    """No file, or an empty one, is the default recipe."""
    assert load_recipe(None) == load_recipe(put(tmp_path, "")) == Recipe()


def test_a_file_changes_only_the_fields_it_names(tmp_path: Path) -> None:
    """Other fields and sections keep their defaults."""
    found = load_recipe(put(tmp_path, "epochs = 3\n[promise]\nroute_precision = 0.99\n[split]\ntest = 0\n"))
    assert (found.epochs, found.promise.route_precision, found.split.test) == (3, 0.99, 0)
    assert found.batch_size == Recipe().batch_size


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("epoch = 3", "epoch"),
        ("[promise]\nprecision = 0.9", "promise.precision"),
        ("[promise]\nroute_precision = 1.0", "promise.route_precision"),
        ("[promise]\nroute_precision = 95", "promise.route_precision"),
        ("[split]\ntest = -0.1", "split.test"),
        ("epochs = 0", "epochs"),
        ("epochs = 2.5", "epochs"),
        ("learning_rate = nan", "learning_rate"),
        ("head_multiplier = inf", "head_multiplier"),
        ("max_tokens = 513", "max_tokens"),
        ("pooling = 'max'", "pooling"),
        ("arithmetic = 'fp8'", "arithmetic"),
        ("seed = -1", "seed"),
        ("seed = 4294967296", "seed"),
        ("split = 3", "split"),
        ("epochs = 3\nepochs = 4", "not valid TOML"),
        ("epochs = ", "not valid TOML"),
        (b"\xff\xfe", "UTF-8"),
        ("a = " + "[" * 100_000, "not valid TOML"),
        ('"a\\nerror: fine" = 1', "Extra inputs"),
    ],
)
def test_a_recipe_out_of_bounds_is_refused(tmp_path: Path, content: str | bytes, where: str) -> None:
    """An unknown field, a value out of bounds or a file that is no TOML is refused in one line that names the place."""
    path = put(tmp_path, content)
    with pytest.raises(TicketRouterError) as caught:
        load_recipe(path)
    assert where in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert str(caught.value).isprintable()


def test_a_missing_recipe_is_refused(tmp_path: Path) -> None:
    """A missing file, or a folder, is named."""
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(TicketRouterError, match="cannot be read as a recipe"):
            load_recipe(path)


def test_a_recipe_is_immutable() -> None:
    """The recipe recorded in the bundle is the recipe that was read."""
    with pytest.raises(ValueError, match="frozen"):
        Recipe().epochs = 3  # type: ignore[misc]


def test_shares_that_leave_no_training_rows_are_refused(tmp_path: Path) -> None:
    """90 % validation and 90 % calibration are impossible together."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[split]\nvalidation = 0.9\ncalibration = 0.9\n")
    with pytest.raises(TicketRouterError, match=r"^[^\n]*leave less than 5 %[^\n]*$"):
        load_recipe(recipe)


def test_r_drop_without_dropout_is_refused(tmp_path: Path) -> None:
    """It would silently have no effect and take twice the time."""
    with pytest.raises(TicketRouterError, match=r"^[^\n]*r_drop compares passes[^\n]*$"):
        load_recipe(put(tmp_path, "r_drop = 1.0\ndropout = 0.0\n"))
