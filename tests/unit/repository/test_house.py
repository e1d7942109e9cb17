"""The rules of the house that a linter doesn't know."""

import importlib
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from service.settings import Settings
from training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["models", "service", "training"])
def test_a_top_level_name_resolves_under_the_repository(name: str) -> None:
    """A stray `models` in site-packages does not win over ours."""
    module = importlib.import_module(name)
    assert Path(str(module.__file__)).is_relative_to(ROOT)


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_stands_in_the_readme(name: str) -> None:
    """A setting that nobody can read about does not exist."""
    assert f"`{name}`" in (ROOT / "README.md").read_text()


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_the_readme_gives_a_settings_default_and_the_start_of_its_help(name: str) -> None:
    """The README's table is the code's: the default, and the first words of what `--help` prints."""
    row = next(line for line in (ROOT / "README.md").read_text().splitlines() if line.startswith(f"| `{name}` "))
    _, _, shown_default, meaning, _ = row.split("|")
    field = Settings.model_fields[name]
    assert shown_default.strip() == ("unset" if field.default is None else str(field.default))
    assert " ".join(str(field.description).split()).startswith(meaning.strip().rstrip("."))


def _recipe_fields(model: type[BaseModel], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += _recipe_fields(field.annotation, f"{name}.")
        else:
            found.append((prefix + name, field.default))
    return found


@pytest.mark.parametrize(("name", "default"), _recipe_fields(Recipe))
def test_every_recipe_field_stands_in_the_training_guide_with_its_default(name: str, default: object) -> None:
    """The table of docs/training.md is complete and true."""
    row = re.search(rf"^\| `{re.escape(name)}` \| ([^|]*) \|", (ROOT / "docs/training.md").read_text(), re.MULTILINE)
    assert row is not None
    if default is not None:
        assert row[1] == (f"{default:g}" if isinstance(default, float) else str(default))


def test_no_address_of_this_or_any_machine_stands_in_the_product() -> None:
    """Pinned names, not addresses: no committed file says where packages come from."""
    address = re.compile(r"--(?:extra-)?index-url|find-links|\"resolved\": *\"http")
    files = [path for path in ROOT.glob("*") if path.is_file() and path.name != ".git"]
    assert [path.name for path in files if address.search(path.read_text(errors="replace"))] == []


def _pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_links_to_what_is_there(page: Path) -> None:
    """No relative link of the documentation leads nowhere."""
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
