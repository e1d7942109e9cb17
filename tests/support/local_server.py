"""A server on loopback in this process, for tests: an API, a name server, a probe."""

import contextlib
import socketserver
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def answering(server: socketserver.BaseServer) -> Iterator[int]:
    """Answer in a thread until the end of the block; gives the port."""
    with server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
