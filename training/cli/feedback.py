"""The commands from the service's record back to training: `export-feedback`, `retrain`.

Heavy libraries are imported inside them.
"""

import json
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer

from training.cli.options import (
    Closed,
    Column,
    DateFormat,
    Json,
    LabelLevel,
    Labels,
    Mapping,
    SkipFaulty,
    Store,
    app,
    print_lines,
    ticket_file,
    with_states,
)

Records = Annotated[
    list[Path],
    typer.Option(metavar="FILE", help="The record, from `python -m service records export`; may be given again."),
]
MoreData = Annotated[
    list[Path],
    typer.Option(
        metavar="FILE", help="The helpdesk's export, for texts and departments that the record lacks; joined by id."
    ),
]
Out = Annotated[Path, typer.Option(metavar="FILE", help="The training file to write, JSON lines. It holds texts.")]
QuietDays = Annotated[
    int,
    typer.Option(
        metavar="DAYS",
        min=0,
        max=3650,
        help="Without feedback for so long, a routed ticket counts as right (half weight).",
    ),
]


@app.command(
    epilog="""\b
    Examples:
      python -m service records export --out records.jsonl
      python -m training export-feedback --records records.jsonl --out feedback.jsonl
      python -m training export-feedback --records records.jsonl --data tickets.csv --out feedback.jsonl
      python -m training recalibrate --bundle models/bundles/current --data feedback.jsonl"""
)
def export_feedback(
    records: Records,
    out: Out,
    data: MoreData = [],  # noqa: B006 typer reads the default, no code changes it
    undecided: Annotated[
        bool, typer.Option("--undecided", help="Also the tickets of --data that the router never decided.")
    ] = False,
    quiet_days: QuietDays = 14,
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    closed: Closed = [],  # noqa: B006
    label_level: LabelLevel = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Write a training file from the service's record of decisions and the feedback on them.

    The newest feedback on a ticket is its department. Tickets kept for people are marked as audit, routes that nobody
    changed as the router's own. `train`, `evaluate` and `recalibrate` read the file.
    """
    file = (
        None
        if not data
        else with_states(ticket_file(data, column, labels, date_format, mapping, skip_faulty), closed, label_level)
    )
    from training.commands.export_feedback import ExportRequest, export_lines
    from training.commands.export_feedback import export_feedback as run

    request = ExportRequest(tuple(records), out, file, timedelta(days=quiet_days), undecided, skip_faulty)
    done = run(request)
    print_lines(*([json.dumps(done.summary())] if as_json else export_lines(done)))


@app.command(
    epilog="""\b
    Examples:
      python -m training retrain --records records.jsonl
      python -m training retrain --records records.jsonl --data tickets.csv --report comparison.html
      python -m training retrain --records records.jsonl --store models/bundles --recipe recipe.toml --quick"""
)
def retrain(
    records: Records,
    data: MoreData = [],  # noqa: B006 typer reads the default, no code changes it
    store: Store = Path("models/bundles"),
    out: Out = Path("feedback.jsonl"),
    recipe: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file; the current bundle's recipe where absent.")
    ] = None,
    base: Annotated[
        str | None, typer.Option(metavar="NAME", help="Encoder to start from; the current bundle's where absent.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="No fine-tuning: minutes instead of an hour, often nearly as good.")
    ] = False,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write the comparison as an HTML page.")
    ] = None,
    quiet_days: QuietDays = 14,
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    closed: Closed = [],  # noqa: B006
    label_level: LabelLevel = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Train on the service's record, and compare the new bundle with the current one. Promotes nothing.

    Tickets of --data that the router never decided are learned too. Both bundles answer the same held-out tickets.
    Broken off, the same command goes on from its last checkpoint.
    """
    from training.recipe import load_recipe

    settings = load_recipe(recipe) if recipe else None
    file = (
        None
        if not data
        else with_states(ticket_file(data, column, labels, date_format, mapping, skip_faulty), closed, label_level)
    )
    level = file.label_level if file else label_level
    from training.cli.progress import EpochProgress, print_step, run_messages

    with run_messages():
        from training.cli.format_bundles import comparison_lines
        from training.cli.format_training import train_lines
        from training.commands.compare import write_comparison
        from training.commands.export_feedback import ExportRequest
        from training.commands.retrain import RetrainRequest
        from training.commands.retrain import retrain as run

        export = ExportRequest(tuple(records), out, file, timedelta(days=quiet_days), skip_faulty=skip_faulty)
        done = run(RetrainRequest(export, store, settings, base, quick, labels, level), print_step, [EpochProgress()])
        if report is not None:
            write_comparison(done.comparison, report)
    if as_json:
        print_lines(json.dumps(done.summary()))
        return
    *lines, promote = train_lines(done.trained)
    print_lines(*lines, *comparison_lines(done.comparison))
    print_lines(*(() if report is None else (f"comparison: {report}",)), promote)
