"""Archives from an OCI registry: a manifest pulled by its digest, and its one layer by the layer's.

Credentials are those that docker and oras wrote to their config.json, with its credential helpers.
"""

import contextlib
import hashlib
import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import oras.auth
import oras.container
import requests
from pydantic import BaseModel, Field, ValidationError

from service.delivery.address import Address, is_loopback
from service.delivery.download import Limits, Stream
from service.delivery.errors import DeliveryError, wrong_digest
from service.delivery.web import ask, body, refuse_status, stream_of, web_session

MANIFEST_BYTES = 4_000_000
ACCEPT = "application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json"
DENIED = "access denied: are the credentials for this registry in config.json (~/.docker, or the folder DOCKER_CONFIG)?"


class _Layer(BaseModel):
    digest: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    size: Annotated[int, Field(ge=0)]


class _Manifest(BaseModel):
    layers: Annotated[tuple[_Layer, ...], Field(min_length=1, max_length=1)]


class _Registry:
    """One repository of a registry, asked with credentials once it wants them."""

    def __init__(self, address: Address, session: requests.Session, insecure_http: bool) -> None:
        plain = insecure_http or is_loopback(address.host.rpartition(":")[0] or address.host)
        self._shown = address.shown
        self._scheme = "http" if plain else "https"
        self._session = session
        self._headers = {"Accept": ACCEPT}
        # Every address is put together from these: the tag is for people, the digest decides.
        self.container = oras.container.Container(address.path, registry=address.host)

    @contextlib.contextmanager
    def get(self, path: str) -> Iterator[requests.Response]:
        """The answer to `host/path`, by then with status 200."""
        url = f"{self._scheme}://{path}"
        with ask(self._session, url, self._shown, self._headers) as response:
            if response.status_code != requests.codes.unauthorized:
                refuse_status(response, self._shown, DENIED)
                yield response
                return
            self._authenticate(response)
        with ask(self._session, url, self._shown, self._headers) as response:
            refuse_status(response, self._shown, DENIED)
            yield response

    def _authenticate(self, response: requests.Response) -> None:
        basic = response.headers.get("WWW-Authenticate", "").lower().startswith("basic")
        auth = oras.auth.get_auth_backend("basic" if basic else "token", self._session, self._scheme == "http")
        folder = os.environ.get("DOCKER_CONFIG")
        try:
            auth.load_configs(self.container, [str(Path(folder) / "config.json")] if folder else None)
            if basic and not hasattr(auth, "_basic_auth"):
                return
            self._headers, _ = auth.authenticate_request(response, self._headers)
        except (requests.RequestException, OSError, ValueError) as error:
            raise DeliveryError(f"{self._shown}: {DENIED} ({type(error).__name__})") from None


@contextlib.contextmanager
def open_layer(address: Address, digest: str, limits: Limits, insecure_http: bool) -> Iterator[Stream]:
    """Read the manifest of this digest, and ask for its layer.

    Raises:
        DeliveryError: they are not to be had, or the manifest is not the one, or not of one layer.
    """
    # Its errors repeat what the registry says; ours say what to do.
    logging.getLogger("oras.logger").disabled = True
    with web_session(limits, insecure_http) as session:
        registry = _Registry(address, session, insecure_http)
        with registry.get(registry.container.manifest_url(f"sha256:{digest}")) as response:
            layer = _only_layer(_read_manifest(response, address, digest), address)
        limits.refuse_size(layer.size, address.shown)
        with registry.get(registry.container.get_blob_url(layer.digest)) as response:
            yield stream_of(response, address.shown, layer.digest.removeprefix("sha256:"))


def _read_manifest(response: requests.Response, address: Address, digest: str) -> bytes:
    content = bytearray()
    for chunk in body(response, address.shown):
        content += chunk
        if len(content) > MANIFEST_BYTES:
            raise DeliveryError(f"{address.shown}: its manifest is larger than {MANIFEST_BYTES} bytes")
    got = hashlib.sha256(content).hexdigest()
    if got != digest:
        raise wrong_digest(address.shown, digest, got)
    return bytes(content)


def _only_layer(content: bytes, address: Address) -> _Layer:
    try:
        return _Manifest.model_validate_json(content).layers[0]
    except ValidationError:
        raise DeliveryError(
            f"{address.shown}: not an OCI manifest with one layer; push the archive alone, give its manifest's digest"
        ) from None
