"""The limits on the layout of the code. `make structure` prints the figures."""

import pytest

from tests.structure import PACKAGES, ROOT, files_by_folder, longest_chain

IMPORT_LEVELS = 14
FILES = 15
AT_THE_ROOT = {"__init__", "__main__", "app", "context", "decision", "errors", "lifecycle", "logs", "settings"}


def test_the_service_has_few_import_levels() -> None:
    """If it fails, move a type down to a lower module: a change there reaches everything above it."""
    chain = longest_chain("service")
    assert len(chain) <= IMPORT_LEVELS, " imports ".join(chain)


@pytest.mark.parametrize("package", PACKAGES)
def test_no_folder_has_more_than_fifteen_code_files(package: str) -> None:
    """Split a longer folder by what its files are for."""
    assert {folder: count for folder, count in files_by_folder(package).items() if count > FILES} == {}


def test_the_root_of_the_service_has_no_file_that_belongs_in_a_package() -> None:
    """Only the entry, the composition root, and modules that every package needs."""
    assert {path.stem for path in (ROOT / "service").glob("*.py")} == AT_THE_ROOT
