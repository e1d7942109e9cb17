"""Commands that judge bundles: `evaluate` and `promote`. Heavy libraries are imported inside them."""

import json
from pathlib import Path
from typing import Annotated

import typer

from models.errors import TicketRouterError
from training.cli.root import Column, Data, Json, app, mapping_of


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
