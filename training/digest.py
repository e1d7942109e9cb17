"""SHA-256 of files: what names a run, a bundle's data and a search by their content."""

import hashlib
from pathlib import Path


def digest_of(path: Path) -> str:
    """64 hex digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
