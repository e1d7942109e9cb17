"""Matplotlib figure → SVG inside the page, with the page's colours (light and dark) and font.

Matplotlib has no CSS variables: figures use the placeholder colours of `COLOURS`, which are replaced here.
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

COLOURS = {
    "#010101": "var(--ink)",
    "#020202": "var(--muted)",
    "#030303": "var(--line)",
    "#040404": "var(--accent)",
    "#050505": "var(--second)",
    "#060606": "var(--accent-soft)",
}
INK, MUTED, LINE, ACCENT, SECOND, SOFT = COLOURS

_STYLE: dict[Any, Any] = {
    # Fixed ids: equal figures give equal bytes. Text stays text, so that it can be read aloud, searched and styled.
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
    """The style for figures of the page."""
    with matplotlib.rc_context(_STYLE):
        yield


def to_svg(figure: Figure, name: str, description: str) -> Markup:
    """The figure as an `<svg>` element.

    Args:
        figure: drawn with `page_style`, in the colours of `COLOURS`.
        name: unique in the page: prefix of the plot's ids.
        description: the text alternative for screen readers.
    """
    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>", "", text[text.index("<svg") :], flags=re.DOTALL)
    for placeholder, colour in COLOURS.items():
        text = text.replace(placeholder, colour)
    text = re.sub(r"font: ([\d.]+px)[^;\"]*", r"font-size: \1", text)
    labelled = f'<svg role="img" aria-label="{escape(description)}" '
    # Markup: only the numbers and fixed words above; a user's label never appears in a plot.
    return Markup(labelled + _prefix_ids(text, name).removeprefix("<svg "))  # noqa: S704


def _prefix_ids(text: str, name: str) -> str:
    """Prefix referenced ids with the plot's name, and remove the other ids."""
    used = set(re.findall(r'(?:url\(|href=")#([^)"]+)', text))
    text = re.sub(r' id="([^"]+)"', lambda found: f' id="{name}-{found[1]}"' if found[1] in used else "", text)
    return re.sub(r'(url\(|href=")#', rf"\g<1>#{name}-", text)
