"""The HTML report and the model card."""

import base64
import hashlib
import re
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from models.bundle.manifest import FieldEntry
from models.fields import Field
from models.scoring import FieldScoring, Threshold
from training.data.prepared import MISSING
from training.evaluation.business_impact import CaseCounts, effect_of
from training.evaluation.measured import WorstError
from training.evaluation.metrics import FieldFigures, field_figures
from training.evaluation.record import Record
from training.recipe import EffectRecipe, Recipe
from training.report import model_card, render_evaluation, render_report
from training.report.labels import BLOCK, label_rows, matrix

EVIL = "<script>alert(1)</script>&\"'$x^$|`*"
NAMES = ("billing", EVIL)


def entry(name: str = "department", labels: tuple[str, ...] = NAMES, **label: Any) -> FieldEntry:
    content = {"route": 0.9, "suggest": 0.6, "pooled": False, "calibration_rows": 3, **label}
    return FieldEntry.model_validate(
        {
            "name": name,
            "temperature": 1.0,
            "promise": {"route_precision": 0.95, "suggest_precision": 0.8, "confidence": 0.95},
            "labels": [{**content, "name": each} for each in labels],
        }
    )


def figures(labels: list[int], logits: Any, names: tuple[str, ...] = NAMES) -> FieldFigures:
    scoring = FieldScoring(Field("department", names, 0), 1.0, (Threshold(0.9, 0.6, False),) * len(names))
    found = field_figures(np.array(logits, dtype=np.float32), np.array(labels), scoring)
    assert found is not None
    return found


FIGURES = figures([0, 1, 1, MISSING], [(5, 0), (0, 5), (5, 0), (0, 0)])
EFFECT = effect_of(CaseCounts(routed_right=900, routed_wrong=20, suggested=50, reviewed=30), EffectRecipe())


def record(**changes: Any) -> Record:
    content = {
        "rows": {"train": 1000, "validation": 10, "calibration": 10, "test": 0},
        "removed": {"empty": 2, "duplicates": 5},
        "epochs": [{"epoch": 1, "loss": 2.5, "macro_f1": 0.5}, {"epoch": 2, "loss": None, "macro_f1": 0.4}],
        "baseline": {"department": {"validation": {"accuracy": 0.5, "macro_f1": 0.4, "rows": 10}}},
        "encoder": {"department": {"validation": FIGURES}},
        "beats_baseline": False,
        "parity": {
            "rows": 10,
            "largest_difference": 1.5e-6,
            "largest_pooled_difference": 2e-6,
            "different_verdicts": 0,
        },
        "effect": EFFECT,
        "worst": {"department": (WorstError(line=4, excerpt=EVIL, wanted=EVIL, predicted="billing", confidence=1.0),)},
    }
    return Record.model_validate(content | changes)


SIDE_BY_SIDE: dict[str, Any] = {
    "stages": [
        {"name": name, "figures": {"validation": {"accuracy": accuracy, "macro_f1": 0.4, "rows": 10}}, "minutes": 1.5}
        for name, accuracy in (("baseline", 0.5), ("quick", 0.625), ("full", 0.75))
    ],
    "kept": "quick",
}


def report(**changes: Any) -> str:
    return render_report("Training report", [entry()], record(**changes))


def words(page: str) -> str:
    return " ".join(re.sub(r"<(style|script)>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())


class Links(HTMLParser):
    """Every tag, id, and place that something points to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.targets: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        for name, value in attrs:
            if name == "id":
                self.ids.append(str(value))
            if name in ("src", "href", "xlink:href", "action"):
                self.targets.append(str(value))


def test_the_page_stands_alone() -> None:
    """Nothing is fetched from elsewhere; ids are unique, and every anchor leads somewhere in the page."""
    links = Links(report())
    assert not {"link", "iframe", "img", "object", "embed", "base"} & set(links.tags)
    assert len(links.ids) == len(set(links.ids))
    assert all(target.startswith("#") and target[1:] in links.ids for target in links.targets)
    assert links.tags.count("svg") == 3


def test_the_policy_lets_one_script_run_and_nothing_else() -> None:
    """The only script is the product's own, allowed by its digest."""
    page = report()
    (script,) = re.findall(r"<script>(.*?)</script>", page, flags=re.DOTALL)
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}'" in page
    assert "default-src 'none'" in page


@pytest.mark.parametrize("hostile", [EVIL, "\u202eevil", "x" * 200, "{{ 7*7 }}", "</style><b onload=a>", "a\nb"])
def test_labels_and_texts_are_only_shown(hostile: str) -> None:
    """A label or a ticket is untrusted text: it opens no tag and draws no plot."""
    plain, tried = (
        render_report(
            "r",
            [entry(labels=names)],
            record(
                encoder={"department": {"validation": figures([0, 1, 1], [(5, 0), (0, 5), (5, 0)], names)}},
                worst={"department": (WorstError(line=1, excerpt=name, wanted=name, predicted=name, confidence=1),)},
                suspects=[{"line": 1, "part": "train", "label": name, "suggested": name, "quality": 0}],
                slices={"department": [{"kind": name, "name": name, "rows": 1, "accuracy": 1, "low": 0, "high": 1,
                                        "routed": 0, "route_precision": None}]},
            ),
        )
        for name in ("harmless", hostile)
        if (names := ("billing", name))
    )  # fmt: skip
    assert Links(plain).tags == Links(tried).tags


def test_the_same_figures_give_the_same_page() -> None:
    """The page hangs on nothing but the figures."""
    assert report() == report()


def test_the_page_follows_light_and_dark() -> None:
    """No plot keeps a colour of its own: all are the page's."""
    plots = re.findall(r"<svg.*?</svg>", report(), flags=re.DOTALL)
    assert plots
    assert not [plot for plot in plots if re.search(r"#[0-9a-fA-F]{6}\b", plot)]


def test_the_first_screen_answers_a_head_of_support() -> None:
    """Share routed, requested beside achieved, minutes, waits and misroutes, with the assumptions they rest on."""
    text = words(report().partition("<nav")[0])
    assert "100% of tickets are routed without a person; 66.7% of those go to the right department" in text
    assert "asked for 95% of automatic routes right" in text
    assert "achieved 66.7% (20.8% to 93.9%, 3 routed tickets)" in text
    assert "with 95% certainty, at least 95% of what is routed without a person goes where it belongs" in text
    assert "routed without a person 92.0%" in text
    assert "misrouted a week 100 → 28" in text
    assert "1,000 tickets a week; 3 min to triage one by hand" in text
    assert "does not beat the simple baseline" in text


def test_nothing_routed_is_said_plainly() -> None:
    """Where the calibration rows carry no promise, the page says so instead of showing a precision of nothing."""
    silent = figures([0, 1], [(0.1, 0), (0, 0.1)])
    text = words(report(encoder={"department": {"validation": silent}}))
    assert "No ticket is routed without a person yet" in text


def test_thresholds_set_for_minutes_promise_no_precision() -> None:
    """With `aim = "cost"` the page states what was proven, and no guarantee."""
    promise = {"aim": "cost", "route_precision": 0.95, "suggest_precision": 0.8, "confidence": 0.95,
               "achieved_precision_low": 0.831}  # fmt: skip
    aimed = FieldEntry.model_validate(entry().model_dump() | {"promise": promise})
    text = words(render_report("r", [aimed], record()))
    assert "The guarantee" not in text
    assert "at least 83.1% of what is routed" in text


def test_a_training_report_says_how_it_was_trained() -> None:
    """Rows, what was left out, the baseline, the distance to torch, and the settings that are no default."""
    recipe = Recipe(epochs=3).model_dump(mode="json")
    provenance = {
        "data": {"file": "a.csv", "sha256": "f" * 64},
        "recipe": recipe,
        "base": {"sha256": "e" * 64, "commit": "c" * 40},
        "code": "abc",
        "packages": {"t": "1"},
    }
    text = words(render_report("r", [entry()], record(), provenance))
    assert "1,000 train, 10 validation, 10 calibration" in text
    assert "2 empty, 5 duplicates" in text
    assert "within 1.5e-06 of torch" in text
    assert f"SHA-256 {'e' * 64} , commit {'c' * 40}" in text
    assert "epochs 3 6" in text
    assert "promise.confidence" not in text


def test_an_evaluation_has_no_training_part() -> None:
    """Without a training run the page shows the measured figures only."""
    text = words(render_evaluation("Evaluation of bundle x", [entry()], {"department": FIGURES}))
    assert "Evaluation of bundle x" in text
    assert "baseline" not in text.lower()
    assert "epoch" not in text.lower()


@pytest.mark.parametrize(
    ("label", "shown"),
    [({}, "0.900 own"), ({"route": None, "pooled": True}, "– never"), ({"pooled": True}, "0.900 pooled")],
)
def test_each_label_shows_from_where_it_is_routed(label: dict[str, Any], shown: str) -> None:
    """A label's threshold, and whether it is the label's own or the pooled one."""
    page = render_evaluation("r", [entry(**label)], {"department": FIGURES})
    assert f"{shown} 3" in words(page)


def test_a_field_without_figures_is_left_out() -> None:
    """A field without labels has no section; the others have theirs."""
    page = render_report("r", [entry(), entry("priority")], record())
    assert 'id="field-department"' in page
    assert 'id="field-priority"' not in page


def test_label_intervals_come_from_counts() -> None:
    """Precision over what was predicted, recall over what was wanted; nothing right leaves the precision open."""
    billing, evil = label_rows(entry(), FIGURES)
    assert billing.precision is not None
    assert billing.precision.value == pytest.approx(1 / 2)
    assert evil.recall is not None
    assert evil.recall.low < evil.recall.value == 0.5 < evil.recall.high
    nothing = figures([0, 0], [(0, 5), (0, 5)])
    assert label_rows(entry(), nothing)[1].precision is None


def test_few_labels_have_a_whole_matrix() -> None:
    """Rows sum up to the labels' tickets, right ones on the diagonal."""
    found = matrix(FIGURES)
    assert found.is_whole
    assert [[cell.count for cell in row.cells] for row in found.rows] == [[1, 0], [1, 1]]
    assert [row.elsewhere for row in found.rows] == [0, 0]


def test_of_many_labels_the_most_confused_are_shown() -> None:
    """Partners stand side by side, and tickets that went to a label not shown are counted."""
    names = tuple(f"label {number}" for number in range(40))
    wanted = [number for number in range(40) for _ in range(4)]
    given = list(wanted)
    given[0:3] = [7, 7, 20]
    found = matrix(figures(wanted, np.eye(40)[given] * 9, names))
    assert not found.is_whole
    assert len(found.rows) <= BLOCK
    assert [row.name for row in found.rows][:2] == ["label 0", "label 7"]
    assert sum(cell.count for cell in found.rows[0].cells) + found.rows[0].elsewhere == 4


def test_the_model_card_has_promise_figures_and_limits() -> None:
    """Requested beside achieved, every field's figures, and what not to use the model for."""
    bare = {"baseline": {**record().baseline, "priority": {}}, "encoder": {**record().encoder, "priority": {}}}
    card = model_card("some/base", [entry(), entry("priority")], record(**bare))
    assert "Fine-tuned from `some/base`" in card
    assert "1,000 train, 10 validation, 10 calibration rows" in card
    assert "| department | 95% | exact | 95% | 66.7% | 20.8% to 93.9% | 100.0% |" in card
    assert "| department | 2 | validation | 3 | 66.7% |" in card
    assert "does not beat its TF-IDF baseline" in card
    assert all(f"## {section}" in card for section in ("Intended use", "Limits", "Ethics and privacy"))


def test_a_hostile_base_name_stays_words() -> None:
    """A path can hold anything: it ends neither the front matter nor its code span."""
    card = model_card("a`<b>\n---\n# Title", [entry()], record())
    assert card.count("\n---\n") == 1
    assert "\n# Title" not in card


def test_the_models_stand_side_by_side() -> None:
    """Each with its minutes and figures; the one that ships says so."""
    page = words(report(**SIDE_BY_SIDE))
    assert "quick ships 1.5 62.5% 0.400" in page
    assert "full 1.5 75.0% 0.400" in page


def test_the_page_shows_what_the_words_add() -> None:
    """Size, shares and each label's most telling n-grams, which are only shown; or that they were left out."""
    ngrams = {"ngrams": 1234, "shares": {"department": 2.5, "priority": 0}, "telling": {EVIL: ["refund", EVIL]}}
    page = report(**SIDE_BY_SIDE, ngrams=ngrams)
    assert "1,234 wordpieces" in page
    assert "department 2.50, priority 0.00 (left out: they do not help)" in words(page)
    assert EVIL not in page
    left_out = {"ngrams": 0, "shares": {"department": 0}, "telling": {}}
    assert "Left out: beside the encoder" in report(**SIDE_BY_SIDE, ngrams=left_out)


def test_variants_show_their_own_promise_and_the_gates_words() -> None:
    """In the report and in the card: coverage at its own thresholds, the loss with its interval, and why it ships."""
    promise = entry().promise.model_dump() | {"achieved_coverage": 0.625}
    variants = [
        {"variant": "int8", "what": "8-bit weights", "file": "model.int8.onnx", "instructions": ["avx512_vnni"],
         "ships": True, "why": "not enough rows to tell: department", "megabytes": 23.0, "agreement": 0.98, "ece": 0.02,
         "loss": {"field": "department", "rows": 100, "verdict": "not enough rows to tell",
                  "loss": {"value": 0.01, "low": -0.0095, "high": 0.0123}},
         "promises": {"department": promise}, "speedup": 1.8},
        {"variant": "int8", "what": "7-bit weights", "file": "model.int8-avx2.onnx", "instructions": ["avx2"],
         "ships": False, "why": "cannot be made of this encoder (ValueError)"},
    ]  # fmt: skip
    for page in (words(report(variants=variants)), model_card("base", [entry()], record(variants=variants))):
        for said in ("62.5% routed", "-0.95% to 1.23%", "not enough rows to tell", "98.00%", "cannot be made of this"):
            assert said in page


def test_the_card_of_a_quick_bundle_claims_no_fine_tuning() -> None:
    """The encoder of a quick bundle is the base's own."""
    card = model_card("some/base", [entry()], record(kept="quick"))
    assert "A linear model on `some/base`" in card
    assert "Fine-tuned" not in card


def test_the_card_names_the_strange_mail_that_is_routed() -> None:
    """For each kind of made-up mail, what is refused and what is routed all the same."""
    strangers = [{"kind": "Arabic", "rows": 4, "refused": 3, "routed": 1}]
    assert "refused, and routed all the same: Arabic 75%, 1." in model_card(
        "some/base", [entry()], record(strangers=strangers)
    )
