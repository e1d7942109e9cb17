"""Waits for a condition in another process, instead of sleeping for a fixed time."""

import socket
import time
from collections.abc import Callable


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    limit = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < limit, "it never came to pass"
        time.sleep(0.005)


def refused(port: int) -> bool:
    """No server listens on the port."""
    try:
        socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
    except ConnectionRefusedError:
        return True
    except TimeoutError:  # a closing port accepts no new connection, and TCP retries only after a second
        return False
    return False
