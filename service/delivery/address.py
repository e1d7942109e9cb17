"""Where a bundle comes from and the digest it must have, as given on the command line. Read by `sources.py`."""

import re
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import SplitResult, unquote, urlsplit

from service.delivery.errors import DeliveryError

WEB = ("https", "http")
OBJECTS = ("s3", "gs", "az")
REGISTRY = "oci"
FILE = "file"
SCHEMES = (*WEB, *OBJECTS, REGISTRY, FILE)


@dataclass(frozen=True)
class Address:
    """Where the archive lies. `shown` has neither credentials nor query, which may be a signature."""

    scheme: str
    shown: str
    host: str
    """With its port. A bucket or container for object stores; empty for files."""
    path: str
    """Without its first slash, but for files."""
    url: str = field(repr=False)


def parse_address(text: str) -> Address:
    """Read a URL or a path.

    Raises:
        DeliveryError: it is neither; the message does not repeat it.
    """
    if "://" not in text:
        return _file(text)
    try:
        parts = urlsplit(text)
        host = (parts.hostname or "") + (f":{parts.port}" if parts.port else "")
    except ValueError:
        raise DeliveryError("--from: not a valid URL") from None
    if parts.scheme not in SCHEMES:
        raise DeliveryError(f"--from: {parts.scheme!a} is not one of {', '.join(SCHEMES)}")
    if parts.scheme == FILE:
        return _file(unquote(parts.path))
    _refuse_incomplete(parts)
    # A bucket's name is taken as it stands; a host's small letters are what `hostname` gives.
    name = parts.netloc if parts.scheme in OBJECTS else host
    return Address(parts.scheme, f"{parts.scheme}://{name}{parts.path}", name, parts.path.lstrip("/"), text)


def parse_digest(text: str) -> str:
    """The hex digits of `sha256:HEX`.

    Raises:
        DeliveryError: it has another form.
    """
    if not re.fullmatch(r"sha256:[0-9a-f]{64}", text.lower()):
        raise DeliveryError("--digest: give sha256: and 64 hex digits; sha256sum prints them, without the `sha256:`")
    return text.lower().removeprefix("sha256:")


def is_loopback(host: str) -> bool:
    """Whether a host, without port, is this machine by its very name."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _file(path: str) -> Address:
    if not path:
        raise DeliveryError("--from: no path is given")
    return Address(FILE, path, "", str(Path(path)), path)


def _refuse_incomplete(parts: SplitResult) -> None:
    if not parts.hostname or not parts.path.strip("/"):
        raise DeliveryError(f"--from: {parts.scheme}:// needs a host, bucket or registry, and a path")
    if parts.scheme not in WEB and (parts.query or parts.fragment or "@" in parts.netloc + parts.path):
        raise DeliveryError(
            f"--from: {parts.scheme}:// takes no query, user or @digest; credentials come from the environment, "
            "the digest from --digest"
        )
