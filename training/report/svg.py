"""Matplotlib figure → SVG that stands inside the page: its colours are the page's, light and dark, and so is its font.

Matplotlib knows no CSS variables: figures are drawn with the placeholder colours of `INKS`, exchanged here.
"""

import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html import escape
from typing import Any

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

INKS = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--accent)",
    "#050505": "var(--second)",
    "#060606": "var(--accent-soft)",
}
INK, MUTED, LINE, ACCENT, SECOND, SOFT = INKS

_STYLE: dict[Any, Any] = {
    # Fixed ids: the same figures give the same bytes. Text stays text: read aloud, searched, in the page's font.
    "svg.hashsalt": "ticket-router",
    "svg.fonttype": "none",
    "text.parse_math": False,
    "text.color": INK,
    "axes.edgecolor": LINE,
    "axes.labelcolor": MUTED,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": LINE,
    "grid.linewidth": 0.6,
    "xtick.color": LINE,
    "ytick.color": LINE,
    "xtick.labelcolor": MUTED,
    "ytick.labelcolor": MUTED,
    "font.size": 10,
    "legend.frameon": False,
}


@contextmanager
def page_style() -> Iterator[None]:
    """The style that figures for the page are drawn in."""
    with matplotlib.rc_context(_STYLE):
        yield


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """The figure as an `<svg>` element.

    Args:
        figure: drawn within `page_style`, in the colours of `INKS`.
        name: unique in the page: ids of one plot must not meet another's.
        description: what a person who doesn't see it is told.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for placeholder, ink in INKS.items():
        text = text.replace(placeholder, ink)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    labelled = f'<svg role="img" aria-label="{escape(description)}" '
    # Markup: the numbers and fixed words above; a label of somebody's never gets into a plot.
    return Markup(labelled + _own_ids(text, name).removeprefix("<svg "))  # noqa: S704


def _own_ids(text: str, name: str) -> str:
    """Ids that something refers to get the plot's name before them; the others go."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    return re.sub(r'(url\(|href=")#', rf"\g<1>#{name}-", text)
