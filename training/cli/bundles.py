"""Commands on finished bundles: `evaluate`, `compare`, `promote`, `rollback`, `recalibrate`.

Heavy libraries are imported inside them.
"""

import json
from pathlib import Path
from typing import Annotated

import typer

from models.bundle.manifest import Variant
from models.errors import TicketRouterError
from training.cli.options import (
    AllowEmpty,
    Column,
    Data,
    DateFormat,
    Json,
    Labels,
    Mapping,
    SkipFaulty,
    Store,
    app,
    fields_of,
    print_lines,
    ticket_file,
)

_STORE = Path("models/bundles")

Bundle = Annotated[Path, typer.Option(metavar="FOLDER", help="Bundle folder.")]
Report = Annotated[Path | None, typer.Option(metavar="FILE", help="Also write an HTML page there.")]
GraphVariant = Annotated[
    Variant, typer.Option("--variant", help="The graph to run; the service runs fp32 unless told.")
]
Reason = Annotated[str | None, typer.Option("--reason", metavar="TEXT", help="Why; goes on record.")]


@app.command(
    epilog="""\b
    Examples:
      python -m training evaluate --bundle models/bundles/current --data closed.csv
      python -m training evaluate --bundle models/bundles/current --data closed.csv --report report.html
      python -m training evaluate --bundle models/bundles/current --data closed.csv --behaviour
      python -m training evaluate --bundle models/bundles/current --data closed.csv --slice channel \\
        --predictions answers.csv"""
)
def evaluate(
    bundle: Bundle,
    data: Data,
    report: Report = None,
    behaviour: Annotated[
        bool, typer.Option("--behaviour", help="Also try greetings, typos and the like, which must change nothing.")
    ] = False,
    predictions: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Also write each row's answer there: .csv or .jsonl.")
    ] = None,
    by: Annotated[
        list[str], typer.Option("--slice", metavar="COLUMN", help="A column of the file to slice the figures by.")
    ] = [],  # noqa: B006 typer reads the default, no code changes it
    variant: GraphVariant = "fp32",
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Measure a bundle on closed tickets it was not trained on."""
    file = ticket_file(data, column, labels, date_format, mapping, skip_faulty)
    from training.cli.format_bundles import behaviour_lines
    from training.cli.format_training import evaluation_lines
    from training.commands.evaluate import evaluate as run
    from training.commands.evaluate import refuse_format, summary, write_predictions, write_report

    if predictions is not None:
        refuse_format(predictions)
    found = run(bundle, file, variant, behave=behaviour, slices=by)
    if report is not None:
        write_report(found, report)
    if predictions is not None:
        write_predictions(found, predictions)
    if as_json:
        print_lines(json.dumps(summary(found)))
        return
    print_lines(*evaluation_lines(found, by), *(behaviour_lines(found.findings.behaviour) if behaviour else ()))
    if report is not None:
        print_lines(f"report: {report}")


@app.command(
    epilog="""\b
    Examples:
      python -m training compare --champion models/bundles/current --challenger models/bundles/0123456789abcdef \\
        --data closed.csv
      python -m training compare --champion A --challenger B --data closed.csv --report comparison.html
      python -m training compare --record decisions.jsonl"""
)
def compare(
    champion: Annotated[Path | None, typer.Option(metavar="FOLDER", help="The bundle that serves.")] = None,
    challenger: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="The bundle that may take its place.")
    ] = None,
    data: Annotated[list[Path], typer.Option(metavar="FILE", help="Closed tickets; may be given again.")] = [],  # noqa: B006
    record: Annotated[
        list[Path],
        typer.Option(
            metavar="FILE",
            help="Instead of these three: the service's record of a shadow or a canary, from "
            "`python -m service records export`; may be given again.",
        ),
    ] = [],  # noqa: B006
    report: Report = None,
    variant: GraphVariant = "fp32",
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Compare two bundles on the same closed tickets, or by the record of a service in which both ran."""
    if record:
        if champion or challenger or data or report:
            raise TicketRouterError(
                "--record stands for itself: leave out --champion, --challenger, --data and --report"
            )
        from training.cli.format_bundles import record_lines
        from training.commands.compare_record import compare_record

        recorded = compare_record(record, labels, skip_faulty)
        print_lines(*([recorded.model_dump_json()] if as_json else record_lines(recorded)))
        return
    if champion is None or challenger is None or not data:
        raise TicketRouterError("give --champion, --challenger and --data, or --record")
    file = ticket_file(data, column, labels, date_format, mapping, skip_faulty)
    from training.cli.format_bundles import comparison_lines
    from training.commands.compare import compare as run
    from training.commands.compare import write_comparison

    found = run(champion, challenger, file, variant)
    if report is not None:
        write_comparison(found, report)
    if as_json:
        print_lines(json.dumps({**found.model_dump(mode="json"), "verdict": found.verdict}))
        return
    print_lines(*comparison_lines(found))
    if report is not None:
        print_lines(f"report: {report}")


@app.command(
    epilog="""\b
    Examples:
      python -m training promote --bundle models/bundles/0123456789abcdef --data closed.csv --reason "November's data"
      python -m training promote --bundle models/bundles/0123456789abcdef --slower 4 --larger 6"""
)
def promote(
    bundle: Annotated[Path, typer.Option(metavar="FOLDER", help="Bundle folder inside the store.")],
    store: Store = _STORE,
    data: Annotated[
        list[Path], typer.Option(metavar="FILE", help="Closed tickets to compare it with the current bundle on.")
    ] = [],  # noqa: B006
    cases: Annotated[
        Path | None, typer.Option(metavar="FILE", help="TOML file of tickets with the answers that they must get.")
    ] = None,
    reason: Reason = None,
    force: Annotated[bool, typer.Option("--force", help="Promote though gates fail; needs --reason.")] = False,
    allow_empty: AllowEmpty = False,
    macro_f1: Annotated[
        float | None, typer.Option(metavar="SHARE", min=0, max=1, help="Lowest macro-F1 on its test rows.")
    ] = None,
    slower: Annotated[
        float, typer.Option(metavar="TIMES", min=0, help="Most time per ticket, by the current's.")
    ] = 1.5,
    larger: Annotated[float, typer.Option(metavar="TIMES", min=0, help="Most megabytes, of the current's.")] = 2.0,
    retired: Annotated[
        list[str], typer.Option(metavar="FIELD=LABEL", help="A label that it may lack although the current has it.")
    ] = [],  # noqa: B006
    variant: GraphVariant = "fp32",
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Make a bundle the one that serves.

    Checks it whole, holds it against its gates and the current bundle, then moves the store's `current` pointer and
    puts it on record in the store's promotions.jsonl. The bundle that served before is kept: see `rollback`.
    """
    file = None if not data else ticket_file(data, column, labels, date_format, mapping, skip_faulty)
    from training.cli.format_bundles import promotion_lines
    from training.commands.promote import PromoteRequest, PromotionLimits
    from training.commands.promote import promote as run

    limits = PromotionLimits(macro_f1, slower, larger, tuple(retired), variant)
    done = run(PromoteRequest(bundle, store, file, reason, force, limits, allow_empty, cases))
    print_lines(*([done.model_dump_json()] if as_json else promotion_lines(done, store)))


@app.command(
    epilog="""\b
    Examples:
      python -m training rollback
      python -m training rollback --to 0123456789abcdef --reason "misroutes in billing since noon\""""
)
def rollback(
    store: Store = _STORE,
    to: Annotated[
        str | None, typer.Option(metavar="VERSION", help="The bundle to go back to; the one before where absent.")
    ] = None,
    reason: Reason = None,
    as_json: Json = False,
) -> None:
    """Make the bundle that served before the one that serves again."""
    from training.cli.format_bundles import promotion_lines
    from training.commands.promote import rollback as run

    done = run(store, to, reason)
    print_lines(*([done.model_dump_json()] if as_json else promotion_lines(done, store)))


@app.command(
    epilog="""\b
    Examples:
      python -m training recalibrate --bundle models/bundles/current --data later.csv
      python -m training recalibrate --bundle models/bundles/current --data audited.csv --precision .92"""
)
def recalibrate(
    bundle: Bundle,
    data: Annotated[
        list[Path],
        typer.Option(metavar="FILE", help="Closed tickets that came after the training; again for more files."),
    ],
    precision: Annotated[
        float | None, typer.Option(metavar="SHARE", help="Of the routed tickets, at least this share is right.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Folder of bundles; the bundle's own where absent.")
    ] = None,
    field: Annotated[
        list[str], typer.Option("--field", metavar="NAME", help="A further field that the file must have.")
    ] = [],  # noqa: B006
    allow_unknown: Annotated[
        bool, typer.Option("--allow-unknown", help="Count rows with labels that the bundle lacks as wrong answers.")
    ] = False,
    column: Column = [],  # noqa: B006
    labels: Labels = None,
    date_format: DateFormat = None,
    mapping: Mapping = None,
    skip_faulty: SkipFaulty = False,
    as_json: Json = False,
) -> None:
    """Set thresholds and promises anew from later tickets.

    The weights stay, so it takes minutes. The result is a version of its own; `promote` makes it the one that serves.
    """
    if precision is not None and not 0.5 < precision < 1:
        raise TicketRouterError("--precision wants a share above 0.5 and below 1, for instance .92")
    file = ticket_file(data, column, labels, date_format, mapping, skip_faulty)
    from training.cli.progress import print_step, run_messages

    with run_messages():
        from training.cli.format_bundles import recalibration_lines
        from training.commands.recalibrate import RecalibrateRequest
        from training.commands.recalibrate import recalibrate as run

        request = RecalibrateRequest(bundle, file, out, precision, fields_of(field)[1:], allow_unknown)
        done = run(request, print_step)
    print_lines(*([json.dumps(done.summary())] if as_json else recalibration_lines(done)))
