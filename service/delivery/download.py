"""Downloads an archive to a file, within limits of size and time, and verifies its SHA-256."""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import unquote, urlsplit

from models.errors import TicketRouterError

OBJECTS = ("s3", "gs", "az")
SCHEMES = ("https", "http", *OBJECTS, "file")
CHUNK = 1 << 20


class DeliveryError(TicketRouterError):
    """The bundle cannot be delivered. Messages never contain the credentials or the query of a source."""


@dataclass(frozen=True)
class Source:
    """The location of the archive. `url`: a path for files. `shown`: for messages, without credentials and query."""

    scheme: str
    shown: str
    url: str = field(repr=False)
    allow_http: bool = False


def parse_source(text: str, insecure_http: bool = False) -> Source:
    """Read a URL or a path.

    Raises:
        DeliveryError: the text is neither, or the URL is unencrypted; the message does not repeat the URL.
    """
    try:
        parts = urlsplit(text if "://" in text else "file://")
        host, _ = parts.hostname or "", parts.port  # `.port` raises for an invalid port
    except ValueError:
        raise DeliveryError("--from: not a valid URL") from None
    if parts.scheme == "file":
        path = unquote(parts.path) if "://" in text else text
        if not path:
            raise DeliveryError("--from: no path is given")
        return Source("file", path, path)
    if parts.scheme == "oci":
        raise DeliveryError(
            "--from: oci:// is not fetched; mount the image as a Kubernetes image volume (docs/deploy.md), or pull "
            "the archive with `oras pull` and give its path"
        )
    if parts.scheme not in SCHEMES:
        raise DeliveryError(f"--from: {parts.scheme!a} is not one of {', '.join(SCHEMES)}")
    if not host or not parts.path.strip("/"):
        raise DeliveryError(f"--from: {parts.scheme}:// needs a host or bucket, and a path")
    if parts.scheme in OBJECTS and (parts.query or parts.fragment or "@" in parts.netloc):
        raise DeliveryError(
            f"--from: {parts.scheme}:// takes no query and no user; credentials come from the environment"
        )
    shown = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
    if parts.scheme == "http" and not (insecure_http or _is_loopback(host)):
        raise DeliveryError(f"{shown}: unencrypted; use https, or --insecure-http if you must")
    return Source(parts.scheme, shown, text, allow_http=insecure_http or parts.scheme == "http")


def parse_digest(text: str) -> str:
    """The hex digits of `sha256:HEX`.

    Raises:
        DeliveryError: the text does not have this form.
    """
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text.lower()):
        raise DeliveryError("--digest: give sha256: and 64 hex digits; sha256sum prints them, without the `sha256:`")
    return text.lower().removeprefix("sha256:")


def refuse_size(size: int, max_bytes: int, what: str) -> None:
    """Raise DeliveryError if `size` is larger than `max_bytes`. `what`: the subject of the message."""
    if size > max_bytes:
        raise DeliveryError(f"{what} is larger than --max-bytes {max_bytes}")


async def read_file(path: Path) -> AsyncIterator[bytes]:
    """Read a local file in chunks.

    Raises:
        DeliveryError: the file is missing or cannot be read.
    """
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK):
                yield chunk
                await asyncio.sleep(0)  # the timeout can only cancel the copying here
    except (FileNotFoundError, IsADirectoryError):
        raise DeliveryError(f"{path}: no such file; --from takes an archive, not a folder") from None
    except OSError as error:
        raise DeliveryError(f"{path}: cannot be read ({error.strerror})") from error


def download(
    chunks: AsyncIterator[bytes], shown: str, digest: str, path: Path, *, max_bytes: int, seconds: float
) -> int:
    """Write the archive to `path`, verify its digest, and return its size in bytes.

    Raises:
        DeliveryError: the archive did not arrive in time, is too large, or has another digest.
        OSError: `path` cannot be written.
    """

    async def receive() -> tuple[int, str]:
        sha256, size = hashlib.sha256(), 0
        with path.open("wb") as file:
            async with asyncio.timeout(seconds):
                async for chunk in chunks:
                    size += len(chunk)
                    refuse_size(size, max_bytes, shown)
                    sha256.update(chunk)
                    file.write(chunk)
        return size, sha256.hexdigest()

    try:
        size, actual = asyncio.run(receive())
    except TimeoutError:
        raise DeliveryError(f"{shown}: not done within {seconds:g} s; raise --timeout if the network is slow") from None
    if actual != digest:
        raise DeliveryError(
            f"{shown}: wrong digest: expected sha256:{digest}, got sha256:{actual}; nothing was unpacked. "
            "Does the digest belong to another archive?"
        )
    return size


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
