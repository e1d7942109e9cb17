"""`python -m service fetch`: deliver a bundle, tell it as it goes, and stop at once when asked to."""

import contextlib
import signal
from collections.abc import Iterator

import typer
from rich.console import Console

from models.bundle.bundle import Bundle
from models.printable import printable
from service.delivery.fetch import Order, fetch
from service.logs import configure_logging


def deliver(order: Order, json: bool) -> None:
    """Fetch, with a log line for each event (`json`) or one plain line at the end.

    Raises:
        TicketRouterError: it cannot be delivered.
        KeyboardInterrupt: stopped by SIGINT or SIGTERM.
    """
    configure_logging("info" if json else "error")
    # The first process of a container ignores the signals that it has no handler for.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with _busy(f"fetching {order.source.shown}"):
        bundle = fetch(order)
    if not json:
        typer.echo(printable(_told(order, bundle)))


def _told(order: Order, bundle: Bundle) -> str:
    return f"bundle {bundle.version} is in {bundle.path}; {order.folder / 'current'} points at it"


@contextlib.contextmanager
def _busy(what: str) -> Iterator[None]:
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield
        return
    with console.status(what):
        yield
