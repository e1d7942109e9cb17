"""What a client may make us keep and how long it may make us wait: the figures that `protocol.py` holds it to.

In the protocol, not in a middleware: what never becomes a request is seen by no application.
"""

import resource
from dataclasses import dataclass

RESERVED_FILES = 128
"""Open files left to everything but the public port's connections: bundles, logs, threads, the management port."""
FEWEST_CONNECTIONS = 16
"""Served even where the system allows hardly any files."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of each connection to a port. Sizes in bytes, times in seconds."""

    head_seconds: float = 5.0
    """From a connection's start, or from a request's first byte, to the end of its head: whoever asks, has it ready."""

    body_seconds: float = 15.0
    """From the end of the head to the end of the body, whatever time the route allows. Absolute: a rate would have
    to be measured, and lets a dripping client stay."""

    write_seconds: float = 10.0
    """How long an answer may wait for a client that does not read on."""

    linger_seconds: float = 1.0
    """How long a body that was on its way is still taken, unread, after a connection's last answer. Closed at once, it
    would be reset by the system, and who is still sending would lose the answer."""

    head_bytes: int = 16 * 1024
    """Request line and headers: ten times what clients and proxies send. Looked at after each piece of at most 4 KB
    (`piecewise.py`), so that up to 20 KB may pass."""

    headers: int = 64
    """Each costs time in every layer that reads them."""

    url_bytes: int = 2048
    """Our longest path has twenty characters; tracing proxies and load balancers may add a query."""

    framing_bytes: int = 16 * 1024
    """How many more bytes than half its content a chunked body may spend on chunk sizes, extensions and trailers: a
    megabyte in pieces of one byte costs more time than a hundred tickets."""

    unwanted_bytes: int = 4 * 1024 * 1024
    """How much is read of a body after its answer, so that the connection can be used again: the largest that a route
    takes. Cut off in the middle, who is still sending may never see its 429; reading on costs half a millisecond a
    megabyte."""

    pipelined: int = 64
    """Requests that one piece of input may hold; after these the connection is closed, and the client asks again."""


PUBLIC = Limits()
MANAGEMENT = Limits(pipelined=1)
"""No probe and no scraper sends requests in a row, and a page of metrics takes ten milliseconds."""
MANAGEMENT_CONNECTIONS = 32
"""Open at once on the management port: probes, a Prometheus or two, a person. The public port's are a setting."""


def allowed_connections(wanted: int) -> int:
    """As many as wanted, or as the system lets us have open files for. Raises the process's soft limit if need be."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = wanted + RESERVED_FILES
    if soft != resource.RLIM_INFINITY and soft < needed:
        soft = needed if hard == resource.RLIM_INFINITY else min(needed, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    room = wanted if soft == resource.RLIM_INFINITY else soft - RESERVED_FILES
    return min(wanted, max(room, FEWEST_CONNECTIONS))
