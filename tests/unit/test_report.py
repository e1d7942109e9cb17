"""The HTML report and the model card."""

import re
from typing import Any

import numpy as np
import pytest

from models.fields import Field
from models.manifest import FieldEntry
from models.scoring import FieldScoring, Threshold
from training.data.split import MISSING
from training.deliver.card import model_card
from training.measure.metrics import field_figures
from training.report import render_report

EVIL = "<script>alert(1)</script>&\"'"
NAMES = ("billing", EVIL)


def entry(name: str = "department", **label: Any) -> FieldEntry:
    content = {"route": 0.9, "suggest": 0.6, "pooled": False, "calibration_rows": 3, **label}
    return FieldEntry.model_validate(
        {
            "name": name,
            "temperature": 1.0,
            "promise": {"route_precision": 0.95, "suggest_precision": 0.8, "confidence": 0.95},
            "labels": [{**content, "name": each} for each in NAMES],
        }
    )


def figures(labels: list[int], logits: list[tuple[float, float]]) -> dict[str, Any]:
    scoring = FieldScoring(Field("department", NAMES, 0), 1.0, (Threshold(0.9, 0.6, False),) * 2)
    found = field_figures(np.array(logits, dtype=np.float32), np.array(labels), scoring)
    assert found is not None
    return found.model_dump(mode="json")


FIGURES = figures([0, 1, 1, MISSING], [(5, 0), (0, 5), (5, 0), (0, 0)])
METRICS: dict[str, Any] = {
    "rows": {"train": 100, "validation": 10, "calibration": 10, "test": 0},
    "removed": {"empty": 2, "duplicates": 5, "conflicting": 1},
    "baseline": {"department": {"validation": {"accuracy": 0.5, "macro_f1": 0.4, "rows": 10}}},
    "encoder": {"department": {"validation": FIGURES}},
    "beats_baseline": False,
    "parity": {"rows": 10, "largest_difference": 1.5e-6, "different_verdicts": 0},
}


def test_the_page_stands_alone() -> None:
    """No script, nothing fetched from elsewhere, and a policy that forbids both."""
    page = render_report("Training report", [entry()], {"department": FIGURES}, METRICS)
    assert "default-src 'none'" in page
    assert not re.search(r"<script|<link|<iframe|<img|@import|url\((?!#)", page)
    assert not re.search(r"""(?:src|href)=["'](?!#)""", page.replace('xlink:href="#', ""))
    assert page.count("<svg") == page.count("</svg>") == 2


def test_labels_are_escaped() -> None:
    """A label is somebody's text: it shows as it is and does nothing."""
    page = render_report("Training report", [entry()], {"department": FIGURES}, METRICS)
    assert EVIL not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page


def test_the_same_figures_give_the_same_page() -> None:
    """The page is part of the bundle, so its bytes may hang on nothing but the figures."""
    pages = {render_report("Training report", [entry()], {"department": FIGURES}, METRICS) for _ in range(2)}
    assert len(pages) == 1


def test_a_training_report_says_how_it_was_trained() -> None:
    """Rows, what was left out, the baseline it does not beat, and the distance to torch."""
    page = render_report("Training report", [entry()], {"department": FIGURES}, METRICS)
    text = " ".join(re.sub(r"<[^>]+>", " ", page).split())
    assert "100 train, 10 validation, 10 calibration rows" in text
    assert "5 repeated and 2 empty rows left out" in text
    assert "does not beat its TF-IDF baseline" in text
    assert "within 1.5e-06 of torch" in text
    assert "validation 0.400 (encoder" in text


def test_an_evaluation_has_no_training_part() -> None:
    """Without training figures the page shows the measured ones only."""
    page = render_report("Evaluation of bundle x", [entry()], {"department": FIGURES})
    assert "Evaluation of bundle x" in page
    assert "baseline" not in page.lower()


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ({}, "0.900"),
        ({"route": None, "pooled": True}, "never"),
        ({"pooled": True}, "0.900 (pooled)"),
    ],
)
def test_each_label_shows_from_where_it_is_routed(label: dict[str, Any], shown: str) -> None:
    """A label's threshold, whether it is shared, or that it is never routed."""
    page = render_report("r", [entry(**label)], {"department": FIGURES})
    assert re.search(rf"<td>{re.escape(shown)}</td>", page)


def test_a_field_without_figures_is_left_out() -> None:
    """A field nobody filled in has no section, and the others have theirs."""
    page = render_report("r", [entry(), entry("priority")], {"department": FIGURES}, METRICS)
    assert "<h2>department</h2>" in page
    assert "<h2>priority</h2>" not in page


def test_a_single_row_makes_a_page() -> None:
    """The smallest possible figures draw, too; a share of nothing shows as a dash."""
    page = render_report("r", [entry()], {"department": figures([0], [(0, 0)])})
    assert "<td>–</td>" in page


def test_the_card_tells_rows_figures_and_limits() -> None:
    """What a person should know before trusting a bundle, for each field, also one without any figure."""
    bare = {part: {**METRICS[part], "priority": {}} for part in ("baseline", "encoder")}
    card = model_card("some/base", [entry(), entry("priority")], METRICS | bare)
    assert "Fine-tuned from `some/base`" in card
    assert "100 train, 10 validation, 10 calibration" in card
    assert "## department: 2 labels" in card
    assert "## priority: 2 labels" in card
    assert "| validation | 3 |" in card
    assert "golden.jsonl" in card
