"""`export-feedback` and `retrain`: from the service's record to a training file, and to a bundle beside the serving
one."""

import json
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from models.bundle.bundle import open_bundle
from tests.support.decisions import decision, feedback
from tests.support.rows import CANARY, write_csv, write_jsonl
from tests.support.training import Invoke, Place, refused
from training.sample import make_tickets

TICKETS = 240


def recorded(count: int = TICKETS, seed: int = 5, department: str | None = None) -> list[dict[str, Any]]:
    """A tenth kept for people, the others routed; people moved the wrong ones and closed every second right one."""
    lines = []
    for number, ticket in enumerate(make_tickets(count, seed)):
        holdout = number % 10 == 0
        wrong = number % 7 == 0
        said = [feedback(department or ticket.department, number / 10 + 1, source="close")]
        predicted = "sales" if wrong else ticket.department
        priority = {"value": ticket.priority, "confidence": 0.8, "outcome": "suggest", "threshold": 0.7}
        lines.append(
            decision(
                number, predicted, "route",
                *(said if holdout or wrong or number % 2 else ()),
                *([feedback(ticket.priority, number / 10 + 1, field="priority")] if ticket.priority else []),
                at=number / 10, holdout=holdout, text=(ticket.subject, ticket.body), fields={"priority": priority},
            )
        )  # fmt: skip
    return lines


def rows_of(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def records(tmp_path: Path) -> Path:
    return write_jsonl(tmp_path / "records.jsonl", recorded())


def test_the_training_file_has_every_labelled_ticket_and_training_reads_it(
    invoke: Invoke, records: Path, tmp_path: Path
) -> None:
    out = tmp_path / "feedback.jsonl"
    run = invoke("export-feedback", "--records", records, "--out", out)
    assert (run.code, run.err) == (0, "")
    rows = rows_of(out)
    sources = [row["label_source"] for row in rows]
    assert sources.count("audit") == TICKETS / 10
    assert {"audit", "close", "router_unchecked"} == set(sources)
    told = run.out.splitlines()
    assert told[0].startswith(f"{out}: {len(rows)} tickets of {TICKETS} decisions: {TICKETS // 10} audit, ")
    assert told[1].startswith(f"guessed: {sources.count('router_unchecked')} departments are the router's own")
    assert told[2] == f"left out: {TICKETS - len(rows)} tickets routed without feedback, too young to count as right"
    assert out.stat().st_mode & 0o777 == 0o600
    check = invoke("check", "--data", out, "--field", "priority", "--json")
    assert check.code == 0, check.err


def test_texts_and_departments_that_the_record_lacks_are_joined_by_id(invoke: Invoke, tmp_path: Path) -> None:
    lines = [
        decision(1, "billing", "review", text=None),
        decision(2, "billing", "route", text=None),
        decision(3, "sales", "suggest", feedback("refunds"), text=None),
        decision(4, "sales", "suggest", feedback("refunds"), text=None),
    ]
    cells = [
        ("T-1", "Order", "<p>Where is it?</p>", "text/html", "delivery", "solved"),
        ("T-2", "Invoice", "Charged twice.", "", "billing", "solved"),
        ("T-3", "Money back", "Please.", "", "billing", "open"),
        ("T-4", "Money back", "Please!", "", "billing", "solved"),
        ("T-0", "Before", "the router.", "", "sales", "solved"),
    ]
    columns = ("id", "subject", "body", "content_type", "department", "status")
    data = write_csv(tmp_path / "tickets.csv", cells, columns)
    records, out = write_jsonl(tmp_path / "records.jsonl", lines), tmp_path / "feedback.jsonl"
    run = invoke("export-feedback", "--records", records, "--data", data, "--out", out, "--undecided", "--json")
    assert run.code == 0, run.err
    found = {row["id"]: (row["subject"], row["department"], row["label_source"]) for row in rows_of(out)}
    assert found == {
        "T-1": ("Order", "delivery", "close"),
        "T-2": ("Invoice", "billing", "router_unchecked"),
        "T-4": ("Money back", "refunds", "agent"),
        "T-0": ("Before", "sales", ""),
    }
    assert next(row["content_type"] for row in rows_of(out)) == "text/html"
    told = json.loads(run.out)
    assert (told["texts_joined"], told["at_close"], told["undecided"]) == (3, 1, 1)
    assert told["left_out"] == {"without_text": 1}


@pytest.mark.parametrize(
    ("lines", "options", "named"),
    [
        ([], (), "no decisions"),
        ([decision(1), {"text": CANARY}], (), "line 2: decision_id is missing"),
        ([decision(1, text=None, at=-30), decision(2, "sales", "review")], (), "left out: 1 tickets not routed"),
        ([decision(1, CANARY, fields={"subject": {"value": "x", "outcome": "route"}})], (), "name of another column"),
        ([decision(1)], ("--out", "/proc/none/feedback.jsonl"), "cannot be written"),
    ],
)
def test_a_record_that_cannot_be_used_is_one_line(
    invoke: Invoke, tmp_path: Path, lines: Sequence[Any], options: Sequence[str], named: str
) -> None:
    records = write_jsonl(tmp_path / "records.jsonl", lines)
    options = options or ("--out", str(tmp_path / "feedback.jsonl"))
    run = invoke("export-feedback", "--records", records, "--quiet-days", "0", *options)
    assert named in refused(run)
    assert os.listdir(tmp_path) == ["records.jsonl"]


def test_an_export_without_ids_is_refused(invoke: Invoke, records: Path, tmp_path: Path) -> None:
    data = write_csv(tmp_path / "tickets.csv", [("a", "x"), ("b", "y")])
    run = invoke("export-feedback", "--records", records, "--data", data, "--out", tmp_path / "feedback.jsonl")
    assert "--column id=COLUMN" in refused(run)


@pytest.fixture
def store(place: Place, tmp_path: Path) -> Path:
    return Path(shutil.copytree(place.store, tmp_path / "store", symlinks=True))


def test_retrain_compares_a_new_bundle_with_the_current_one_and_promotes_nothing(
    invoke: Invoke, place: Place, store: Path, records: Path, tmp_path: Path
) -> None:
    """Recipe, base and fields are the champion's; the tickets of --data are learned beside those of the record."""
    page, out = tmp_path / "comparison.html", tmp_path / "feedback.jsonl"
    # The sample's ids are numbers of their own, so none is joined.
    run = invoke(
        "retrain", "--records", records, "--data", place.data, "--store", store, "--out", out, "--report", page
    )
    assert run.code == 0, run.err
    assert (store / "current").resolve().name == place.bundle.name
    made = next(
        path for path in store.iterdir() if path.is_dir() and not path.is_symlink() and path.name != place.bundle.name
    )
    bundle = open_bundle(made)
    assert [field.name for field in bundle.manifest.label_space()] == ["department", "priority"]
    assert bundle.manifest.provenance["recipe"] == open_bundle(place.bundle).manifest.provenance["recipe"]
    told = run.out.splitlines()
    assert told[-1].startswith(f"to serve it: python -m training promote --bundle {made} --store {store}")
    assert told[-2] == f"comparison: {page}"
    assert f"champion {place.bundle.name}, challenger {made.name}: " in run.out
    assert f"{made.name}" in page.read_text()
    assert any("of --data that the router never decided" in line for line in run.progress)
    assert sum(row["label_source"] == "" for row in rows_of(out)) > 100


def test_a_label_that_the_champion_lacks_is_learned_and_named(invoke: Invoke, store: Path, tmp_path: Path) -> None:
    lines = recorded()
    for number, line in enumerate(lines):
        if number % 4 == 1:
            line["text"]["body"] = f"The solar panel {number} on our roof gives no power since {number} days."
            line["feedback"] = [feedback("solar", number / 10 + 1)]
    records = write_jsonl(tmp_path / "records.jsonl", lines)
    run = invoke("retrain", "--records", records, "--store", store, "--out", tmp_path / "feedback.jsonl", "--quick")
    assert run.code == 0, run.err
    assert "labels that only the challenger knows: solar" in run.out


def test_a_store_without_a_current_bundle_is_refused_before_anything_is_written(
    invoke: Invoke, records: Path, tmp_path: Path
) -> None:
    store, out = tmp_path / "store", tmp_path / "feedback.jsonl"
    run = invoke("retrain", "--records", records, "--store", store, "--out", out)
    assert "export-feedback and train" in refused(run, store=store)
    assert not out.exists()


def test_recalibrate_uses_the_audited_rows_of_the_training_file(invoke: Invoke, store: Path, tmp_path: Path) -> None:
    """With a hundred of them no other row plans or tests thresholds."""
    lines = recorded(2000, 9)
    records, out = write_jsonl(tmp_path / "records.jsonl", lines), tmp_path / "feedback.jsonl"
    assert invoke("export-feedback", "--records", records, "--out", out).code == 0
    run = invoke(
        "recalibrate", "--bundle", store / "current", "--data", out, "--precision", ".6", "--out", tmp_path / "new"
    )
    assert run.code == 0, run.err
    audited = {row["id"] for row in rows_of(out) if row["label_source"] == "audit"}
    data = next(line for line in run.progress if "data: " in line)
    plan, test = (int(word.split()[0]) for word in data.split("data: ")[1].split(", ")[:2])
    assert 100 <= plan + test <= len(audited)
