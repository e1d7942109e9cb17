"""File systems that are too small or read-only. File permissions do not stop root, a read-only mount does.

Mounting needs root. Without root the tests that need mounts are skipped, and say so.
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
"""The file that fills the disk."""


@dataclass(frozen=True, slots=True)
class FreeSpace:
    """Free pages of content, or free files, folders and links; None: no limit."""

    pages: int | None = None
    files: int | None = None


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path]:
    """`folder`, created if absent, with a capacity of KILOBYTES."""
    folder.mkdir(exist_ok=True)
    _mount("-t", "tmpfs", "-o", f"size={KILOBYTES}k", "tmpfs", str(folder))
    try:
        yield folder
    finally:
        _unmount(folder)


@contextlib.contextmanager
def limited_space(disk: Path, space: FreeSpace) -> Iterator[None]:
    """Inside, the disk has only this much free space."""
    hog = disk / HOG
    if space.files is not None:
        used = os.statvfs(disk)
        _mount("-o", f"remount,nr_inodes={used.f_files - used.f_ffree + space.files}", str(disk))
    if space.pages is not None:
        with hog.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while file.write(bytes(PAGE)):
                pass
        os.truncate(hog, max(0, hog.stat().st_size - PAGE * space.pages))
    try:
        yield
    finally:
        hog.unlink(missing_ok=True)
        _mount("-o", "remount,nr_inodes=10000", str(disk))


@contextlib.contextmanager
def read_only(folder: Path) -> Iterator[Path]:
    """A read-only mount over the folder."""
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
    # Lazily: a service left there by a failed test must not block it.
    subprocess.run(["umount", "--lazy", str(folder)], check=True)
