"""One self-contained HTML page and one model card with a model's figures; nothing is loaded from other places."""

from training.report.card import model_card
from training.report.page import render_evaluation, render_report

__all__ = ["model_card", "render_evaluation", "render_report"]
