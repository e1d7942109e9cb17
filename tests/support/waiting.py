"""Waiting for something to come to pass in another process, instead of sleeping for as long as it might take."""

import socket
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came to pass"
        time.sleep(0.005)


def refused(port: int) -> bool:
    """Nobody listens there. A port that is just closing says nothing at first, and is asked again after a second."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    return False
