"""The report's plot: tickets per second of every server, one panel a workload, with the bare loop as a line."""

from pathlib import Path
from statistics import median

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from tests.benchmarks.serving.figures import BASE, Figures
from tests.benchmarks.serving.records import Results

OURS_COLOUR, OTHERS_COLOUR, LINE_COLOUR = "#2f6f9f", "#b9c2c9", "#333333"
_PANEL_WIDTH, _BAR_HEIGHT, _MARGIN = 4.2, 0.42, 1.2
_STYLE = {"svg.hashsalt": "ticket-router", "svg.fonttype": "none", "font.size": 9, "axes.axisbelow": True}


def write_plot(results: Results, path: Path) -> None:
    """An SVG that is byte-identical for the same results."""
    sections = [Figures(results, name) for name in results.about.workloads]
    sections = [figures for figures in sections if figures.servers]
    bars = max((len(figures.servers) for figures in sections), default=1)
    with matplotlib.rc_context(_STYLE):
        picture = Figure((_PANEL_WIDTH * max(len(sections), 1), _BAR_HEIGHT * bars + _MARGIN), layout="constrained")
        picture.patch.set_facecolor("white")  # readable on a dark page too
        for position, figures in enumerate(sections, start=1):
            _panel(picture.add_subplot(1, len(sections), position), figures)
        picture.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _panel(axes: Axes, figures: Figures) -> None:
    most = figures.callers[-1]
    for place, server in enumerate(reversed(figures.servers)):
        rates = list(figures.closed(server, most, "rate").values())
        middle = median(rates)
        colour = OURS_COLOUR if server.startswith("ticket router") else OTHERS_COLOUR
        spread = [[middle - min(rates)], [max(rates) - middle]]
        axes.barh(place, middle, color=colour, xerr=spread, error_kw={"ecolor": LINE_COLOUR, "elinewidth": 0.8})
    if loop := figures.ceiling(BASE):
        axes.axvline(median(loop.values()), color=LINE_COLOUR, linewidth=1, linestyle="--")
    axes.set_yticks(range(len(figures.servers)), list(reversed(figures.servers)))
    axes.set_title(f"{figures.workload}, {most} callers", loc="left", fontsize=10)
    axes.set_xlabel("tickets/s; dashed: bare fp32 loop")
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="x", linewidth=0.4)
