"""Delivers the bundle of a source and digest into a folder, or raises one error with a one-line message."""

from collections.abc import AsyncIterator
from pathlib import Path

import structlog

from models.bundle.bundle import Bundle
from models.errors import BundleError
from service.delivery.archive import unpack
from service.delivery.download import DeliveryError, Source, download, read_file
from service.delivery.store import Store, lock_store

_log = structlog.get_logger()


def fetch(source: Source, digest: str, folder: Path, *, max_bytes: int, seconds: float) -> Bundle:
    """Deliver the bundle in the archive with this SHA-256 (hex) into `folder`, and point `current` at the bundle.

    A bundle that was delivered before is verified and kept, without a request to the source. `seconds` limits the
    download, and also the wait for another run in the same folder.

    Raises:
        DeliveryError: the bundle cannot be delivered; `current` is unchanged, and no partial bundle remains.
        BundleError: `current` cannot be changed.
    """
    try:
        with lock_store(folder, seconds) as store:
            bundle = store.find_delivered(digest) or _download_and_install(source, digest, store, max_bytes, seconds)
            store.point_at(bundle.version)
    except OSError as error:
        raise DeliveryError(f"{folder}: cannot be written ({error.strerror}); nothing was kept") from error
    _log.info("bundle ready", version=bundle.version, path=str(bundle.path))
    return bundle


def _download_and_install(source: Source, digest: str, store: Store, max_bytes: int, seconds: float) -> Bundle:
    shown, archive, staged = source.shown, store.work / "archive", store.work / "bundle"
    _log.info("fetching", source=shown, digest=f"sha256:{digest}")
    chunks = _open_source(source, max_bytes, seconds)
    size = download(chunks, shown, digest, archive, max_bytes=max_bytes, seconds=seconds)
    _log.info("unpacking", source=shown, bytes=size)
    try:
        unpack(archive, staged, max_bytes)
        return store.install(staged, digest)
    except (DeliveryError, BundleError) as error:
        raise DeliveryError(f"{shown}: refused: {str(error).replace(f'{staged}/', '')}") from error


def _open_source(source: Source, max_bytes: int, seconds: float) -> AsyncIterator[bytes]:
    if source.scheme == "file":
        return read_file(Path(source.url))
    try:
        # Imported here: serving and local files do not need the dependency group `fetch`.
        from service.delivery.object_store import read_object
    except ModuleNotFoundError:
        raise DeliveryError("the fetch group is not installed; install it with: pip install --group fetch") from None
    return read_object(source, max_bytes=max_bytes, seconds=seconds)
