"""Rules of the repository that no linter checks."""

import importlib
import re
from pathlib import Path

import pytest
from pydantic import BaseModel

from training.recipe import Recipe

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("name", ["models", "service", "training"])
def test_top_level_packages_are_imported_from_the_repository(name: str) -> None:
    """A stray `models` in site-packages does not take precedence."""
    module = importlib.import_module(name)
    assert Path(str(module.__file__)).is_relative_to(ROOT)


def _recipe_fields(model: type[BaseModel], prefix: str = "") -> list[tuple[str, object]]:
    found: list[tuple[str, object]] = []
    for name, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            found += _recipe_fields(field.annotation, f"{name}.")
        else:
            found.append((prefix + name, field.default))
    return found


@pytest.mark.parametrize(("name", "default"), _recipe_fields(Recipe))
def test_the_training_guide_lists_every_recipe_field_with_its_default(name: str, default: object) -> None:
    """The table of docs/training.md is complete and correct."""
    row = re.search(rf"^\| `{re.escape(name)}` \| ([^|]*) \|", (ROOT / "docs/training.md").read_text(), re.MULTILINE)
    assert row is not None
    if default is not None:
        assert row[1] == (f"{default:g}" if isinstance(default, float) else str(default))


def test_no_committed_file_names_an_address_or_index() -> None:
    """Packages are pinned by name and version; no committed file says where they come from."""
    address = re.compile(r"--(?:extra-)?index-url|find-links|\"resolved\": *\"http")
    files = [path for path in ROOT.glob("*") if path.is_file() and path.name != ".git"]
    assert [path.name for path in files if address.search(path.read_text(errors="replace"))] == []


def _pages() -> list[Path]:
    return [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_of_the_pages_exist(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text())
    assert [link for link in links if not (page.parent / link).exists()] == []
