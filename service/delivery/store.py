"""The folder of delivered bundles: one run at a time, and a partial bundle is never visible.

`FOLDER/<version>` are the bundles, and `FOLDER/current` points at one of them. `FOLDER/.fetch` has the working files:
the lock, the archive during the download, and for each digest the version of its bundle.
"""

import contextlib
import fcntl
import os
import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import structlog

from models.bundle.bundle import MANIFEST, SIGNATURE, Bundle, open_bundle, point_current, sync_folder
from models.errors import BundleError
from service.delivery.download import DeliveryError

POLL_SECONDS = 0.2

_log = structlog.get_logger()


class Store:
    """The folder, used by the run that holds the lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._versions = folder / ".fetch" / "delivered"
        self.work = folder / ".fetch" / "work"
        """Temporary files: empty at the start (also after an interrupted run), removed at the end."""

    def find_delivered(self, digest: str) -> Bundle | None:
        """The bundle from an earlier delivery of this digest, if it is still there and valid."""
        try:
            version = (self._versions / digest).read_text()
        except (OSError, UnicodeDecodeError):
            return None
        return self._valid_bundle(version)

    def install(self, staged: Path, digest: str) -> Bundle:
        """Verify the unpacked bundle and move it to `FOLDER/<version>`. If a valid bundle is already there, keep it and
        update only its signature.

        Raises:
            BundleError: the unpacked bundle is not valid.
            OSError: the folder cannot be written.
        """
        version = open_bundle(staged).version
        target = self._folder / version
        if self._valid_bundle(version) is None:
            if target.exists():
                target.rename(self.work / "damaged")
            staged.rename(target)
        elif (staged / SIGNATURE).exists() and (staged / MANIFEST).read_bytes() == (target / MANIFEST).read_bytes():
            # Only for equal manifests: manifests of one version may differ in their dates.
            (staged / SIGNATURE).replace(target / SIGNATURE)
        self._versions.mkdir(exist_ok=True)
        (self._versions / digest).write_text(version)
        sync_folder(target)
        sync_folder(self._folder)
        return open_bundle(target)

    def point_at(self, version: str) -> None:
        """Make `current` point at this bundle, atomically."""
        current = self._folder / "current"
        if not current.is_symlink() or os.readlink(current) != version:
            point_current(self._folder, version)

    def _valid_bundle(self, version: str) -> Bundle | None:
        target = self._folder / version
        if not target.exists():
            return None
        try:
            bundle = open_bundle(target)
        except BundleError as error:
            _log.warning("existing bundle is damaged", reason=str(error))
            return None
        return bundle if bundle.version == version else None


@contextlib.contextmanager
def lock_store(folder: Path, seconds: float) -> Iterator[Store]:
    """Lock the folder for this run; create the folder if it does not exist.

    Raises:
        DeliveryError: another run held the lock for longer than `seconds`.
        OSError: the folder cannot be written.
    """
    working, deadline = folder / ".fetch", time.monotonic() + seconds
    working.mkdir(parents=True, exist_ok=True)
    with (working / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the kernel releases the lock of a killed run
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise DeliveryError(f"{folder}: another fetch is still running there") from None
                time.sleep(POLL_SECONDS)
        store = Store(folder)
        shutil.rmtree(store.work, ignore_errors=True)
        store.work.mkdir()
        try:
            yield store
        finally:
            shutil.rmtree(store.work, ignore_errors=True)
