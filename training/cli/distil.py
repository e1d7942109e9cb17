"""The command `distil`. Heavy libraries are imported inside it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import (
    AllowEmpty,
    Column,
    Data,
    DateFormat,
    Json,
    Labels,
    Mapping,
    SkipFaulty,
    app,
    print_lines,
    ticket_file,
)


@app.command(
    epilog="""\b
    Examples:
      python -m training distil --teacher models/bundles/current --data export.csv
      python -m training distil --teacher models/bundles/current --data export.csv --layers 2 --epochs 12"""
)
def distil(
    teacher: Annotated[Path, typer.Option(metavar="FOLDER", help="The bundle to learn from.")],
    data: Data,
    layers: Annotated[int, typer.Option(metavar="N", min=1, help="Layers that the student keeps.")] = 3,
    epochs: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="At most; as many as the teacher's recipe says if not given.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="The teacher's base model, if it has moved since.")
    ] = None,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Folder of bundles.")] = Path("models/bundles"),
    allow_empty: AllowEmpty = False,
    column: Column = [],  # noqa: B006 typer reads the default, no code changes it
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Teach a smaller, faster model what a bundle knows.

    The student is split, calibrated, exported and gated as the teacher was, on the very file that it learned from.
    """
    file = ticket_file(data, column, labels, date_format, mapping, skip_faulty)
    from training.cli.progress import EpochProgress, print_step, run_messages

    with run_messages():
        from training.cli.format_training import train_lines
        from training.commands.distil import DistilRequest
        from training.commands.distil import distil as run

        request = DistilRequest(teacher, file, out, layers, base, epochs, allow_empty)
        result = run(request, print_step, [EpochProgress()])
    if result is None:  # a helper process of torchrun: only the main process prints
        return
    print_lines(*([json.dumps(result.summary())] if as_json else train_lines(result)))
