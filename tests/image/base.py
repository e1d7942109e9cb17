"""The base image of the Dockerfile, made by debootstrap: the same distribution, without a registry.

Kept in buildah's store under the Dockerfile's own name for it; an existing one, pulled or made, is used whatever its
age.
"""

import re

from tests.image.host import ImageTestError, run
from tests.support.process import ROOT


def ensure_base() -> str:
    """The base image's name, as the Dockerfile gives it.

    Raises:
        ImageTestError: debootstrap or buildah failed.
    """
    name: str = re.findall(r"^ARG BASE=(.+)$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)[0]
    try:
        run("buildah", "inspect", "--type", "image", name)
    except ImageTestError:
        _make(name, suite=name.split(":")[1].removesuffix("-slim"))
    return name


def _make(name: str, suite: str) -> None:
    container = run("buildah", "from", "scratch").strip()
    try:
        root = run("buildah", "mount", container).strip()
        run("debootstrap", "--variant=minbase", suite, root)
        # as in the published image, since files that the Dockerfile deletes would count for its own layers
        run("find", f"{root}/var/cache/apt", f"{root}/var/lib/apt/lists", "-type", "f", "-delete")
        run("buildah", "commit", "--format", "docker", container, name)
    finally:
        run("buildah", "rm", container)
