"""One self-contained HTML page on a model's figures: no script, no font or picture from elsewhere."""

from training.report.page import render_report

__all__ = ["render_report"]
