"""Figures by slice of the measured rows."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np

from tests.support.rows import prepared
from training.data.example import Example
from training.evaluation.slices import FEWEST, OTHER, UNKNOWN, slice_figures, slice_names


def test_a_slices_figures_are_those_of_its_rows() -> None:
    """Accuracy with its interval, the routed share, the precision of the routed rows, and the strange share."""
    names = {"language": ["de"] * 40 + ["en"] * 60}
    correct = np.array([True] * 30 + [False] * 10 + [True] * 60)
    routed = np.array([True] * 20 + [False] * 80)
    refused = np.array([False] * 90 + [True] * 10)
    german, english = slice_figures(names, correct, routed, refused)
    assert (german.kind, german.name, german.rows, german.accuracy) == ("language", "de", 40, 0.75)
    assert 0.59 < german.low < 0.61 < 0.85 < german.high < 0.87  # Wilson's interval of 30 in 40
    assert (german.routed, german.route_precision) == (0.5, 1.0)
    assert (english.routed, english.route_precision) == (0.0, None)
    assert (german.refused, english.refused) == (0.0, 10 / 60)


def test_small_slices_are_one() -> None:
    """Slices of too few rows are put together, last; if that is too small as well, it is left out."""
    names = ["zz"] * FEWEST + ["a"] * (FEWEST - 1) + ["b"] * 5
    everywhere = np.ones(len(names), dtype=bool)
    found = slice_figures({"mailbox": names}, everywhere, everywhere, ~everywhere)
    assert [(each.name, each.rows) for each in found] == [("zz", FEWEST), (OTHER, FEWEST + 4)]
    few = everywhere[: FEWEST + 3]
    assert [each.name for each in slice_figures({"mailbox": names[: FEWEST + 3]}, few, few, ~few)] == ["zz"]


def row(text: str, language: str = "", to: str = "", month: int = 0) -> Example:
    item = prepared(2, text, "a")
    date = datetime(2026, month, 1, tzinfo=UTC) if month else None
    ticket = replace(item.ticket, recipients=(to,) if to else ())
    return replace(item, language=language, created_at=date, ticket=ticket)


def test_rows_are_sliced_by_what_the_file_says() -> None:
    """Month, language and mailbox as given, unknown where a row lacks them, and left out where every row does."""
    found = slice_names([row("one two", "de", "Help@x.org", 3), row("word " * 300)])
    assert found["language"] == ["de", UNKNOWN]
    assert found["month"] == ["2026-03", UNKNOWN]
    assert found["mailbox"] == ["help@x.org", UNKNOWN]
    assert len(set(found["length"])) == 2
    assert set(slice_names([row("one")])) == {"length"}
