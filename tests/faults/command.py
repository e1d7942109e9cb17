"""What the commands share: a bundle to work with."""

import argparse
import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path


def bundle_parser(text: str | None) -> argparse.ArgumentParser:
    """A parser for `--bundle`; `text` is the module's docstring."""
    parser = argparse.ArgumentParser(description=(text or "").partition("\n")[0])
    parser.add_argument("--bundle", type=Path, metavar="FOLDER", help="a tiny one is made if absent")
    return parser


@contextlib.contextmanager
def bundle_or_tiny(given: Path | None) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="faults-") as work:
        if given is None:
            from tests.support.tiny import tiny_bundle  # imports torch

            given = tiny_bundle(Path(work))
        yield given
