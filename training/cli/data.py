"""Commands on data alone: `sample` and `check`. Heavy libraries are imported inside: `--help` answers at once."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.root import (
    BAD_USAGE,
    Column,
    Data,
    DateFormat,
    Fields,
    Json,
    Labels,
    app,
    fields_of,
    show,
    ticket_file,
)


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
    show(f"{rows} made-up tickets in {out} ({WRONG_LABEL_RATE:.0%} with a wrong department, as in real life)")


@app.command(
    epilog="""\b
    Examples:
      python -m training check --data export.csv
      python -m training check --data export.jsonl --column department=assigned_team --field priority
      python -m training check --data export.csv --labels labels.toml --date-format DD/MM/YYYY"""
)
def check(
    data: Data,
    field: Fields = [],  # noqa: B006 typer reads the default, no code changes it
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    as_json: Json = False,
) -> None:
    """Say what is wrong in a file, line by line.

    Holds it against the data contract and says whether it is enough to start.
    """
    from training.cli.show import check_lines
    from training.commands.check import assess

    found = assess(ticket_file(data, column, labels, date_format), fields_of(field))
    show(*(found.model_dump_json(indent=1).split("\n") if as_json else check_lines(found)))
    if not found.ready:
        raise typer.Exit(BAD_USAGE)
