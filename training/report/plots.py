"""The report's plots, drawn by matplotlib in the page's own colours."""

from collections.abc import Sequence
from typing import Any

from markupsafe import Markup
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from training.calibration.precision_curve import TargetFigures
from training.evaluation.metrics import FieldFigures, ReliabilityBin
from training.learn.finetune import EpochFigures
from training.report.formats import goal
from training.report.svg import ACCENT, INK, MUTED, SECOND, SOFT, page_style, to_svg

_SIZE = (5.2, 3.6)
"""Inches; the page scales the plot."""


def risk_coverage_plot(name: str, figures: FieldFigures, targets: Sequence[TargetFigures], promised: float) -> Markup:
    """Precision against coverage: the measured curve, and the result of each precision target."""
    with page_style():
        figure = Figure(figsize=_SIZE, layout="constrained")
        axes = figure.add_subplot()
        axes.plot([p.coverage for p in figures.curve], [p.precision for p in figures.curve], color=ACCENT,
                  linewidth=2, label="measured, surest first")  # fmt: skip
        axes.axhline(promised, color=SECOND, linestyle=(0, (4, 3)), linewidth=1.2, label=f"asked for: {goal(promised)}")
        reached = [target for target in targets if target.coverage]
        if reached:
            axes.plot([t.coverage for t in reached], [t.target for t in reached], color=SECOND, marker="o",
                      markersize=4, linewidth=1, label="what a promise lets through")  # fmt: skip
        outcomes = figures.outcomes
        if outcomes.route_precision is not None:
            axes.plot([outcomes.routed], [outcomes.route_precision], marker="D", markersize=7, color=INK,
                      linestyle="none", label="this bundle", zorder=5)  # fmt: skip
        _percent(axes, "share of tickets routed", "share of them that is right")
        axes.set_xlim(-0.02, 1.02)
        axes.legend(loc="lower left")
        return to_svg(figure, name, f"Risk-coverage curve: {outcomes.routed:.0%} of tickets are routed; "
                      f"routing all would be right for {figures.accuracy:.0%}.")  # fmt: skip


def reliability_plot(name: str, bins: Sequence[ReliabilityBin]) -> Markup:
    """Accuracy against confidence, above the number of rows with each confidence."""
    with page_style():
        figure = Figure(figsize=_SIZE, layout="constrained")
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        upper.plot([0, 1], [0, 1], color=SECOND, linestyle=(0, (4, 3)), linewidth=1.2, label="says what it means")
        confidences = [b.confidence for b in bins]
        upper.plot(confidences, [b.accuracy for b in bins], color=ACCENT, marker="o", markersize=4, linewidth=2,
                   label="measured")  # fmt: skip
        _percent(upper, "", "share right")
        upper.legend(loc="upper left")
        lower.bar(confidences, [b.rows for b in bins], width=0.045, color=SOFT)
        lower.yaxis.set_major_locator(MaxNLocator(2, integer=True))
        lower.set(xlabel="confidence", ylabel="rows", xlim=(0, 1.02))
        return to_svg(figure, name, "Reliability diagram: share right against confidence, in "
                      f"{len(bins)} bins, with the number of rows in each.")  # fmt: skip


def epochs_plot(name: str, epochs: Sequence[EpochFigures]) -> Markup:
    """Training loss and validation macro-F1 by epoch; the kept epoch is marked."""
    best = max(epochs, key=lambda epoch: epoch.macro_f1)
    with page_style():
        figure = Figure(figsize=(7.6, 3), layout="constrained")
        left, right = figure.subplots(1, 2)
        measured = [epoch for epoch in epochs if epoch.loss is not None]
        left.plot([e.epoch for e in measured], [e.loss for e in measured], color=MUTED, marker="o", markersize=3)
        left.set(xlabel="epoch", ylabel="training loss")
        right.plot([e.epoch for e in epochs], [e.macro_f1 for e in epochs], color=ACCENT, marker="o", markersize=3)
        right.plot([best.epoch], [best.macro_f1], color=INK, marker="D", markersize=7, linestyle="none", label="kept")
        right.set(xlabel="epoch", ylabel="macro-F1, validation")
        right.legend(loc="lower right")
        for axes in (left, right):
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        return to_svg(figure, name, f"Training over {len(epochs)} epochs: best macro-F1 {best.macro_f1:.3f} "
                      f"at epoch {best.epoch:g}.")  # fmt: skip


def _percent(axes: Any, x: str, y: str) -> None:
    axes.set(xlabel=x, ylabel=y)
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    axes.yaxis.set_major_locator(MaxNLocator(6))
