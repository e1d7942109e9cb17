"""A bundle on disk to serve, and the service image with one baked in."""

import shutil
from pathlib import Path

from models.bundle.bundle import open_bundle, point_current
from tests.image.build import build
from tests.image.host import ImageTestError, check, step
from tests.support.process import ROOT
from tests.support.spoiled import damaged
from tests.support.tiny import tiny_bundle

STORE = "models/bundles"
"""Where a bundle for the image lies in the build's context."""
SOURCES = ("models", "service", "training")
FILES = (".dockerignore", "Dockerfile", "LICENSE", "constraints.txt", "constraints-gpu.txt", "pyproject.toml")


def baking_context(bundle: Path | None, context: Path) -> Path:
    """A copy of the sources with a store of bundles in it, so that the tree stays as it is.

    Args:
        bundle: what `current` is in the store; None: a tiny one, made now.

    Raises:
        BundleError: that is no sound bundle.
    """
    for name in SOURCES:
        shutil.copytree(ROOT / name, context / name, ignore=shutil.ignore_patterns("bundles", "__pycache__"))
    for name in FILES:
        shutil.copy2(ROOT / name, context)
    store = context / STORE
    if bundle is None:
        folder = tiny_bundle(context.parent / "tiny")
        shutil.move(folder, store / folder.name)
        version = folder.name
    else:
        version = open_bundle(bundle).version
        shutil.copytree(bundle, store / version)
    point_current(store, version)
    return context


def build_baked(tag: str, context: Path) -> None:
    """The image with the store's current bundle in it, after a damaged bundle was refused.

    Raises:
        ImageTestError: the build failed, or succeeded where it had to fail.
    """
    build("service", tag, context=context, BUNDLE=f"{STORE}/current")
    step("service with a bundle", tag)
    spoiled = damaged((context / STORE / "current").resolve(), context / STORE)
    try:
        build("service", f"{tag}-damaged", context=context, BUNDLE=f"{STORE}/{spoiled.name}")
    except ImageTestError as error:
        messages = [line for line in str(error).splitlines() if line.startswith("error: /tmp/bundle")]
        check(len(messages) == 1 and "Traceback" not in str(error), f"a damaged bundle is reported as:\n{error}")
        step("service with a damaged bundle", f"not built, {messages[0]!r}")
    else:
        raise ImageTestError("an image was built with a damaged bundle in it")
