"""File systems that are too small or may not be written to. Permissions do not stop root, a mount stops everybody.

Mounting needs root. Where that is not to be had, the tests that need it say so and are skipped.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

KILOBYTES = 400
PAGE = 4096
HOG = ".hog"
"""What takes the room."""


@dataclass(frozen=True, slots=True)
class Room:
    """So many pages of content, or so many files, folders and links; None: as many as there are."""

    pages: int | None = None
    files: int | None = None


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """`folder`, made when absent, with room for KILOBYTES."""
    folder.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={KILOBYTES}k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextlib.contextmanager
def room_for(disk: Path, room: Room) -> Iterator[None]:
    """Inside, the disk takes no more than this."""
    hog = disk / HOG
    if room.files is not None:
        used = os.statvfs(disk)
        _mount("-o", f"remount,nr_inodes={used.f_files - used.f_ffree + room.files}", str(disk))
    if room.pages is not None:
        with hog.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(PAGE)):
                pass
        os.truncate(hog, max(0, hog.stat().st_size - PAGE * room.pages))
    try:
        yield
    finally:
        hog.unlink(missing_ok=True)
        _mount("-o", "remount,nr_inodes=10000", str(disk))


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """What lies in it can be read, and nothing be written."""
    _mount("--bind", str(folder), str(folder))
    try:
        _mount("-o", "remount,bind,ro", str(folder))
        yield folder
    finally:
        _unmount(folder)


def _mount(*arguments: str) -> None:
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no mounting here, which takes root: {done.stderr.strip()}")


def _unmount(folder: Path) -> None:
    # Lazily: a service that a failed test left there must not keep it.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
