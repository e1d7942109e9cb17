"""Reads archives from web servers and object stores (S3, Google Cloud Storage, Azure) with obstore.

Credentials and endpoints of object stores come from the environment variables of each provider's tools.
"""

import base64
import re
from collections.abc import AsyncIterator
from datetime import timedelta
from urllib.parse import unquote, urlsplit

import obstore
import obstore.store

from service.delivery.download import DeliveryError, Source, refuse_size

MAX_RETRIES = 7
"""About ten seconds with obstore's backoff: Kubernetes restarts a failed pod anyway."""
CONNECT_SECONDS = 10.0
READ_TIMEOUT_SECONDS = 30.0
"""After this time without data, the request is retried."""
CHUNK = 1 << 16
DENIED = {
    "s3": "are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY set, or a role? AWS_SKIP_SIGNATURE=true for a public bucket",
    "gs": "is GOOGLE_APPLICATION_CREDENTIALS set, or a role?",
    "az": "are AZURE_STORAGE_ACCOUNT_NAME and AZURE_STORAGE_ACCOUNT_KEY set, or a role?",
    "https": "are the user and password in the URL right, or has a signed URL expired?",
    "http": "are the user and password in the URL right, or has a signed URL expired?",
}
REASONS = {
    "InvalidCertificate": "its certificate is not trusted; name your own authority's file in SSL_CERT_FILE",
    "BadScheme": "unencrypted, or redirects to an unencrypted URL; use https, or --insecure-http if you must",
    "TooManyRedirects": "redirects in a circle",
    "MissingContentLength": "the server does not say how large the archive is (Content-Length)",
    "RangeNotSupported": "the connection broke, and the server cannot resume a download",
    "MissingEtag": "the connection broke, and the server cannot resume a download",
    "TimedOut": "no answer in time",
    "panicked": "the request is invalid; is an endpoint or a region in the environment misspelt?",
}
"""Name in obstore's message → reason to show."""


async def read_object(source: Source, *, max_bytes: int, seconds: float) -> AsyncIterator[bytes]:
    """The archive's bytes. obstore retries after 408, 429, 5xx, a timeout or a broken connection, and resumes the
    download.

    Raises:
        DeliveryError: the archive cannot be read, or its declared size is over the limit.
    """
    try:
        store, path = _store(source, seconds)
        result = await obstore.get_async(store, path)
        refuse_size(result.meta["size"], max_bytes, source.shown)
        async for chunk in result.stream(min_chunk_size=CHUNK):
            yield bytes(chunk)
    except DeliveryError:
        raise
    except Exception as error:  # obstore's errors, and a Rust panic for an endpoint that is not a URL
        raise DeliveryError(f"{source.shown}: {_reason(error, source.scheme)}") from None


def _store(source: Source, seconds: float) -> tuple[obstore.store.ObjectStore, str]:
    client: obstore.store.ClientConfig = {
        "allow_http": source.allow_http,
        "connect_timeout": timedelta(seconds=CONNECT_SECONDS),
        "read_timeout": timedelta(seconds=READ_TIMEOUT_SECONDS),
        "timeout": timedelta(seconds=seconds),
    }
    retries: obstore.store.RetryConfig = {
        "max_retries": MAX_RETRIES,
        "retry_timeout": timedelta(seconds=seconds),
    }
    if source.scheme in ("https", "http"):
        parts = urlsplit(source.url)
        if parts.username is not None:  # obstore ignores credentials in a URL
            login = f"{unquote(parts.username)}:{unquote(parts.password or '')}".encode()
            client["default_headers"] = {"Authorization": f"Basic {base64.b64encode(login).decode()}"}
        # The store has the whole URL, so that the query and the escapes reach the server unchanged. Not `from_url`: it
        # treats a signed URL of an object store as that store.
        url = parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()
        return obstore.store.HTTPStore(url, client_options=client, retry_config=retries), ""
    bucket, _, key = source.url.partition("://")[2].partition("/")
    url = f"{source.scheme}://{bucket}"
    return obstore.store.from_url(url, client_options=client, retry_config=retries), key.lstrip("/")


def _reason(error: Exception, scheme: str) -> str:
    """A short reason: obstore's message contains the whole request and the server's response."""
    first, whole = str(error).partition("\n")[0], str(error)
    status = re.search(r"status code: (\d{3})", first)
    if (status and status[1] in ("401", "403")) or "token request" in first:
        return f"access denied: {DENIED[scheme]}"
    if isinstance(error, FileNotFoundError):
        return "not found"
    if isinstance(error, ValueError):
        return "not a valid URL"
    if status:
        return f"the server answered {status[1]}"
    for name, reason in REASONS.items():
        if name in whole:
            return reason
    if (
        "Error performing" not in first and "HTTP error" not in first
    ):  # an error in the configuration from the environment
        return first
    words = re.findall(r'(?:message|error): "([^"\\]*)"', whole)  # the operating system's message
    return f"the connection failed ({words[-1]})" if words else "the connection failed"
