"""The plot of `make loop`: coverage, precision and drift by week, with what happened."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

_COVERAGE, _PRECISION, _DRIFT, _MUTED = "#1f6feb", "#1a7f37", "#bc4c00", "#6e7781"


class Measured(Protocol):
    """A week's figures."""

    number: int
    drift: float | None

    @property
    def coverage(self) -> float: ...
    @property
    def precision(self) -> float: ...


def draw(
    weeks: Sequence[Measured], events: Sequence[tuple[float, str]], promise: float, threshold: float, path: Path
) -> None:
    figure = Figure(figsize=(9, 6), layout="constrained")
    upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    numbers = [week.number for week in weeks]
    upper.plot(numbers, [week.precision for week in weeks], color=_PRECISION, marker="o", label="right, of the routed")
    upper.plot(numbers, [week.coverage for week in weeks], color=_COVERAGE, marker="o", label="routed, of all tickets")
    upper.axhline(promise, color=_PRECISION, linestyle="--", linewidth=1, label=f"the promise: {promise:.0%} right")
    upper.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    upper.set_ylim(0, 1.02)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    measured = [week for week in weeks if week.drift is not None]
    lower.plot([week.number for week in measured], [week.drift for week in measured], color=_DRIFT, marker="o",
               linestyle="none")  # fmt: skip
    lower.bar([week.number for week in measured], [week.drift or 0 for week in measured], width=0.08, color=_DRIFT)
    lower.axhline(threshold, color=_DRIFT, linestyle="--", linewidth=1)
    lower.set(xlabel="week", ylabel="drift (PSI)")
    lower.xaxis.set_major_locator(MaxNLocator(len(weeks) + 1, integer=True))
    for place, (week, text) in enumerate(events):
        for axes in (upper, lower):
            axes.axvline(week, color=_MUTED, linewidth=0.8, linestyle=":")
        upper.annotate(text, (week, 0.02 + 0.07 * (place % 4)), xytext=(3, 0), textcoords="offset points", fontsize=8,
                       color=_MUTED)  # fmt: skip
    for axes in (upper, lower):
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, format="svg", metadata={"Date": None})
