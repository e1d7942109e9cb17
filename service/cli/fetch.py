"""`python -m service fetch`: deliver a bundle; a signal stops the command at once."""

import contextlib
import signal
from pathlib import Path

import typer
from rich.console import Console

from models.printable import printable
from service.delivery.download import Source
from service.delivery.fetch import fetch
from service.logs import configure_logging


def deliver(source: Source, digest: str, folder: Path, *, max_bytes: int, seconds: float, json: bool) -> None:
    """Fetch, with a log line for each event (`json`) or one plain line at the end.

    Raises:
        TicketRouterError: the bundle cannot be delivered.
        KeyboardInterrupt: stopped by SIGINT or SIGTERM.
    """
    configure_logging("info" if json else "error")
    # As the first process of a container (PID 1), the command would ignore signals without a handler.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    console = Console(stderr=True, highlight=False)
    with console.status(f"fetching {source.shown}") if console.is_terminal else contextlib.nullcontext():
        bundle = fetch(source, digest, folder, max_bytes=max_bytes, seconds=seconds)
    if not json:
        typer.echo(printable(f"bundle {bundle.version} is in {bundle.path}; {folder / 'current'} points at it"))
