"""The commands. Heavy libraries are imported inside them, so that `--help` answers at once."""

import json
import os
import re
import signal
import sys
from pathlib import Path
from typing import Annotated

import typer

from models.errors import TicketRouterError
from models.fields import DEPARTMENT, FIELD_NAME
from training.learn.base import DEFAULT_BASE

PROGRAM = "python -m training"
BAD_USAGE = 2

app = typer.Typer(
    help="From closed tickets to a bundle that the service routes with.",
    epilog="""\b
    First steps:
      python -m training sample --out tickets.csv
      python -m training check --data tickets.csv
      python -m training train --data tickets.csv --base embedded""",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"max_content_width": 110},
)

Data = Annotated[Path, typer.Option(metavar="FILE", help="Closed tickets: CSV, JSONL or Parquet.")]
Column = Annotated[
    list[str], typer.Option(metavar="ROLE=COLUMN", help="A column with an unusual name, e.g. department=assigned_team.")
]
Fields = Annotated[
    list[str], typer.Option("--field", metavar="NAME", help="A column to predict; department always is.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for machines.")]


@app.command(
    epilog="""\b
    Examples:
      python -m training sample --out tickets.csv
      python -m training sample --out tickets.parquet --rows 500 --seed 3"""
)
def sample(
    out: Annotated[Path, typer.Option(metavar="FILE", help="File to write: .csv, .jsonl or .parquet.")],
    rows: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="How many tickets.")] = 2000,
    seed: Annotated[int, typer.Option(metavar="N", help="The same seed gives the same tickets.")] = 7,
) -> None:
    """Write made-up tickets of a made-up company, to try things with."""
    from training.sample import WRONG_LABEL_RATE, make_tickets, write_tickets

    write_tickets(make_tickets(rows, seed), out)
    typer.echo(f"{rows} made-up tickets in {out} ({WRONG_LABEL_RATE:.0%} with a wrong department, as in real life)")


@app.command(
    epilog="""\b
    Examples:
      python -m training check --data export.csv
      python -m training check --data export.jsonl --column department=assigned_team --field priority"""
)
def check(data: Data, field: Fields = [], column: Column = [], as_json: Json = False) -> None:  # noqa: B006 typer's way
    """Say what is wrong in a file, line by line.

    Holds it against the data contract and says whether it is enough to start.
    """
    from training.cli.show import check_lines
    from training.readiness import assess

    found = assess(data, fields_of(field), mapping_of(column))
    typer.echo(found.model_dump_json(indent=1) if as_json else "\n".join(check_lines(found)))
    if not found.ready:
        raise typer.Exit(BAD_USAGE)


@app.command(
    epilog="""\b
    Examples:
      python -m training train --data export.csv
      python -m training train --data export.csv --base embedded --field priority
      python -m training train --data export.parquet --base ./roberta-base --recipe recipe.toml"""
)
def train(
    data: Data,
    recipe: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file; the defaults where absent.")] = None,
    base: Annotated[
        str,
        typer.Option(
            metavar="NAME", help="Encoder to start from: a hub name, a folder, or 'embedded' (no hub needed)."
        ),
    ] = DEFAULT_BASE,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of bundles; the new one gets its version's name there.")
    ] = Path("models/bundles"),
    field: Fields = [],  # noqa: B006 typer reads the default, nobody changes it
    column: Column = [],  # noqa: B006
    as_json: Json = False,
) -> None:
    """Train, calibrate, export and write a bundle."""
    from training.recipe import load_recipe

    # All that can be refused without torch is refused before torch is imported.
    settings, fields, columns = load_recipe(recipe), fields_of(field), mapping_of(column)
    from training.cli.progress import EpochProgress, quiet_libraries, say

    with quiet_libraries():
        from training.cli.show import train_lines
        from training.pipeline import TrainRequest
        from training.pipeline import train as run

        result = run(TrainRequest(data, settings, base, out, fields, columns), say, [EpochProgress()])
    summary = {"bundle": str(result.bundle), "current": result.is_current, "metrics": result.metrics}
    typer.echo(json.dumps(summary) if as_json else "\n".join(train_lines(result)))


@app.command(
    epilog="""\b
    Examples:
      python -m training evaluate --bundle models/bundles/current --data closed.csv
      python -m training evaluate --bundle models/bundles/current --data closed.csv --report report.html"""
)
def evaluate(
    bundle: Annotated[Path, typer.Option(metavar="FOLDER", help="Bundle folder.")],
    data: Data,
    report: Annotated[Path | None, typer.Option(metavar="FILE", help="Also write an HTML page there.")] = None,
    column: Column = [],  # noqa: B006 typer reads the default, nobody changes it
    as_json: Json = False,
) -> None:
    """Measure a bundle on closed tickets it was not trained on."""
    from training.cli.show import evaluation_lines
    from training.evaluate import evaluate as run
    from training.evaluate import write_report

    found = run(bundle, data, mapping_of(column))
    if report is not None:
        write_report(found, report)
    figures = {name: value.model_dump(mode="json") for name, value in found.figures.items()}
    summary = {"version": found.bundle.version, "rows": found.rows, "empty": found.empty, "unknown": found.unknown}
    typer.echo(json.dumps({**summary, "figures": figures}) if as_json else "\n".join(evaluation_lines(found)))
    if report is not None and not as_json:
        typer.echo(f"report: {report}")


@app.command(
    epilog="""\b
    Examples:
      python -m training promote --bundle models/bundles/0123456789abcdef"""
)
def promote(
    bundle: Annotated[Path, typer.Option(metavar="FOLDER", help="Bundle folder inside the store.")],
    store: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of bundles.")] = Path("models/bundles"),
) -> None:
    """Make a bundle the one that serves.

    Checks it whole, refuses one that does not beat its baseline, then moves the store's `current` pointer.
    """
    from models.bundle import open_bundle, point_current

    opened = open_bundle(bundle)
    if opened.path.parent != store.resolve():
        raise TicketRouterError(f"{bundle}: is not in the store {store}; name its store with --store")
    if not beats_baseline(opened.read("metrics.json")):
        raise TicketRouterError(f"{bundle}: does not beat its TF-IDF baseline; train with more tickets or another base")
    point_current(store, opened.version)
    typer.echo(f"{store}/current → {opened.version}")


def beats_baseline(metrics: bytes) -> bool:
    """What a bundle's `metrics.json` says of its baseline.

    Raises:
        TicketRouterError: it says nothing of it.
    """
    try:
        return bool(json.loads(metrics)["beats_baseline"])
    except (ValueError, KeyError, TypeError) as error:
        raise TicketRouterError("the bundle's metrics.json is not of this release; train it anew") from error


def fields_of(names: list[str]) -> tuple[str, ...]:
    """The fields to predict: the department first, then the others as given.

    Raises:
        TicketRouterError: a name that a bundle cannot hold.
    """
    for name in names:
        if not re.fullmatch(FIELD_NAME, name):
            raise TicketRouterError(
                f"--field {name!r}: a field's name has small letters, digits and _; name the column apart, "
                "for instance --field priority --column priority='Ticket Priority'"
            )
    return (DEPARTMENT, *dict.fromkeys(name for name in names if name != DEPARTMENT))


def mapping_of(pairs: list[str]) -> dict[str, str]:
    """`ROLE=COLUMN` options as a mapping.

    Raises:
        TicketRouterError: one has no equals sign.
    """
    split = [pair.partition("=") for pair in pairs]
    if not all(role and column for role, _, column in split):
        raise TicketRouterError("--column wants ROLE=COLUMN, for instance --column department=assigned_team")
    return {role: column for role, _, column in split}


def main() -> None:
    """Run the command line; every error a person can mend is one line and exit 2."""
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _stop)
    try:
        sys.exit(_run(sys.argv[1:] or ["--help"]))
    except Stopped as stopped:
        typer.echo("stopped; nothing is left half-written", err=True)
        sys.exit(128 + stopped.number)


def _run(arguments: list[str]) -> int:
    try:
        return typer.main.get_command(app).main(arguments, prog_name=PROGRAM, standalone_mode=False) or 0
    except typer.TyperException as error:
        message = error.format_message()
    except TicketRouterError as error:
        message = str(error)
    except OSError as error:  # a full disk, an unwritable temporary folder
        message = f"{error.strerror or 'input or output failed'}: {error.filename or 'no file named'}"
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    return BAD_USAGE


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
