"""Which code runs: from the image's file, a checkout, a worktree, or not known."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from models.build import build
from tests.support.process import ROOT

COMMIT = ("-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "--quiet", "--allow-empty", "--message", "m")


def git(folder: Path, *arguments: str) -> str:
    return subprocess.run(
        ["git", "-C", str(folder), *arguments], check=True, capture_output=True, text=True
    ).stdout.strip()


def test_the_commit_is_read_from_a_checkout_a_worktree_and_packed_refs(tmp_path: Path) -> None:
    """On a branch and detached."""
    folder, other = tmp_path / "main", tmp_path / "other"
    folder.mkdir()
    git(folder, "init", "--quiet")
    git(folder, *COMMIT)
    head = git(folder, "rev-parse", "HEAD")
    git(folder, "worktree", "add", "--quiet", "-b", "branch", str(other))
    git(other, *COMMIT)
    assert (build(folder).revision, build(other).revision) == (head, git(other, "rev-parse", "HEAD"))
    git(folder, "pack-refs", "--all")
    build.cache_clear()
    assert (build(folder).revision, build(other).revision) == (head, git(other, "rev-parse", "HEAD"))
    git(folder, "checkout", "--quiet", "--detach")
    build.cache_clear()
    assert build(folder).revision == head


def test_an_image_has_the_version_and_commit_of_its_build(tmp_path: Path) -> None:
    (tmp_path / "REVISION").write_text("abc\n")
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    assert build(tmp_path) == ("1.2.3", "abc")


def test_without_the_files_version_and_commit_are_unknown(tmp_path: Path) -> None:
    assert build(tmp_path) == ("unknown", "unknown")


@pytest.mark.parametrize("program", ["service", "training"])
def test_the_code_that_an_image_copies_starts_and_says_its_version(tmp_path: Path, program: str) -> None:
    """All packages that it imports are there; version and revision are those of the build."""
    stages = re.split(r"^FROM ", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for stage in stages:
        if re.match(rf"\S+ AS (shared|{program})-code\n", stage):
            for names, target in re.findall(r"^COPY (.+) /app/(\S*)$", stage, re.MULTILINE):
                for source in (path for name in names.split() for path in ROOT.glob(name)):
                    place = tmp_path / target if source.is_dir() else tmp_path / target / source.name
                    place.parent.mkdir(parents=True, exist_ok=True)
                    (shutil.copytree if source.is_dir() else shutil.copy)(source, place)
    (tmp_path / "REVISION").write_text("abc\n")
    run = subprocess.run(
        [sys.executable, "-m", program, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert (run.stdout, run.stderr) == (f"{build(ROOT).version} abc\n", "")
