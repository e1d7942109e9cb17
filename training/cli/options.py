"""The typer application of all command modules, and the options that commands share."""

import dataclasses
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from models.errors import TicketRouterError
from models.fields import DEPARTMENT, FIELD_NAME
from models.printable import printed

if TYPE_CHECKING:  # imports numpy, too slow for `--help`
    from training.data.source import TicketFile

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

Data = Annotated[
    list[Path],
    typer.Option(
        metavar="FILE", help="Closed tickets: CSV, Excel, JSON, Parquet, mbox, a folder of .eml; may be given again."
    ),
]
Column = Annotated[
    list[str],
    typer.Option(
        metavar="ROLE=COLUMN", help="A column's role, e.g. department=assigned_team; 'thread=' leaves a role out."
    ),
]
Mapping = Annotated[
    Path | None, typer.Option(metavar="FILE", help="How the last export was read, from check --save-mapping.")
]
Closed = Annotated[
    list[str], typer.Option(metavar="STATE", help="A further state of the status column that means closed.")
]
LabelLevel = Annotated[
    int | None,
    typer.Option(metavar="N", min=0, max=20, help="Of labels that are paths ('hardware > laptop') the first N parts."),
]
SkipFaulty = Annotated[
    bool, typer.Option("--skip-faulty", help="Leave rows out that break the contract, instead of refusing the file.")
]
Fields = Annotated[
    list[str], typer.Option("--field", metavar="NAME", help="A column to predict; department always is.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object on standard output, for machines.")]
Labels = Annotated[
    Path | None, typer.Option(metavar="FILE", help="TOML file of label aliases, retired and out-of-scope labels.")
]
DateFormat = Annotated[
    str | None,
    typer.Option(
        metavar="FORMAT", help="DD/MM/YYYY or MM/DD/YYYY where the dates don't show it, or a strptime pattern."
    ),
]
AllowEmpty = Annotated[
    bool, typer.Option("--allow-empty", help="Make it current although it routes nothing, for its suggestions.")
]
Store = Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of bundles.")]


def print_lines(*lines: str) -> None:
    """Print results. Control characters from labels, columns and file names are escaped: a terminal must not run
    them."""
    typer.echo(printed(lines))


def fields_of(names: list[str]) -> tuple[str, ...]:
    """The fields to predict: the department first, then the others in the given order.

    Raises:
        TicketRouterError: a name is not valid in a bundle.
    """
    for name in names:
        if not re.fullmatch(FIELD_NAME, name):
            raise TicketRouterError(
                f"--field {name!r}: a field's name has small letters, digits and _; name the column apart, "
                "for instance --field priority --column priority='Ticket Priority'"
            )
    return (DEPARTMENT, *dict.fromkeys(name for name in names if name != DEPARTMENT))


def ticket_file(
    data: list[Path],
    column: list[str],
    labels: Path | None,
    date_format: str | None,
    mapping: Path | None = None,
    skip_faulty: bool = False,
) -> "TicketFile":
    """The options of ticket files as one value, built without importing heavy libraries. Options win over the mapping.

    Raises:
        TicketRouterError: a column option is no pair, or the labels or mapping file is not valid.
    """
    from training.data.importing.mapping import MappingFile, load_mapping
    from training.data.labels import load_rules
    from training.data.source import TicketFile

    load_rules(labels)
    kept = load_mapping(mapping) if mapping else MappingFile()
    pairs = [pair.partition("=") for pair in column]
    if not all(role and equals for role, equals, _ in pairs):
        raise TicketRouterError("--column wants ROLE=COLUMN, for instance --column department=assigned_team")
    return TicketFile(
        data[0],
        {role: name for role, _, name in pairs},
        labels,
        date_format or kept.date_format,
        more=tuple(data[1:]),
        closed=kept.closed,
        label_level=kept.label_level,
        skip_faulty=skip_faulty,
        remembered=kept.columns,
    )


def with_states(file: "TicketFile", closed: Sequence[str], label_level: int | None) -> "TicketFile":
    """The file with further closed states, and with another label level than the mapping's if one is given."""
    level = file.label_level if label_level is None else label_level
    return dataclasses.replace(file, closed=(*file.closed, *closed), label_level=level)
