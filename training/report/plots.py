"""The report's plots, as SVG text to stand inside the page."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
from matplotlib.figure import Figure

# Fixed ids and no date: the same figures give the same bytes, and so the same bundle version.
matplotlib.rcParams["svg.hashsalt"] = "ticket-router"
_INK, _ACCENT = "#33415c", "#d1495b"


def curve_plot(curve: Sequence[Mapping[str, float]], promised: float) -> str:
    """Precision against coverage: what each target would cost. `curve` as `metrics.coverage_curve` gives it."""
    figure, axes = _axes("share of tickets routed", "precision of routed")
    axes.plot([point["coverage"] for point in curve], [point["precision"] for point in curve], color=_INK)
    axes.axhline(promised, color=_ACCENT, linestyle="--", linewidth=1, label=f"promised {promised:.0%}")
    axes.set_xlim(0, 1)
    axes.legend(frameon=False, loc="lower left")
    return _svg(figure)


def reliability_plot(bins: Sequence[Mapping[str, float]]) -> str:
    """Accuracy against confidence. `bins` as `metrics.reliability_bins` gives them."""
    figure, axes = _axes("confidence", "share right")
    axes.plot([0, 1], [0, 1], color=_ACCENT, linestyle="--", linewidth=1, label="perfectly calibrated")
    axes.plot([b["confidence"] for b in bins], [b["accuracy"] for b in bins], marker="o", color=_INK, markersize=4)
    axes.legend(frameon=False, loc="upper left")
    return _svg(figure)


def _axes(x: str, y: str) -> tuple[Figure, Any]:
    figure = Figure(figsize=(5, 3.4), layout="constrained")
    axes = figure.add_subplot()
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


def _svg(figure: Figure) -> str:
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]
