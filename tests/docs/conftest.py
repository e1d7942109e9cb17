"""A service of their own for the documentation's commands, since some of them reload it."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import all_blocks
from tests.docs.live import CURLRC, Live
from tests.support.process import serving
from training.sample import make_mails, make_tickets, write_tickets


@pytest.fixture(scope="session")
def live(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """A reader's folder, with the files that the pages name, and a running service."""
    folder = tmp_path_factory.mktemp("reader")
    store = folder / "models" / "bundles"
    shutil.copytree(tiny_bundle_path, store / tiny_bundle_path.name)
    (store / "current").symlink_to(tiny_bundle_path.name)
    shutil.make_archive(str(folder / "bundle"), "gztar", store, tiny_bundle_path.name)
    (folder / ".curlrc").write_text(CURLRC)
    write_tickets(make_tickets(300, 3), folder / "export.csv")
    (folder / "mail.eml").write_bytes(make_mails(1, seed=2)[0].raw)
    for block in all_blocks():
        named = re.match(r"# (\w+\.toml)\n", block.text)
        if named:
            (folder / named[1]).write_text(block.text)
    with serving(store / "current", "--state-dir", str(folder / "state")) as service:
        yield Live(folder, service, tiny_bundle_path.name)
