"""The command `index`. Heavy libraries are imported inside it."""

import json
import re
from pathlib import Path
from typing import Annotated

import typer

from models.errors import TicketRouterError
from training.cli.options import (
    Closed,
    Column,
    Data,
    DateFormat,
    Json,
    LabelLevel,
    Labels,
    Mapping,
    SkipFaulty,
    app,
    print_lines,
    ticket_file,
    with_states,
)


@app.command(
    epilog="""\b
    Examples:
      python -m training index --bundle models/bundles/current --data closed.csv --out index.jsonl
      python -m training index --bundle models/bundles/current --data closed.csv --column answer=reply \\
        --region DE --out index.jsonl"""
)
def index(
    bundle: Annotated[Path, typer.Option(metavar="FOLDER", help="The bundle that serves.")],
    data: Data,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, JSON lines. It holds texts.")],
    most: Annotated[int, typer.Option(metavar="N", min=1, max=1_000_000, help="Most tickets, the newest.")] = 100_000,
    region: Annotated[
        str | None,
        typer.Option(metavar="COUNTRY", help="Country (ISO 3166) whose phone numbers are found without a code."),
    ] = None,
    column: Column = [],  # noqa: B006 typer reads the default, no code changes it
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    closed: Closed = [],  # noqa: B006
    label_level: LabelLevel = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Write the closed tickets among which the desk finds similar ones, with their answers where there is a column.

    Without e-mail addresses, phone numbers, card and account numbers; names stay. `python -m service index add` puts
    the file on record.
    """
    if region is not None and not re.fullmatch("[A-Z]{2}", region):
        raise TicketRouterError("--region wants a country of two capital letters, for instance DE")
    file = with_states(ticket_file(data, column, labels, date_format, mapping, skip_faulty), closed, label_level)
    from training.cli.progress import print_step, run_messages

    with run_messages():
        from training.commands.index import IndexRequest
        from training.commands.index import index as run

        done = run(IndexRequest(bundle, file, out, most, region), print_step)
    if as_json:
        print_lines(json.dumps(done.summary()))
        return
    left_out = f"left out: {done.copies} copies, {done.older} older, {done.others} open or without text or department"
    print_lines(
        f"{done.tickets} closed tickets, {done.answers} with answers, in {out}; {left_out}",
        f"next: python -m service index add --from {out}",
    )
