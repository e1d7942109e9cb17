"""Archives from object stores: S3 and what speaks like it, Google Cloud Storage, Azure.

Credentials and endpoints come from the environment, under the names that each provider's own tools use.
"""

import contextlib
import re
from collections.abc import Iterator
from datetime import timedelta

import obstore
import obstore.exceptions
import obstore.store

from service.delivery.address import Address
from service.delivery.download import Limits, Stream
from service.delivery.errors import DeliveryError, Interruption
from service.delivery.web import CHUNK, CONNECT_SECONDS, SILENT_SECONDS

CREDENTIALS = {
    "s3": "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a role; AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "GOOGLE_APPLICATION_CREDENTIALS, or a role",
    "az": "AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY, or a role",
}


@contextlib.contextmanager
def open_object(address: Address, digest: str, limits: Limits, insecure_http: bool) -> Iterator[Stream]:
    """Ask for the archive.

    Raises:
        DeliveryError: it is not to be had.
    """
    try:
        result = obstore.get(_store(address, limits, insecure_http), address.path)
    except (obstore.exceptions.BaseError, OSError, ValueError) as error:
        raise _told(error, address) from None
    yield Stream(address.shown, digest, result.meta["size"], _chunks(result, address))


def _store(address: Address, limits: Limits, insecure_http: bool) -> obstore.store.ObjectStore:
    left = limits.left()
    client: obstore.store.ClientConfig = {
        "connect_timeout": timedelta(seconds=min(CONNECT_SECONDS, left)),
        "read_timeout": timedelta(seconds=min(SILENT_SECONDS, left)),
        "timeout": timedelta(seconds=left),
    }
    if insecure_http:
        client["allow_http"] = True
    # `download.py` tries again, for every source alike.
    return obstore.store.from_url(
        f"{address.scheme}://{address.host}", client_options=client, retry_config={"max_retries": 0}
    )


def _chunks(result: "obstore.GetResult", address: Address) -> Iterator[bytes]:
    try:
        for chunk in result.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)
    except (obstore.exceptions.BaseError, OSError):
        raise Interruption(f"{address.shown}: the connection broke") from None


def _told(error: Exception, address: Address) -> DeliveryError:
    """In plain words, for the library's own message holds the whole request."""
    first = str(error).partition("\n")[0]
    status = re.search(r"status code: (\d{3})", first)
    denied = (obstore.exceptions.PermissionDeniedError, obstore.exceptions.UnauthenticatedError)
    if isinstance(error, denied) or "token request" in first or "credentials" in first:
        return DeliveryError(
            f"{address.shown}: access denied: are the credentials set ({CREDENTIALS[address.scheme]})?"
        )
    if isinstance(error, FileNotFoundError):
        return DeliveryError(f"{address.shown}: not found")
    if "builder error" in first:
        return DeliveryError(f"{address.shown}: its endpoint is unencrypted; use https, or --insecure-http if you must")
    if "Error performing" not in first:
        return DeliveryError(f"{address.shown}: {first}")
    if status and not status[1].startswith("5"):
        return DeliveryError(f"{address.shown}: the store answered {status[1]}")
    return Interruption(f"{address.shown}: " + (f"the store answered {status[1]}" if status else "no connection"))
