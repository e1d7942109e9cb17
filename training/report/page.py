"""Figures → the page."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from models.manifest import FieldEntry
from training.report.plots import curve_plot, reliability_plot

_TEMPLATES = Path(__file__).parent


def render_report(
    title: str,
    entries: Sequence[FieldEntry],
    figures: Mapping[str, Mapping[str, Any]],
    training: Mapping[str, Any] | None = None,
) -> str:
    """The page as HTML text.

    Args:
        title: its heading.
        entries: the bundle's fields.
        figures: each field's `FieldFigures`, dumped.
        training: the whole `metrics.json` for a training report, None for an evaluation.
    """
    environment = Environment(loader=FileSystemLoader(_TEMPLATES), autoescape=True, undefined=StrictUndefined)
    environment.filters["share"] = _share
    fields = [
        {
            "entry": entry,
            "figures": figures[entry.name],
            # Markup: SVG that matplotlib drew from numbers; labels stand in the tables, escaped.
            "curve": Markup(  # noqa: S704
                curve_plot(figures[entry.name]["curve"], entry.promise.route_precision)
            ),
            "reliability": Markup(reliability_plot(figures[entry.name]["reliability"])),  # noqa: S704
        }
        for entry in entries
        if entry.name in figures
    ]
    return environment.get_template("page.html.j2").render(title=title, fields=fields, training=training)


def _share(value: float | None) -> str:
    return "–" if value is None else f"{value:.1%}"
