"""Which room fetches from which kind of address. Their libraries are imported here, when first needed.

Serving needs none of them, nor does a mounted file: they are the group `fetch`.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from service.delivery.address import FILE, REGISTRY, WEB, Address
from service.delivery.download import Limits, Stream
from service.delivery.errors import DeliveryError, not_installed

CHUNK = 1 << 20


def open_source(
    address: Address, digest: str, limits: Limits, insecure_http: bool
) -> contextlib.AbstractContextManager[Stream]:
    """Begin to read the archive; `digest` is its own, or for a registry its manifest's.

    Raises:
        DeliveryError: it is not to be had, or the group `fetch` is not installed.
    """
    if address.scheme == FILE:
        return _open_file(Path(address.path), digest)
    try:
        if address.scheme in WEB:
            from service.delivery.web import open_web as opener
        elif address.scheme == REGISTRY:
            from service.delivery.registry import open_layer as opener
        else:
            from service.delivery.object_store import open_object as opener
    except ModuleNotFoundError as error:
        raise not_installed() from error
    return opener(address, digest, limits, insecure_http)


@contextlib.contextmanager
def _open_file(path: Path, digest: str) -> Iterator[Stream]:
    if not path.is_file():
        raise DeliveryError(f"{path}: no such file; --from takes an archive, not a folder")
    try:
        file = path.open("rb")
    except OSError as error:
        raise DeliveryError(f"{path}: cannot be read ({error.strerror})") from error
    with file:
        yield Stream(str(path), digest, os.fstat(file.fileno()).st_size, _chunks(file, path))


def _chunks(file: BinaryIO, path: Path) -> Iterator[bytes]:
    try:
        while chunk := file.read(CHUNK):
            yield chunk
    except OSError as error:
        raise DeliveryError(f"{path}: cannot be read ({error.strerror})") from error
