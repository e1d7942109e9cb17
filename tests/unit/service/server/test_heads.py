"""`service.server.heads`: which heads leave no doubt, and what is said of those that do."""

import httptools
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.server.heads import ambiguity, has_path, without_upgrade

HOST = (b"host", b"x")


@pytest.mark.parametrize(
    ("version", "headers", "named"),
    [
        ("1.1", [], "Host"),
        ("1.1", [HOST, HOST], "Host"),
        ("1.0", [HOST, HOST], "Host"),
        ("1.1", [HOST, (b"transfer-encoding", b"gzip, chunked")], "Transfer-Encoding"),
        ("1.1", [HOST, (b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")], "Transfer-Encoding"),
        ("1.0", [HOST, (b"transfer-encoding", b"chunked")], "Transfer-Encoding"),
        ("2.0", [HOST], "HTTP/1.1"),
    ],
)
def test_what_could_be_read_in_two_ways_is_named(version: str, headers: list[tuple[bytes, bytes]], named: str) -> None:
    """The header at fault, so that whoever sent it finds it."""
    found = ambiguity(version, headers)
    assert found is not None
    assert named in found


@pytest.mark.parametrize(
    ("version", "headers"),
    [("1.1", [HOST]), ("1.0", []), ("1.0", [HOST]), ("1.1", [HOST, (b"transfer-encoding", b"chunked")])],
)
def test_what_everybody_reads_alike_passes(version: str, headers: list[tuple[bytes, bytes]]) -> None:
    """Nothing is said of it."""
    assert ambiguity(version, headers) is None


@pytest.mark.parametrize(
    ("target", "has"),
    [
        (b"/v1/route?x", True),
        (b"//", True),
        (b"*", True),
        (b"http://x/v1/route", True),
        (b"http://x", False),
        (b"x:1", False),
        (b"/\xff", False),
    ],
)
def test_a_target_without_a_path_is_known(target: bytes, has: bool) -> None:
    """Absolute ones may have none, and what is no URL has none."""
    assert has_path(target) is has


@given(st.lists(st.integers(0x21, 0x7E), max_size=30).map(lambda rest: b"/" + bytes(rest)))
def test_what_begins_with_a_slash_has_a_path_for_the_server_too(target: bytes) -> None:
    """It is not parsed twice: uvicorn must find there what was found here."""
    path = httptools.parse_url(target).path
    assert path is not None
    assert path.isascii()


def test_a_wish_for_another_protocol_goes_and_an_end_stays() -> None:
    """`close` often stands beside it, and is no part of it."""
    wish = [HOST, (b"connection", b"Upgrade, close"), (b"upgrade", b"h2c"), (b"http2-settings", b"AAMA")]
    assert without_upgrade(b"GET / HTTP/1.1", wish) == b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert without_upgrade(b"GET / HTTP/1.1", wish[:1]) == b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
