"""The command `tune`. Heavy libraries are imported inside it."""

from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import (
    Column,
    Data,
    DateFormat,
    Fields,
    Json,
    Labels,
    Mapping,
    SkipFaulty,
    app,
    fields_of,
    print_lines,
    ticket_file,
)
from training.learn.base import DEFAULT_BASE


@app.command(
    epilog="""\b
    Examples:
      python -m training tune --data export.csv --base embedded --trials 30
      python -m training tune --data export.csv --recipe start.toml --study search.db --out best.toml
      python -m training train --data export.csv --recipe best.toml"""
)
def tune(
    data: Data,
    base: Annotated[str, typer.Option(metavar="NAME", help="Encoder to start from, as for train.")] = DEFAULT_BASE,
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Recipe to search around; the defaults where absent.")
    ] = None,
    trials: Annotated[int, typer.Option(metavar="N", min=1, help="Trials in all, those of earlier runs counted.")] = 20,
    timeout_minutes: Annotated[
        float | None, typer.Option(metavar="M", min=0, help="Begin no further trial after this time.")
    ] = None,
    study: Annotated[
        Path, typer.Option(metavar="FILE", help="Where the trials are remembered: the same command goes on.")
    ] = Path("tune.db"),
    out: Annotated[Path, typer.Option(metavar="FILE", help="The best recipe, for train --recipe.")] = Path("best.toml"),
    field: Fields = [],  # noqa: B006 typer reads the default, no code changes it
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Search for a better recipe.

    The first trial is the recipe as it is. Trials are judged on the validation rows; calibration and test rows are
    left for the training that uses what was found.
    """
    from training.recipe import load_recipe

    settings, fields = load_recipe(recipe), fields_of(field)
    file = ticket_file(data, column, labels, date_format, mapping, skip_faulty)
    from training.cli.progress import print_step, run_messages

    with run_messages():
        from training.cli.format_bundles import tune_lines
        from training.commands.tune import TuneRequest
        from training.commands.tune import tune as run
        from training.run.request import TrainRequest

        wanted = TrainRequest(file, settings, base, out.parent, fields)
        start = recipe.read_text("utf-8") if recipe else ""
        result = run(TuneRequest(wanted, study, out, trials, timeout_minutes, start), print_step)
    print_lines(*([result.model_dump_json()] if as_json else tune_lines(result)))
