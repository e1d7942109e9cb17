"""Number formats of the pages, and the templates that use them. `effect.js` formats minutes in the same way."""

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from models.bundle.manifest import Promise
from training.evaluation.intervals import Estimate

HERE = Path(__file__).parent
NOTHING = "–"


def percent(value: float | None, digits: int = 1) -> str:
    """0.966 → 96.6%. A share below all is never shown as 100%."""
    if value is None:
        return NOTHING
    shown = f"{value:.{digits}%}"
    return f"over {1 - 10.0 ** -(digits + 2):.{digits}%}" if value < 1 and shown == f"{1:.{digits}%}" else shown


def goal(value: float) -> str:
    """A configured share, unrounded: 0.95 → 95%."""
    return f"{100 * value:g}%"


def promised(promise: Promise) -> str:
    """A graph's promise for a field, and the share that it routes."""
    asked = goal(promise.route_precision) if promise.aim == "precision" else "fewest minutes"
    return f"{asked}, {promise.kind}, {percent(promise.achieved_coverage)} routed"


def decimal(value: float | None, digits: int = 3) -> str:
    return NOTHING if value is None else f"{value:.{digits}f}"


def count(value: float) -> str:
    """12345.6 → 12,346."""
    return f"{value:,.0f}"


def interval(estimate: Estimate | None, digits: int = 1) -> str:
    """An estimate's interval as percentages."""
    return NOTHING if estimate is None else f"{estimate.low:.{digits}%} to {estimate.high:.{digits}%}"


def counts(estimate: Estimate) -> str:
    """An estimate's interval as whole numbers."""
    return f"{count(estimate.low)} to {count(estimate.high)}"


def minutes(value: float) -> str:
    """Whole minutes; from two hours on, hours."""
    # Rounded to an integer first: -0.3 is shown as 0, not -0.
    return f"{round(value):,} min" if abs(value) < 120 else f"{value / 60:,.1f} h"


def minutes_interval(estimate: Estimate) -> str:
    """An estimate's interval as times."""
    return f"{minutes(estimate.low)} to {minutes(estimate.high)}"


def plain(value: float) -> str:
    """3.0 → 3, for form fields."""
    return f"{value:g}"


FILTERS = {
    each.__name__: each
    for each in (percent, goal, promised, decimal, count, interval, counts, minutes, minutes_interval, plain)
}
"""The formats by their names in the templates."""


def html_environment() -> Environment:
    """The HTML templates with the formats as filters; every value is escaped."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    return environment
