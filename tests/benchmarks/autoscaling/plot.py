"""A plot of a day under several rules: traffic, pods, queue, refusals; the whole day, and a detail around the
mailing."""

from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from tests.benchmarks.autoscaling.cluster import MINUTE, Replay
from tests.benchmarks.autoscaling.pods import QUEUE_TOKENS
from tests.benchmarks.autoscaling.traffic import HOUR, MAILING, OUTAGE, Array

COLOURS = ("#2f6f9f", "#d0782a", "#8a9299")
LIMIT_COLOUR = "#333333"
MARGIN_HOURS = 0.25, 0.75
"""Seconds shown before and after the mailing begins."""
STEP = 5 * MINUTE
"""Seconds per point of the traffic curve; events begin on such a point."""
_STYLE = {
    "svg.hashsalt": "ticket-router",
    "svg.fonttype": "none",
    "font.size": 9,
    "axes.axisbelow": True,
    "path.simplify_threshold": 1,
}
_ROWS = ("e-mails per second", "ready pods", "thousand tokens\nwaiting per pod", "thousand 429\nper minute")


def write_plot(rate: Array, replays: Mapping[str, Replay], title: str, path: Path) -> None:
    """An SVG that is byte-identical for the same simulation. `rate`: e-mails per second in every second."""
    begin = MAILING.begin / HOUR
    with matplotlib.rc_context(_STYLE):
        picture = Figure((9.6, 7.2), layout="constrained")
        picture.patch.set_facecolor("white")  # readable on a dark page too
        picture.suptitle(title, x=0.01, ha="left", fontsize=10)
        grid = picture.subplots(len(_ROWS), 2, sharex="col", sharey="row", width_ratios=(3, 2))
        for column in (0, 1):
            _column(grid[:, column], rate, replays)
        grid[-1, 0].set(xlim=(0, 24), xticks=range(0, 25, 4), xlabel="hour of the Monday")
        grid[-1, 1].set(xlim=(begin - MARGIN_HOURS[0], begin + MARGIN_HOURS[1]), xlabel="around the mailing")
        grid[-1, 1].xaxis.set_major_locator(MultipleLocator(0.25))
        grid[-1, 1].xaxis.set_major_formatter(lambda hour, _: f"{int(hour)}:{round(hour % 1 * 60):02d}")
        for axes, label in zip(grid[:, 0], _ROWS, strict=True):
            axes.set_ylabel(label)
        grid[1, 0].yaxis.set_major_locator(MaxNLocator(integer=True))
        grid[1, 0].legend(loc="upper left", frameon=False, fontsize=8)
        picture.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _column(column: "np.ndarray[tuple[int], np.dtype[np.object_]]", rate: Array, replays: Mapping[str, Replay]) -> None:
    traffic, pods, queue, refusals = column
    _traffic(traffic, rate)
    queue.axhline(QUEUE_TOKENS / 1000, color=LIMIT_COLOUR, linewidth=0.8, linestyle="--")
    # the first rule is drawn last, on top
    for colour, (name, replay) in reversed(list(zip(COLOURS, replays.items(), strict=False))):
        hours = [sample.moment / HOUR for sample in replay.samples]
        pods.step(hours, [sample.ready for sample in replay.samples], colour, where="post", linewidth=1.2, label=name)
        queue.plot(hours, [sample.queue_tokens / 1000 for sample in replay.samples], colour, linewidth=1)
        minutes = np.arange(len(replay.refusals)) * MINUTE / HOUR
        refusals.step(minutes, np.array(replay.refusals) / 1000, colour, where="post", linewidth=1)
    for axes in column:
        axes.set_ylim(bottom=0)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(linewidth=0.4)


def _traffic(axes: Axes, rate: Array) -> None:
    hours = np.arange(len(rate)) / HOUR
    axes.fill_between(hours[::STEP], rate[::STEP], color="#b9c2c9", linewidth=0, step="post")
    for event in (MAILING, OUTAGE):
        corner = event.begin / HOUR, rate[int(event.begin)]
        axes.annotate(event.name, corner, (3, -2), textcoords="offset points", va="top", annotation_clip=True)
