"""The folder of a run until its bundle is written: checkpoints to resume from, locked for one run at a time.

`<store>/.run-<key>/`; the key is a digest of everything that decides the weights, so the same command finds its run
again, and any other command has another folder. A checkpoint is complete only with its marker, which is written last.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import torch

from models.errors import TicketRouterError
from models.text.prepare import TEXT_VERSION
from training.data.source import digest_of
from training.learn.distributed import is_main, processes
from training.recipe import Recipe

PREFIX = ".run-"
FOLD = "fold-"
"""Start of the name of a subfolder: the checkpoints of one fold's network."""
_MARKER = "complete.json"
_AGAIN = "the same command goes on from the last checkpoint"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A complete checkpoint. `finished`: its run is trained to the end."""

    folder: Path
    finished: bool


def run_key(recipe: Recipe, files: Iterable[Path], **choices: object) -> str:
    """16 hex digits: a digest of everything that decides a run's weights.

    Args:
        recipe: the whole recipe.
        files: files whose content counts: the data, the labels file, the base model's files.
        choices: all other options, such as fields and columns; must be JSON.

    Raises:
        OSError: a file cannot be read.
    """
    general = [recipe.general.data] if recipe.general else []
    facts = {
        "recipe": recipe.model_dump(mode="json"),
        "files": [digest_of(path) for path in [*files, *general]],
        "choices": choices,
        "text": TEXT_VERSION,
        "torch": torch.__version__,
        "processes": processes(),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]


@contextlib.contextmanager
def run_folder(store: Path, key: str) -> Iterator[Path]:
    """Hold the run's folder for this process until the end; remove it when the bundle is written.

    If the run breaks off, a folder with a complete checkpoint stays, and the error gets a note about it. If a run has
    several processes, the main process holds the folder for all.

    Raises:
        TicketRouterError: another process has the same run, or the folder cannot be made.
    """
    folder = store / f"{PREFIX}{key}"
    if not is_main():
        yield folder
        return
    made = not store.exists()
    with _locked(folder):
        _remove_old_checkpoints(folder)
        try:
            yield folder
        except BaseException as error:
            if not _remove_old_checkpoints(folder):
                shutil.rmtree(folder, ignore_errors=True)
                with contextlib.suppress(OSError):  # keep the store if it has other files
                    if made:
                        store.rmdir()
            else:
                error.add_note(_AGAIN)
            raise
        shutil.rmtree(folder, ignore_errors=True)


def newest_checkpoint(folder: Path) -> Checkpoint | None:
    """The complete checkpoint with the most steps, if there is one."""
    complete = [path for path in folder.glob("checkpoint-*") if (path / _MARKER).is_file()]
    if not complete:
        return None
    newest = max(complete, key=lambda path: int(path.name.rpartition("-")[2]))
    return Checkpoint(newest, json.loads((newest / _MARKER).read_text())["finished"])


def seal(folder: Path, *, finished: bool) -> None:
    """Write the marker of a checkpoint after all of its files are on disk; then remove earlier checkpoints.

    Raises:
        OSError: the disk is full or broken.
    """
    for path in folder.iterdir():
        _sync(path)
    aside = folder / f"{_MARKER}.new"
    aside.write_text(json.dumps({"finished": finished}))
    _sync(aside)
    aside.rename(folder / _MARKER)
    _sync(folder)
    _sync(folder.parent)
    _remove_all_but(folder.parent, Checkpoint(folder, finished))


def unwritable(folder: Path, error: Exception) -> TicketRouterError:
    """The error for a checkpoint that could not be written."""
    reason = error.strerror if isinstance(error, OSError) and error.strerror else "writing failed; is the disk full?"
    return TicketRouterError(f"{folder}: no room for a checkpoint ({reason}); free some space and start again")


def _remove_old_checkpoints(folder: Path) -> bool:
    """Leave the newest complete checkpoint of the run, and of each of its folds; whether there is any."""
    places = [folder, *folder.glob(f"{FOLD}*")]
    newest = [(place, newest_checkpoint(place)) for place in places]
    for place, kept in newest:
        _remove_all_but(place, kept)
    return any(kept is not None for _, kept in newest)


def _remove_all_but(folder: Path, kept: Checkpoint | None) -> None:
    for path in folder.glob("checkpoint-*"):
        if kept is None or path != kept.folder:
            shutil.rmtree(path, ignore_errors=True)


@contextlib.contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock; the system releases it however the process ends."""
    try:
        descriptor = _lock(folder)
    except BlockingIOError as error:
        raise TicketRouterError(f"{folder}: another process has this very run; wait for it or stop it") from error
    except OSError as error:
        raise TicketRouterError(f"{folder}: cannot keep checkpoints there ({error.strerror})") from error
    try:
        yield
    finally:
        os.close(descriptor)


def _lock(folder: Path) -> int:
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / "lock"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
                return descriptor
        except OSError:
            os.close(descriptor)
            raise
        os.close(descriptor)  # the former holder removed this folder: open the new one


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
