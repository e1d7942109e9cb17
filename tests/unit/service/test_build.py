"""Which code runs: from the image's file, a checkout, a worktree, or not known."""

import subprocess
from pathlib import Path

from service.build import build

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
