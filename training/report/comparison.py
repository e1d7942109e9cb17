"""A comparison of two bundles → one self-contained HTML page."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined


def render_comparison(comparison: Mapping[str, Any], verdict: str) -> str:
    """The page as HTML text, from a dumped `Comparison` and its verdict."""
    templates = FileSystemLoader(Path(__file__).parent / "templates")
    environment = Environment(loader=templates, autoescape=True, undefined=StrictUndefined)
    # The scale of the bars: the farthest end of an interval from 0.
    ends = [abs(figure[side] or 0.0) for figure in comparison["figures"].values() for side in ("low", "high")]
    widest = max(ends, default=0.0) or 1.0
    return environment.get_template("comparison.html.j2").render(found=comparison, verdict=verdict, widest=widest)
