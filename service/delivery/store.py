"""The folder that bundles are delivered into: one run at a time, and nothing half-delivered is ever visible.

`FOLDER/<version>` are bundles and `FOLDER/current` points at one; what a run needs for itself lies in `FOLDER/.fetch`:
its lock, the archive on its way, and a note of which archive gave which bundle.
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
    """The folder, for the run that holds its lock."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._notes = folder / ".fetch" / "delivered"
        self.work = folder / ".fetch" / "work"
        """Empty at first, removed at the end; what an interrupted run left in it is gone."""

    def delivered(self, digest: str) -> Bundle | None:
        """The sound bundle that an archive of this digest gave before, if it is still here."""
        try:
            version = (self._notes / digest).read_text()
        except (OSError, UnicodeDecodeError):
            return None
        return self._sound(version)

    def install(self, staged: Path, digest: str) -> Bundle:
        """Verify the unpacked bundle and move it to its place. A sound one that is there already is kept, and takes the
        signature that it may have been given since.

        Raises:
            BundleError: it is not a sound bundle.
            OSError: the folder cannot be written.
        """
        version = open_bundle(staged).version
        target = self._folder / version
        if self._sound(version) is None:
            if target.exists():
                target.rename(self.work / "damaged")
            staged.rename(target)
        else:
            _take_signature(staged, target)
        self._notes.mkdir(exist_ok=True)
        (self._notes / digest).write_text(version)
        sync_folder(target)
        sync_folder(self._folder)
        return open_bundle(target)

    def point_at(self, version: str) -> None:
        """Make `current` lead to this bundle; it always leads to a whole one."""
        current = self._folder / "current"
        if not current.is_symlink() or os.readlink(current) != version:
            point_current(self._folder, version)

    def _sound(self, version: str) -> Bundle | None:
        target = self._folder / version
        if not target.exists():
            return None
        try:
            bundle = open_bundle(target)
        except BundleError as error:
            _log.warning("the bundle there is damaged", reason=str(error))
            return None
        return bundle if bundle.version == version else None


@contextlib.contextmanager
def locked(folder: Path, seconds: float) -> Iterator[Store]:
    """The folder, made when absent, once no other run is at work in it.

    Raises:
        DeliveryError: another run did not end in time.
        OSError: the folder cannot be written.
    """
    own, deadline = folder / ".fetch", time.monotonic() + seconds
    own.mkdir(parents=True, exist_ok=True)
    with (own / "lock").open("w") as lock:
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system releases a dead run's lock
                break
            except BlockingIOError:
                if time.monotonic() >= deadline:
                    raise DeliveryError(f"{folder}: another fetch is still at work there") from None
                time.sleep(POLL_SECONDS)
        store = Store(folder)
        shutil.rmtree(store.work, ignore_errors=True)
        store.work.mkdir()
        try:
            yield store
        finally:
            shutil.rmtree(store.work, ignore_errors=True)


def _take_signature(staged: Path, kept: Path) -> None:
    """In one step, and only where it is of the very same manifest: two of one version may differ in their dates."""
    if (staged / SIGNATURE).exists() and (staged / MANIFEST).read_bytes() == (kept / MANIFEST).read_bytes():
        (staged / SIGNATURE).replace(kept / SIGNATURE)
