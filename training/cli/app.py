"""The whole command line. Importing a command module adds its commands; a user's error is one line."""

import os
import signal
import sys
from typing import Annotated

import typer

from models.build import build
from models.errors import TicketRouterError
from models.printable import printable
from training.cli import bundles, data, distil, feedback, index, train, tune  # noqa: F401 their commands
from training.cli.options import BAD_USAGE, app, print_lines

PROGRAM = "python -m training"


@app.callback(invoke_without_command=True)
def root(
    version: Annotated[
        bool, typer.Option("--version", help="Print which code this is: its version and commit.")
    ] = False,
) -> None:
    if version:
        print_lines(" ".join(build()))
        raise typer.Exit


def main() -> None:
    """Run the command line; an error that the user can fix is one line and exit 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        sys.exit(run(sys.argv[1:] or ["--help"]))
    except Stopped as stopped:
        typer.echo(printable(f"stopped; {'; '.join(_notes(stopped)) or 'nothing is left half-written'}"), err=True)
        sys.exit(128 + stopped.number)


def run(arguments: list[str]) -> int:
    """Run one command. Returns its exit status; prints an error that the user can fix as one line."""
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
    """Notes that a stage added to the error, for example that the same command resumes from a checkpoint."""
    return list(getattr(error, "__notes__", ()))


class Stopped(BaseException):
    """Ctrl-C or SIGTERM. Not a KeyboardInterrupt: typer would handle that one and exit with 1."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


def _stop(number: int, _: object) -> None:
    """Turn the first signal into an exception, so that temporary folders are removed; ignore further signals."""
    for each in (signal.SIGINT, signal.SIGTERM):
        signal.signal(each, signal.SIG_IGN)
    raise Stopped(number)
