"""The address and the digest of a delivery, as given on the command line."""

import pytest

from service.delivery.address import is_loopback, parse_address, parse_digest
from service.delivery.errors import DeliveryError

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "scheme", "host", "path"),
    [
        ("https://files.example/a/b.tar.gz", "https", "files.example", "a/b.tar.gz"),
        ("http://[::1]:8080/b.tar", "http", "::1:8080", "b.tar"),
        ("s3://Bucket.name/a/b.tar", "s3", "Bucket.name", "a/b.tar"),
        ("oci://registry.example:5000/team/bundles:july", "oci", "registry.example:5000", "team/bundles:july"),
        ("file:///mnt/a%20b.tar", "file", "", "/mnt/a b.tar"),
        ("mnt/b.tar", "file", "", "mnt/b.tar"),
    ],
)
def test_an_address_is_taken_apart(text: str, scheme: str, host: str, path: str) -> None:
    """Each kind of address gives where to ask and what for."""
    address = parse_address(text)
    assert (address.scheme, address.host, address.path) == (scheme, host, path)


def test_an_address_shows_no_secret() -> None:
    """Neither a user's password nor a signed query is in what is shown, or in a printed object."""
    address = parse_address(f"https://user:{SECRET}@files.example:8443/b.tar?X-Amz-Signature={SECRET}#{SECRET}")
    assert address.shown == "https://files.example:8443/b.tar"
    assert SECRET not in repr(address)
    assert SECRET in address.url


@pytest.mark.parametrize(
    "text",
    [
        f"ftp://{SECRET}@files.example/b.tar",
        f"https://[{SECRET}/b.tar",
        f"https://files.example:{SECRET}/b.tar",
        f"https://{SECRET}@/b.tar",
        f"s3://bucket?{SECRET}",
        f"s3://bucket/b.tar?{SECRET}",
        f"oci://user:{SECRET}@registry.example/bundles",
        "oci://registry.example/bundles@sha256:" + "0" * 64,
        "oci://registry.example",
        "file://",
        "",
    ],
)
def test_what_is_no_address_is_refused_and_not_repeated(text: str) -> None:
    """A mistyped address is told by its kind: it may hold a secret."""
    with pytest.raises(DeliveryError) as caught:
        parse_address(text)
    assert "--from" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_digest_is_sha256_and_hex() -> None:
    """As sha256sum prints it, with its kind before it, in large or small letters."""
    assert parse_digest("sha256:" + "AB" * 32) == "ab" * 32
    for wrong in ("ab" * 32, "sha256:" + "ab" * 31, "sha512:" + "ab" * 32, "sha256:" + "xy" * 32, ""):
        with pytest.raises(DeliveryError, match="--digest"):
            parse_digest(wrong)


def test_loopback_is_known_by_name_and_number() -> None:
    """A name that merely begins like one is not this machine."""
    assert all(is_loopback(host) for host in ("localhost", "127.0.0.1", "127.9.9.9", "::1"))
    assert not any(is_loopback(host) for host in ("localhost.example", "127.0.0.1.example", "10.0.0.1", "", "0.0.0.0"))
