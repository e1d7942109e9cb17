"""Which code runs: its version, and the commit that it was built from."""

import functools
import tomllib
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parent.parent


class Build(NamedTuple):
    """`version`: of pyproject.toml, which the images hold for it. Either is `unknown` where it was not recorded."""

    version: str
    revision: str


@functools.cache
def build(root: Path = _ROOT) -> Build:
    """`revision`: from the file that the image's build wrote, or from the checkout."""
    try:
        version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    except (OSError, ValueError, KeyError):
        version = "unknown"
    try:
        revision = (root / "REVISION").read_text().strip()
    except OSError:
        revision = _checked_out(root / ".git") or "unknown"
    return Build(version, revision)


def _checked_out(git: Path) -> str | None:
    """The commit of `HEAD`. Read from the files, because a serving image has no git; None if there is no checkout."""
    try:
        if git.is_file():  # a worktree: its folder is elsewhere, the branches are in the folder that both share
            git = git.parent / git.read_text().removeprefix("gitdir:").strip()
        shared = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        if (shared / reference).exists():
            return (shared / reference).read_text().strip()
        packed = (line.split() for line in (shared / "packed-refs").read_text().splitlines())
        return next((words[0] for words in packed if words[-1] == reference), None)
    except OSError:
        return None
