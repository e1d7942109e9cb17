"""The layout that house rules ask for. `make structure` prints what is measured here."""

import pytest

from tests.structure import PACKAGES, ROOT, files_by_folder, longest_chain

IMPORT_LEVELS = 12
FILES = 15
AT_THE_ROOT = {"__init__", "__main__", "app", "context", "decision", "errors", "lifecycle", "logs", "settings"}


def test_the_service_has_at_most_twelve_import_levels() -> None:
    """Else move a type down to where it belongs: a change in a low module reaches everything above it."""
    chain = longest_chain("service")
    assert len(chain) <= IMPORT_LEVELS, " imports ".join(chain)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_has_more_than_fifteen_code_files(package: str) -> None:
    """A longer list is a pile: split the folder by what its files are for."""
    assert {folder: count for folder, count in files_by_folder(package).items() if count > FILES} == {}


def test_the_root_of_the_service_has_no_file_that_belongs_in_a_package() -> None:
    """Only the entry, the composition root, and what every package needs."""
    assert {path.stem for path in (ROOT / "service").glob("*.py")} == AT_THE_ROOT
