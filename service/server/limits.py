"""The limits of a client connection, enforced by `protocol.py`: the application sees only complete request heads.

The application limits the size and the duration of a body (`http/body.py`).
"""

import resource
from dataclasses import dataclass

RESERVED_FILES = 128
"""File descriptors reserved for everything except the public port's connections: bundles, logs, threads, the management
port, and connections that are accepted before another one is closed to make room."""
MIN_CONNECTIONS = 16
"""Allowed even if the limit of open files is very low."""


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """The limits of each connection to a port. Sizes in bytes, times in seconds."""

    head_seconds: float = 5.0
    """From the connection's start, or from a request's first byte, to the end of its head."""
    idle_seconds: float = 75.0
    """Between two requests. Longer than proxies keep an idle connection (60 by default in nginx and in cloud load
    balancers): the side that closes first may lose a request that is just being sent, and a POST is not sent again."""
    closing_seconds: float = 10.0
    """How long a connection stays open for a client that does not read its response, or that still sends its body after
    the response. An immediate close would reset the connection, and a client that sends its whole body before it reads
    would lose the response."""
    head_bytes: int = 16 * 1024
    """Request line and headers: ten times the size that clients and proxies send."""
    headers: int = 64
    url_bytes: int = 2048
    """The longest path has twenty characters; proxies may add a query."""
    framing_bytes: int = 16 * 1024
    """How many bytes more than half its content a chunked body may spend on chunk sizes, extensions and trailers: a
    megabyte in chunks of one byte costs more CPU than a hundred tickets."""
    pipelined: int = 64
    """Requests that may wait for the response of an earlier one on the same connection."""


PUBLIC = ConnectionLimits()
MANAGEMENT = ConnectionLimits(pipelined=1)
MANAGEMENT_CONNECTIONS = 32
"""Open connections on the management port: probes, one or two Prometheus servers, an administrator. The public port has
a setting."""


def allowed_connections(wanted: int) -> int:
    """`wanted`, or fewer if the limit of open files is too low. Raises the soft limit of the process if necessary.

    Without this limit, uvloop closes a listening socket permanently when the process has no free file descriptor.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != soft < wanted + RESERVED_FILES:
        soft = wanted + RESERVED_FILES if hard == resource.RLIM_INFINITY else min(wanted + RESERVED_FILES, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    return wanted if soft == resource.RLIM_INFINITY else min(wanted, max(soft - RESERVED_FILES, MIN_CONNECTIONS))
