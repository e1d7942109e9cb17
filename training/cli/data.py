"""Commands on data alone: `sample` and `check`. Heavy libraries are imported inside: `--help` answers at once."""

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import (
    BAD_USAGE,
    Closed,
    Column,
    Data,
    DateFormat,
    Fields,
    Json,
    LabelLevel,
    Labels,
    Mapping,
    SkipFaulty,
    app,
    fields_of,
    print_lines,
    ticket_file,
    with_states,
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
    print_lines(f"{rows} made-up tickets in {out} ({WRONG_LABEL_RATE:.0%} with a wrong department, as in real life)")


@app.command(
    epilog="""\b
    Examples:
      python -m training check --data export.xlsx --explain
      python -m training check --data export.csv --report check.html --save-mapping mapping.toml
      python -m training check --data december.csv --mapping mapping.toml
      python -m training check --data export.jsonl --column department=assigned_team --field priority
      python -m training check --data export.csv --labels labels.toml --date-format DD/MM/YYYY"""
)
def check(
    data: Data,
    field: Fields = [],  # noqa: B006 typer reads the default, no code changes it
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    save_mapping: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Keep how the export was read, for --mapping next month.")
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Show each role's column, why, and examples; and how to change it.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write an HTML page, for the owner of the data.")
    ] = None,
    closed: Closed = [],  # noqa: B006
    label_level: LabelLevel = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Say what is wrong in an export, line by line, and what a first bundle trained on it will route.

    Holds it against the data contract, and stops with a question where two readings are possible.
    """
    file = ticket_file(data, column, labels, date_format, mapping, skip_faulty)
    file = with_states(file, closed, label_level)
    fields = fields_of(field)
    from training.cli.reading import reading_progress

    with reading_progress() as show_stage:
        from training.cli.format_check import check_lines, explain_lines
        from training.commands.check import assess, write_mapping, write_page
        from training.data.importing.mapping import load_mapping

        found = assess(file, fields, load_mapping(mapping) if mapping else None, show_stage)
    if save_mapping is not None:
        write_mapping(found, file, save_mapping)
    if report is not None:
        write_page(found, report)
    if as_json:
        print_lines(*found.model_dump_json(indent=1).split("\n"))
    else:
        print_lines(*(explain_lines(found, data) if explain else ()), *check_lines(found))
        print_lines(
            *(f"{name}: {path}" for name, path in (("mapping", save_mapping), ("report", report)) if path is not None)
        )
        if found.ready:
            many: dict[str, Sequence[object]] = {
                "--data": data,
                "--field": field,
                "--column": column,
                "--closed": closed,
            }
            one = {"--labels": labels, "--date-format": date_format, "--mapping": mapping, "--label-level": label_level}
            given = [(name, value) for name, values in many.items() for value in values]
            given += [(name, value) for name, value in one.items() if value is not None]
            typed = shlex.join(str(part) for pair in given for part in pair) + " --skip-faulty" * skip_faulty
            print_lines(f"next: python -m training train {typed} --base embedded --quick")
    if not found.ready:
        raise typer.Exit(BAD_USAGE)
