"""`compare`, `promote`, `rollback` and `evaluate --behaviour`: the real commands on trained bundles."""

import csv
import json
import os
import shutil
from dataclasses import dataclass
from pathlib import Path

import onnx
import pytest

from models.bundle.bundle import open_bundle
from models.text.prepare import prepare
from models.ticket import Ticket
from tests.support.rows import CANARY, write_csv
from tests.support.tiny import rewritten
from tests.support.training import Invoke, Place, refused
from training.evaluation.bundle_answers import load_predictor

PROMOTE = ("promote", "--allow-empty", "--bundle")
"""The tiny bundle routes no ticket."""


@dataclass(frozen=True)
class BundlePair:
    """A store of two bundles: the trained one, which is current, and one whose graph was changed deliberately."""

    store: Path
    champion: Path
    challenger: Path
    data: Path


def negate_logits(graph: Path) -> bytes:
    """The graph with negated logits: it runs, and its most likely label is the trained model's least likely one."""
    model = onnx.load(str(graph))
    for node in model.graph.node:
        node.output[:] = ["negated" if name == "logits" else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Neg", ["negated"], ["logits"]))
    return model.SerializeToString()


@pytest.fixture
def pair(place: Place, tmp_path: Path) -> BundlePair:
    store = Path(shutil.copytree(place.store, tmp_path / "store", symlinks=True))
    metrics = {**json.loads((place.bundle / "metrics.json").read_text()), "beats_baseline": True}
    champion, challenger = (
        rewritten(place.bundle, store, base_model=name, files={"metrics.json": json.dumps(metrics).encode()})
        for name in ("champion", "challenger")
    )
    (store / "promotions.jsonl").unlink(missing_ok=True)
    (store / "current").unlink()
    (store / "current").symlink_to(champion.name)
    return BundlePair(store, champion, challenger, place.data)


def test_comparing_a_bundle_with_a_copy_shows_no_difference(pair: BundlePair, invoke: Invoke, tmp_path: Path) -> None:
    """Equal graphs: all figures agree, no ticket moves, the last line says so, and the page needs no network."""
    page = tmp_path / "comparison.html"
    run = invoke(
        "compare", "--champion", pair.champion, "--challenger", pair.challenger, "--data", pair.data,
        "--report", page,
    )  # fmt: skip
    assert (run.code, run.err) == (0, "")
    assert run.out.splitlines()[-2:] == ["verdict: no difference shown", f"report: {page}"]
    assert "another department: 0 tickets" in run.out
    written = page.read_text()
    assert "no difference shown" in written
    assert "http://" not in written
    assert "https://" not in written


def test_a_comparison_finds_a_challenger_with_other_answers(pair: BundlePair, invoke: Invoke, tmp_path: Path) -> None:
    """Tickets with another answer are named by their lines, never quoted; the label sets may differ."""
    other = rewritten(pair.challenger, tmp_path, files={"model.onnx": negate_logits(pair.challenger / "model.onnx")})
    rows = [(f"{CANARY} please refund {number}", "unheard-of") for number in range(40)]
    data = write_csv(tmp_path / "t.csv", rows)
    run = invoke("compare", "--champion", pair.champion, "--challenger", other, "--data", data, "--json")
    found = json.loads(run.out)
    assert (run.code, run.err) == (0, "")
    assert found["changes"]["departments"] == 40
    assert found["changes"]["examples"][0]["line"] == 2
    assert found["figures"]["accuracy"] == {
        "champion": 0, "challenger": 0, "difference": 0, "low": 0, "high": 0,
    }  # fmt: skip
    assert CANARY not in run.out


def test_promote_shows_every_gate(pair: BundlePair, invoke: Invoke) -> None:
    """Each gate with its figure, the new pointer, and the line in the history."""
    run = invoke(
        *PROMOTE, pair.challenger, "--store", pair.store, "--data", pair.data, "--reason", "November",
        "--slower", "20",
    )  # fmt: skip
    assert (run.code, run.err) == (0, "")
    for gate in ("digests", "baseline", "golden rows, model.onnx", "champion", "latency", "size", "labels"):
        assert f"✓ {gate}: " in run.out
    assert run.out.splitlines()[-1].endswith(f"current → {pair.challenger.name} (was {pair.champion.name})")
    (line,) = (pair.store / "promotions.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "November"


def test_promote_names_every_gate_that_fails(pair: BundlePair, invoke: Invoke) -> None:
    """All of them in one line; the pointer and the history are unchanged."""
    before = sorted(os.listdir(pair.store))
    run = invoke(*PROMOTE, pair.challenger, "--store", pair.store, "--larger", "0.5", "--macro-f1", "1")
    line = refused(run)
    assert "size: " in line
    assert "macro-F1: " in line
    assert "labels" not in line
    assert (pair.store / "current").resolve() == pair.champion
    assert sorted(os.listdir(pair.store)) == before


def test_a_bundle_that_fails_its_golden_rows_cannot_be_forced(pair: BundlePair, invoke: Invoke) -> None:
    """A graph that answers differently than at its export would refuse to start: `--force` does not promote it."""
    graph = negate_logits(pair.challenger / "model.onnx")
    other = rewritten(pair.challenger, pair.store, files={"model.onnx": graph})
    run = invoke(*PROMOTE, other, "--store", pair.store, "--force", "--reason", "because")
    assert "golden row" in refused(run)
    assert (pair.store / "current").resolve() == pair.champion


def test_force_requires_a_reason_and_is_recorded(pair: BundlePair, invoke: Invoke) -> None:
    """Without a reason the pointer does not move; with one it moves, and the history shows the overridden gate."""
    command = (*PROMOTE, pair.challenger, "--store", pair.store, "--larger", "0.5", "--force")
    assert "--force needs --reason" in refused(invoke(*command))
    run = invoke(*command, "--reason", "the old one misroutes")
    assert run.code == 0, run.err
    assert "✗ size: " in run.out
    assert "forced: the old one misroutes" in run.out
    record = json.loads((pair.store / "promotions.jsonl").read_text())
    assert record["forced"]
    assert [gate["name"] for gate in record["gates"] if gate["passed"] is False] == ["size"]


def test_rollback_returns_to_the_previous_bundle(pair: BundlePair, invoke: Invoke) -> None:
    """The rollback is recorded; a second one finds no earlier bundle; --to names any."""
    assert invoke(*PROMOTE, pair.challenger, "--store", pair.store, "--slower", "20").code == 0
    run = invoke("rollback", "--store", pair.store, "--reason", "misroutes")
    assert (run.code, run.err) == (0, "")
    assert (pair.store / "current").resolve() == pair.champion
    assert "no earlier bundle" in refused(invoke("rollback", "--store", pair.store))
    again = invoke("rollback", "--store", pair.store, "--to", pair.challenger.name, "--json")
    assert json.loads(again.out)["to_version"] == pair.challenger.name
    events = [json.loads(line)["event"] for line in (pair.store / "promotions.jsonl").read_text().splitlines()]
    assert events == ["promote", "rollback", "rollback"]


def test_rollback_refuses_a_damaged_bundle(pair: BundlePair, invoke: Invoke) -> None:
    """A bundle changed on disk since it served is refused, and so is one outside the store."""
    (pair.challenger / "model.onnx").write_bytes(b"x")
    arguments = ("rollback", "--store", pair.store, "--to")
    assert "model.onnx" in refused(invoke(*arguments, pair.challenger.name))
    assert "wants a version" in refused(invoke(*arguments, "../elsewhere"))
    assert "already" in refused(invoke(*arguments, pair.champion.name))
    assert not (pair.store / "promotions.jsonl").exists()


def test_evaluate_behaviour_reports_each_change_of_the_text(place: Place, invoke: Invoke) -> None:
    """--behaviour adds a line for each change that must not matter, and the figures to --json."""
    arguments = ("evaluate", "--bundle", place.bundle, "--data", place.data, "--behaviour")
    found = json.loads(invoke(*arguments, "--json").out)
    assert [one["change"] for one in found["behaviour"]][:2] == ["greeting", "signature"]
    run = invoke(*arguments)
    assert (run.code, run.err) == (0, "")
    assert "  typos " in run.out


def test_evaluating_a_missing_variant_is_refused(place: Place, invoke: Invoke) -> None:
    """A bundle without int8 is not evaluated with it."""
    run = invoke("evaluate", "--bundle", place.bundle, "--data", place.data, "--variant", "int8")
    if "int8" not in (place.bundle / "manifest.json").read_text():
        assert "has no int8 variant" in refused(run)


def test_predictions_have_every_answer_and_no_text(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A line for each row and field, as CSV or JSONL, identified by line, id or the text's digest."""
    label = open_bundle(place.bundle).manifest.fields[0].labels[0].name
    rows = [("T-1", f"{CANARY} please refund", label), ("T-2", "where is my parcel", "unheard-of")]
    data = write_csv(tmp_path / "t.csv", rows, ("id", "subject", "department"))
    evaluate = ("evaluate", "--bundle", place.bundle, "--data", data, "--predictions")
    for path in (tmp_path / "answers.csv", tmp_path / "answers.jsonl"):
        run = invoke(*evaluate, path)
        assert run.code == 0, run.err
        assert CANARY not in path.read_text()
    with (tmp_path / "answers.csv").open(newline="") as file:
        found = list(csv.DictReader(file))
    lines = [json.loads(line) for line in (tmp_path / "answers.jsonl").read_text().splitlines()]
    assert [{name: str(value) for name, value in line.items()} for line in lines] == found
    assert [(row["line"], row["id"], row["field"], row["expected"]) for row in found] == [
        ("2", "T-1", "department", label), ("3", "T-2", "department", "unheard-of"),
    ]  # fmt: skip
    assert {row["outcome"] for row in found} <= {"route", "suggest", "review"}
    assert all(len(row["text_sha256"]) == 64 for row in found)
    assert "written as .csv or .jsonl" in refused(invoke(*evaluate, tmp_path / "answers.xlsx"))


def test_figures_are_sliced_by_any_column(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A column without a role in the data: each value with its rows; a missing column is refused."""
    label = open_bundle(place.bundle).manifest.fields[0].labels[0].name
    rows = [(f"please refund order {n}", label, "Phone" if n % 2 else "Web form") for n in range(50)]
    data = write_csv(tmp_path / "t.csv", rows, ("subject", "department", "Channel"))
    run = invoke("evaluate", "--bundle", place.bundle, "--data", data, "--slice", "Channel")
    assert run.code == 0, run.err
    assert "  Channel Phone: 25 rows, accuracy " in run.out
    assert "  Channel Web form: 25 rows, accuracy " in run.out
    line = refused(invoke("evaluate", "--bundle", place.bundle, "--data", data, "--slice", "region"))
    assert "no column 'region' to slice by" in line


def test_a_merged_label_counts_as_right_for_both_bundles(pair: BundlePair, invoke: Invoke, tmp_path: Path) -> None:
    """The labels file merges all departments into one, and both bundles answer with it: the merge costs no accuracy
    and no label."""
    names = [label.name for label in open_bundle(pair.champion).manifest.fields[0].labels]
    aliases = ", ".join(f"{json.dumps(name)} = {json.dumps(names[0])}" for name in names[1:])
    rules = tmp_path / "labels.toml"
    rules.write_text(f"[department]\naliases = {{ {aliases} }}\n")
    other = rewritten(pair.challenger, tmp_path, files={"model.onnx": negate_logits(pair.challenger / "model.onnx")})
    run = invoke(
        "compare",
        "--champion",
        pair.champion,
        "--challenger",
        other,
        "--data",
        pair.data,
        "--labels",
        rules,
        "--json",
    )
    assert run.code == 0, run.err
    accuracy = json.loads(run.out)["figures"]["accuracy"]
    assert (accuracy["champion"], accuracy["challenger"]) == (1, 1)


def test_must_route_cases_are_a_gate(pair: BundlePair, invoke: Invoke, tmp_path: Path) -> None:
    """A case with another answer is named, not quoted, and the pointer does not move."""
    cases = tmp_path / "cases.toml"
    names = {label.name for label in open_bundle(pair.champion).manifest.fields[0].labels}
    text = "Please refund what I was charged twice"
    wanted = answered(pair.challenger, text)
    other = sorted(names - {wanted})[0]
    cases.write_text(f'[[case]]\nname = "double charge"\nbody = "{text}"\ndepartment = "{other}"\n')
    promote = (*PROMOTE, pair.challenger, "--store", pair.store, "--slower", "20", "--cases", cases)
    line = refused(invoke(*promote))
    assert f"cases: 1 of 1 answered otherwise: double charge: review {wanted}, wanted {other}" in line
    assert text not in line
    cases.write_text(f'[[case]]\nbody = "{text}"\ndepartment = "{wanted}"\noutcome = "review"\n')
    run = invoke(*promote)
    assert run.code == 0, run.err
    assert "✓ cases: all 1 answered as wanted" in run.out


def test_a_misspelt_department_of_a_case_is_named(pair: BundlePair, invoke: Invoke, tmp_path: Path) -> None:
    """With the most similar department of the bundle."""
    cases = tmp_path / "cases.toml"
    name = sorted(label.name for label in open_bundle(pair.champion).manifest.fields[0].labels)[0]
    cases.write_text(f'[[case]]\nbody = "hello"\ndepartment = "{name}s"\n')
    line = refused(invoke(*PROMOTE, pair.challenger, "--store", pair.store, "--slower", "20", "--cases", cases))
    assert f"case 1: the bundle has no department {name}s; it knows {name}" in line


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('[[case]]\nbody = "hello"', "a case wants a department, an outcome, or both"),
        ('[[case]]\nbody = " "\noutcome = "route"', "case 1 has no text left"),
        ('[[case]]\nbody = "hello"\noutcome = "routed"', "case.0.outcome"),
        ("", "case: Field required"),
    ],
)
def test_invalid_must_route_cases_are_refused(
    pair: BundlePair, invoke: Invoke, tmp_path: Path, content: str, why: str
) -> None:
    cases = tmp_path / "cases.toml"
    cases.write_text(content)
    assert why in refused(invoke(*PROMOTE, pair.challenger, "--store", pair.store, "--cases", cases))


def answered(bundle: Path, text: str) -> str:
    """The most likely department of a text without a subject."""
    opened = open_bundle(bundle)
    return load_predictor(opened, "fp32")([prepare(Ticket(subject="", body=text)).text])[0].candidates[0].label
