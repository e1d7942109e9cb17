"""The whole command line: importing a command module adds its commands; every error a person can mend is one line."""

import os
import signal
import sys

import typer

from models.errors import TicketRouterError
from models.printable import printable
from training.cli import data, distil, judge, learn, tune  # noqa: F401 their commands
from training.cli.root import BAD_USAGE, app

PROGRAM = "python -m training"


def main() -> None:
    """Run the command line; every error a person can mend is one line and exit 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        sys.exit(_run(sys.argv[1:] or ["--help"]))
    except Stopped as stopped:
        typer.echo(printable(f"stopped; {'; '.join(_notes(stopped)) or 'nothing is left half-written'}"), err=True)
        sys.exit(128 + stopped.number)


def _run(arguments: list[str]) -> int:
    try:
        return typer.main.get_command(app).main(arguments, prog_name=PROGRAM, standalone_mode=False) or 0
    except typer.TyperException as error:
        message = error.format_message()
    except TicketRouterError as error:
        message = "; ".join([str(error), *_notes(error)])
    except OSError as error:  # a full disk, an unwritable temporary folder
        message = f"{error.strerror or 'input or output failed'}: {error.filename or 'no file named'}"
    typer.echo(printable(f"error: {' '.join(message.split())}"), err=True)
    return BAD_USAGE


def _notes(error: BaseException) -> list[str]:
    """What a stage added on the way out, for instance that the same command goes on from a checkpoint."""
    return list(getattr(error, "__notes__", ()))


class Stopped(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt: typer would answer that one itself, with exit 1."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _: object) -> None:
    """Turn the signal into an exception, so that temporary folders are removed on the way out; once is enough."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
