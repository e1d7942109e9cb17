"""Advice on labels, and the worst errors, from the measured rows."""

from typing import Any

import numpy as np

from models.bundle.manifest import FieldEntry
from models.fields import Field
from tests.support.rows import prepared
from training.data.prepared import MISSING
from training.evaluation.advice import Advice, advise
from training.evaluation.measured import EXCERPT, excerpt, worst_errors
from training.evaluation.metrics import OTHER, UNKNOWN, FieldFigures

NAMES = ("billing", "invoices", "sales")
PLENTY = dict.fromkeys(NAMES, 100)
FIELD = Field("department", NAMES, 0)


def entry(route: float | None = 0.9) -> FieldEntry:
    label = {"route": route, "suggest": 0.5, "pooled": True, "calibration_rows": 9}
    return FieldEntry.model_validate(
        {
            "name": "department",
            "temperature": 1.0,
            "promise": {"route_precision": 0.95, "suggest_precision": 0.8, "confidence": 0.95},
            "labels": [{**label, "name": name} for name in NAMES],
        }
    )


def figures(*confused: tuple[str, str, int]) -> FieldFigures:
    label = {"precision": 0.8, "recall": 0.8, "f1": 0.8, "rows": 20}
    outcomes: dict[str, Any] = {"routed": 0, "suggested": 0, "reviewed": 1}
    outcomes |= dict.fromkeys(("route_precision", "route_precision_low", "suggest_precision"))
    return FieldFigures.model_validate(
        {
            "rows": 60,
            "accuracy": 0.8,
            "macro_f1": 0.8,
            "ece": 0.01,
            "outcomes": outcomes,
            "labels": [{**label, "label": name} for name in NAMES],
            "confused": confused,
            "curve": [],
            "reliability": [],
        }
    )


def advice(*confused: tuple[str, str, int]) -> list[tuple[str, tuple[str, ...]]]:
    return [(each.kind, each.labels) for each in advise(entry(), figures(*confused), PLENTY)]


def test_labels_confused_both_ways_overlap() -> None:
    """Two labels that each take a tenth of the other's tickets are named once, with both counts."""
    found = advise(entry(), figures(("invoices", "billing", 4), ("billing", "invoices", 3)), PLENTY)
    assert [(each.kind, each.labels) for each in found] == [("overlap", ("billing", "invoices"))]
    assert "3 of 20" in found[0].text
    assert "4 of 20" in found[0].text


def test_a_label_absorbed_by_another_is_named() -> None:
    """A third of a label's tickets goes to one other and hardly any back: another fault than an overlap."""
    assert advice(("invoices", "billing", 7), ("billing", "invoices", 1)) == [("swallowed", ("invoices", "billing"))]


def test_few_confusions_are_no_advice() -> None:
    """Two tickets prove nothing, nor do tickets of a label that the bundle does not know."""
    assert advice(("invoices", "billing", 2), ("billing", "invoices", 2), (OTHER, "sales", 50)) == []


def test_scarce_labels_are_named_scarcest_first() -> None:
    """Labels under 30 training rows, including those with none."""
    found = advise(entry(), figures(), {"billing": 29, "sales": 30})
    assert [(each.kind, each.labels) for each in found] == [("starving", ("invoices", "billing"))]


def test_labels_that_are_never_automatic_give_one_piece_of_advice() -> None:
    """For any number of them, with their share of the tickets."""
    (found,) = advise(entry(route=None), figures(), PLENTY)
    assert isinstance(found, Advice)
    assert (found.kind, found.labels) == ("never_automatic", NAMES)
    assert "100%" in found.text


def test_the_most_confident_errors_come_first() -> None:
    """Right rows and rows without a label are left out; a label unknown to the bundle is shown as in the file."""
    rows = tuple(
        prepared(line, f"text {line}", name) for line, name in enumerate(("sales", "sales", "legal", "sales"), 2)
    )
    sure = np.array([[0.7, 0.2, 0.1], [0.1, 0.1, 0.8], [0.05, 0.9, 0.05], [1, 0, 0]])
    found = worst_errors(rows, sure, np.array([2, 2, UNKNOWN, MISSING]), FIELD)
    assert [(each.line, each.wanted, each.predicted) for each in found] == [
        (4, "legal", "invoices"),
        (2, "sales", "billing"),
    ]
    assert worst_errors(rows, sure, np.array([2, 2, UNKNOWN, MISSING]), FIELD, most=1) == found[:1]


def test_an_excerpt_is_short_and_on_one_line() -> None:
    """Line breaks become blanks, and only the first characters are kept."""
    assert excerpt("a\n\n b") == "a b"
    assert len(excerpt("word " * 100)) <= EXCERPT
    assert excerpt("x" * 161).endswith("x…")
    assert excerpt("x" * 160) == "x" * 160
