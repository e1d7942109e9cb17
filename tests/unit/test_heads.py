"""`service.http.heads`: which heads leave no doubt, and what is said of those that do."""

import pytest

from service.http.heads import ambiguity, without_upgrade

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


def test_a_wish_for_another_protocol_goes_and_an_end_stays() -> None:
    """`close` often stands beside it, and is no part of it."""
    wish = [HOST, (b"connection", b"Upgrade, close"), (b"upgrade", b"h2c"), (b"http2-settings", b"AAMA")]
    assert without_upgrade(b"GET / HTTP/1.1", wish) == b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
    assert without_upgrade(b"GET / HTTP/1.1", wish[:1]) == b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
