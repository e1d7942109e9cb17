"""Which code runs: the version of the service, and the commit that it was built from."""

import functools
import tomllib
from pathlib import Path
from typing import NamedTuple

_ROOT = Path(__file__).parent.parent


class Build(NamedTuple):
    """`version`: from pyproject.toml, which the images contain. Each is `unknown` if it was not recorded."""

    version: str
    revision: str


@functools.cache
def build(root: Path = _ROOT) -> Build:
    """The version and the commit: from the file `REVISION` of an image, else from the checkout."""
    try:
        version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    except (OSError, ValueError, KeyError):
        version = "unknown"
    try:
        revision = (root / "REVISION").read_text().strip()
    except OSError:
        revision = _head_commit(root / ".git") or "unknown"
    return Build(version, revision)


def _head_commit(git: Path) -> str | None:
    """The commit of `HEAD`. Read from the files, because a serving image has no git; None if there is no checkout."""
    try:
        if git.is_file():  # a worktree: the file names its folder; the branches are in the common folder
            git = git.parent / git.read_text().removeprefix("gitdir:").strip()
        common = git / (git / "commondir").read_text().strip() if (git / "commondir").exists() else git
        head = (git / "HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return head
        reference = head.removeprefix("ref: ")
        if (common / reference).exists():
            return (common / reference).read_text().strip()
        packed = (line.split() for line in (common / "packed-refs").read_text().splitlines())
        return next((words[0] for words in packed if words[-1] == reference), None)
    except OSError:
        return None
