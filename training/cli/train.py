"""The command `train`. Heavy libraries are imported inside it."""

import json
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import (
    AllowEmpty,
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
from training.learn.base import DEFAULT_BASE


@app.command(
    epilog="""\b
    Examples:
      python -m training train --data export.csv
      python -m training train --data export.csv --base embedded --quick
      python -m training train --data export.csv --base embedded --field priority
      python -m training train --data export.parquet --base ./roberta-base --recipe recipe.toml"""
)
def train(
    data: Data,
    recipe: Annotated[Path | None, typer.Option(metavar="FILE", help="TOML file; the defaults where absent.")] = None,
    base: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Encoder to start from: a hub name (NAME@COMMIT pins it), a folder, or 'embedded' (no hub needed).",
        ),
    ] = DEFAULT_BASE,
    out: Annotated[
        Path, typer.Option(metavar="FOLDER", help="Folder of bundles; the new one gets its version's name there.")
    ] = Path("models/bundles"),
    quick: Annotated[
        bool, typer.Option("--quick", help="No fine-tuning: minutes instead of an hour, often nearly as good.")
    ] = False,
    allow_empty: AllowEmpty = False,
    field: Fields = [],  # noqa: B006 typer reads the default, no code changes it
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    closed: Closed = [],  # noqa: B006
    label_level: LabelLevel = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Train, calibrate, export and write a bundle.

    Broken off, the same command goes on from its last checkpoint.
    """
    from training.recipe import load_recipe

    # Check everything that needs no torch before importing torch.
    settings, fields = load_recipe(recipe), fields_of(field)
    file = ticket_file(data, column, labels, date_format, mapping, skip_faulty)
    file = with_states(file, closed, label_level)
    from training.cli.progress import EpochProgress, print_step, run_messages

    with run_messages():
        from training.cli.format_training import train_lines
        from training.commands.train import train as run
        from training.run.request import TrainRequest

        result = run(TrainRequest(file, settings, base, out, fields, quick, allow_empty), print_step, [EpochProgress()])
    if result is None:  # a helper process of torchrun: only the main process prints
        return
    print_lines(*([json.dumps(result.summary())] if as_json else train_lines(result)))
