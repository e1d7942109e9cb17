"""The source and the digest of a delivery as given on the command line, and mounted files."""

from pathlib import Path

import pytest

from service.delivery.download import DeliveryError, download, parse_digest, parse_source, read_file

SECRET = "s3cr3t"


@pytest.mark.parametrize(
    ("text", "scheme", "url"),
    [
        ("https://files.example/a/b.tar.gz", "https", "https://files.example/a/b.tar.gz"),
        ("http://[::1]:8080/b.tar", "http", "http://[::1]:8080/b.tar"),
        ("http://localhost/b.tar", "http", "http://localhost/b.tar"),
        ("s3://Bucket.name/a/b.tar", "s3", "s3://Bucket.name/a/b.tar"),
        ("file:///mnt/a%20b.tar", "file", "/mnt/a b.tar"),
        ("mnt/b#1?.tar", "file", "mnt/b#1?.tar"),
    ],
)
def test_a_url_or_a_path_is_a_source(text: str, scheme: str, url: str) -> None:
    """Each is shown as given when there is nothing to hide."""
    source = parse_source(text)
    assert (source.scheme, source.url, source.shown) == (scheme, url, url)


def test_a_source_shows_no_secret() -> None:
    """Neither a password nor a signed query is in its messages or its repr."""
    source = parse_source(f"https://user:{SECRET}@files.example:8443/b.tar?X-Amz-Signature={SECRET}#{SECRET}")
    assert source.shown == "https://files.example:8443/b.tar"
    assert SECRET not in repr(source)
    assert SECRET in source.url


@pytest.mark.parametrize(
    "text",
    [
        f"ftp://{SECRET}@files.example/b.tar",
        f"https://[{SECRET}/b.tar",
        f"https://files.example:{SECRET}/b.tar",
        f"https://{SECRET}@/b.tar",
        "https://files.example",
        f"s3://bucket?{SECRET}",
        f"s3://bucket/b.tar?{SECRET}",
        f"s3://key:{SECRET}@bucket/b.tar",
        "file://",
        "",
    ],
)
def test_text_that_is_no_source_is_refused_and_not_repeated(text: str) -> None:
    """A mistyped URL may contain a secret."""
    with pytest.raises(DeliveryError) as caught:
        parse_source(text)
    assert "--from" in str(caught.value)
    assert SECRET not in str(caught.value)


def test_a_registry_is_refused_with_the_two_alternatives() -> None:
    """Earlier versions accepted `oci://`."""
    with pytest.raises(DeliveryError, match=r"image volume.*`oras pull`") as caught:
        parse_source(f"oci://user:{SECRET}@registry.example/bundles:july")
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("host", ["files.example", "localhost.example", "127.0.0.1.example", "10.0.0.1", "0.0.0.0"])
def test_plain_http_to_another_machine_needs_the_flag(host: str) -> None:
    """The error names the flag and not the signature."""
    with pytest.raises(DeliveryError, match="--insecure-http") as caught:
        parse_source(f"http://{host}/b.tar?sig={SECRET}")
    assert SECRET not in str(caught.value)
    assert parse_source(f"http://{host}/b.tar", insecure_http=True).allow_http


def test_a_digest_is_sha256_and_hex() -> None:
    """As sha256sum prints it, with the prefix, in upper or lower case."""
    assert parse_digest("sha256:" + "AB" * 32) == "ab" * 32
    for wrong in ("ab" * 32, "sha256:" + "ab" * 31, "sha512:" + "ab" * 32, "sha256:" + "xy" * 32, ""):
        with pytest.raises(DeliveryError, match="--digest"):
            parse_digest(wrong)


def test_copying_a_file_ends_at_the_deadline(tmp_path: Path) -> None:
    """A slow mount must not delay the start of a pod longer than a download may."""
    (tmp_path / "b.tar").write_bytes(bytes(100_000_000))
    with pytest.raises(DeliveryError, match="--timeout"):
        download(read_file(tmp_path / "b.tar"), "b.tar", "0" * 64, tmp_path / "archive", max_bytes=10**9, seconds=0.001)


def test_a_file_larger_than_the_limit_is_not_copied_whole(tmp_path: Path) -> None:
    (tmp_path / "b.tar").write_bytes(bytes(3_000_000))
    with pytest.raises(DeliveryError, match=r"b\.tar is larger than --max-bytes 1000"):
        download(read_file(tmp_path / "b.tar"), "b.tar", "0" * 64, tmp_path / "archive", max_bytes=1000, seconds=20)
    assert (tmp_path / "archive").stat().st_size == 0
