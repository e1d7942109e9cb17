"""Archives over HTTP, with every answer that is none told in plain words. `registry.py` asks registries with it."""

import contextlib
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import requests
import requests.adapters
import urllib3

from service.delivery.address import Address, is_loopback
from service.delivery.download import Limits, Stream
from service.delivery.errors import DeliveryError, Interruption

CONNECT_SECONDS = 10.0
SILENT_SECONDS = 30.0
"""A server that sends nothing for so long is taken for dead."""
CHUNK = 1 << 20
DENIED = "access denied: are credentials set (a netrc file), or has a signed URL expired?"


class PlainAddressError(requests.exceptions.InvalidURL):
    """An unencrypted connection to another machine, asked for or redirected to."""


class _Guarded(requests.adapters.HTTPAdapter):
    """Refuses unencrypted connections, redirects included, and waits no longer than the delivery's limits."""

    def __init__(self, limits: Limits, insecure_http: bool) -> None:
        super().__init__()
        self._limits = limits
        self._insecure_http = insecure_http

    def send(self, request: requests.PreparedRequest, *arguments: Any, **options: Any) -> requests.Response:
        parts = urlsplit(request.url or "")
        if parts.scheme != "https" and not self._insecure_http and not is_loopback(str(parts.hostname)):
            raise PlainAddressError
        left = self._limits.left()
        options["timeout"] = (min(CONNECT_SECONDS, left), min(SILENT_SECONDS, left))
        return super().send(request, *arguments, **options)


def web_session(limits: Limits, insecure_http: bool) -> requests.Session:
    session = requests.Session()
    for scheme in ("https://", "http://"):
        session.mount(scheme, _Guarded(limits, insecure_http))
    # The digest is of the bytes as they are stored, not of what they unpack to on the way.
    session.headers["Accept-Encoding"] = "identity"
    return session


@contextlib.contextmanager
def open_web(address: Address, digest: str, limits: Limits, insecure_http: bool) -> Iterator[Stream]:
    """Ask for the archive.

    Raises:
        DeliveryError: it is not to be had.
    """
    with web_session(limits, insecure_http) as session, ask(session, address.url, address.shown) as response:
        refuse_status(response, address.shown, DENIED)
        yield stream_of(response, address.shown, digest)


def ask(session: requests.Session, url: str, shown: str, headers: Mapping[str, str] | None = None) -> requests.Response:
    """An answer, whatever its status; its body is still to be read.

    Raises:
        DeliveryError: there is no answer.
    """
    try:
        return session.get(url, headers=headers, stream=True)
    except PlainAddressError:
        raise DeliveryError(
            f"{shown}: unencrypted, or leads there by a redirect; use https, or --insecure-http if you must"
        ) from None
    except requests.exceptions.SSLError:
        raise DeliveryError(
            f"{shown}: its certificate is not trusted; name your own authority's file in REQUESTS_CA_BUNDLE"
        ) from None
    except requests.Timeout:
        raise Interruption(f"{shown}: no answer in time") from None
    except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError) as error:
        raise Interruption(f"{shown}: no connection ({root_cause(error)})") from None
    except requests.RequestException as error:
        raise DeliveryError(f"{shown}: cannot be asked for ({type(error).__name__})") from None


def refuse_status(response: requests.Response, shown: str, denied: str) -> None:
    """Raises DeliveryError unless it is 200; `denied` says where credentials come from."""
    status = response.status_code
    if status == requests.codes.ok:
        return
    if status in (401, 403):
        raise DeliveryError(f"{shown}: {denied} ({status})")
    if status in (404, 410):
        raise DeliveryError(f"{shown}: not found ({status})")
    if status in (408, 429) or status >= 500:
        raise Interruption(f"{shown}: the server answered {status}")
    raise DeliveryError(f"{shown}: the server answered {status}")


def stream_of(response: requests.Response, shown: str, digest: str) -> Stream:
    """The answer's body; `digest` is what it must have."""
    length = response.headers.get("Content-Length", "")
    return Stream(shown, digest, int(length) if length.isdecimal() else None, body(response, shown))


def body(response: requests.Response, shown: str) -> Iterator[bytes]:
    """The body as it comes in, however slowly.

    Raises:
        Interruption: the connection broke.
    """
    try:
        # read1 gives what is there; read would wait for the whole chunk, past any deadline if it drips.
        while chunk := response.raw.read1(CHUNK):
            yield chunk
    except urllib3.exceptions.TimeoutError:
        raise Interruption(f"{shown}: the server fell silent") from None
    except (urllib3.exceptions.HTTPError, OSError) as error:
        raise Interruption(f"{shown}: the connection broke ({root_cause(error)})") from None


def root_cause(error: BaseException) -> str:
    """What the system said, for the errors on top of it quote the whole URL."""
    while error.__context__ is not None:
        error = error.__context__
    return getattr(error, "strerror", None) or type(error).__name__
