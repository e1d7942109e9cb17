"""From an address and a digest to a bundle that can be served, or to one line that says why not."""

from dataclasses import dataclass
from pathlib import Path

import structlog

from models.bundle.bundle import Bundle
from models.errors import BundleError
from service.delivery.address import Address
from service.delivery.archive import unpack
from service.delivery.download import Limits, download
from service.delivery.errors import DeliveryError
from service.delivery.sources import open_source
from service.delivery.store import Store, locked

_log = structlog.get_logger()


@dataclass(frozen=True)
class Order:
    """What is to be delivered: the archive at `source` that has this SHA-256 (hex), into `folder`."""

    source: Address
    digest: str
    folder: Path
    limits: Limits
    insecure_http: bool = False


def fetch(order: Order) -> Bundle:
    """Deliver the bundle and point `current` at it. One that was delivered before is verified and kept.

    Raises:
        DeliveryError: it cannot be; `current` is as it was, and nothing half-delivered is left.
        BundleError: `current` cannot be moved.
    """
    try:
        with locked(order.folder, order.limits) as store:
            bundle = store.delivered(order.digest) or _bring(order, store)
            store.point_at(bundle.version)
    except OSError as error:
        raise DeliveryError(f"{order.folder}: cannot be written ({error.strerror}); nothing was kept") from error
    _log.info("bundle ready", version=bundle.version, path=str(bundle.path))
    return bundle


def _bring(order: Order, store: Store) -> Bundle:
    shown, archive, staged = order.source.shown, store.work / "archive", store.work / "bundle"
    _log.info("fetching", source=shown, digest=f"sha256:{order.digest}")

    size = download(
        lambda: open_source(order.source, order.digest, order.limits, order.insecure_http), archive, order.limits
    )
    _log.info("unpacking", source=shown, bytes=size)
    staged.mkdir()
    unpack(archive, shown, staged, order.limits)
    try:
        return store.install(staged, order.digest)
    except BundleError as error:
        raise DeliveryError(f"{shown}: refused: {str(error).replace(f'{staged}/', '')}") from error
