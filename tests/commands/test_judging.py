"""`compare`, `promote`, `rollback` and `evaluate --behaviour`: the real commands on really trained bundles."""

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
"""The tiny bundle routes nothing."""


@dataclass(frozen=True)
class Shelf:
    """A store of two: the trained bundle, which is current, and one whose graph was changed on purpose."""

    store: Path
    champion: Path
    challenger: Path
    data: Path


def contrary(graph: Path) -> bytes:
    """The graph with its logits negated: sound to run, and sure of what it held for least likely."""
    model = onnx.load(str(graph))
    for node in model.graph.node:
        node.output[:] = ["negated" if name == "logits" else name for name in node.output]
    model.graph.node.append(onnx.helper.make_node("Neg", ["negated"], ["logits"]))
    return model.SerializeToString()


@pytest.fixture
def shelf(place: Place, tmp_path: Path) -> Shelf:
    store = Path(shutil.copytree(place.store, tmp_path / "store", symlinks=True))
    metrics = {**json.loads((place.bundle / "metrics.json").read_text()), "beats_baseline": True}
    champion, challenger = (
        rewritten(place.bundle, store, base_model=name, files={"metrics.json": json.dumps(metrics).encode()})
        for name in ("champion", "challenger")
    )
    (store / "promotions.jsonl").unlink(missing_ok=True)
    (store / "current").unlink()
    (store / "current").symlink_to(champion.name)
    return Shelf(store, champion, challenger, place.data)


def test_a_bundle_against_its_like_shows_no_difference(shelf: Shelf, invoke: Invoke, tmp_path: Path) -> None:
    """Equal graphs: no figure differs, no ticket moves, the last line says so, and the page needs no network."""
    page = tmp_path / "comparison.html"
    run = invoke(
        "compare", "--champion", shelf.champion, "--challenger", shelf.challenger, "--data", shelf.data,
        "--report", page,
    )  # fmt: skip
    assert (run.code, run.err) == (0, "")
    assert run.out.splitlines()[-2:] == ["verdict: no difference shown", f"report: {page}"]
    assert "another department: 0 tickets" in run.out
    written = page.read_text()
    assert "no difference shown" in written
    assert "http://" not in written
    assert "https://" not in written


def test_a_challenger_that_answers_otherwise_is_found_out(shelf: Shelf, invoke: Invoke, tmp_path: Path) -> None:
    """Tickets that moved are named by their lines, never by their content, and label sets may differ."""
    other = rewritten(shelf.challenger, tmp_path, files={"model.onnx": contrary(shelf.challenger / "model.onnx")})
    rows = [(f"{CANARY} please refund {number}", "unheard-of") for number in range(40)]
    data = write_csv(tmp_path / "t.csv", rows)
    run = invoke("compare", "--champion", shelf.champion, "--challenger", other, "--data", data, "--json")
    found = json.loads(run.out)
    assert (run.code, run.err) == (0, "")
    assert found["changes"]["departments"] == 40
    assert found["changes"]["examples"][0]["line"] == 2
    assert found["figures"]["accuracy"] == {
        "champion": 0, "challenger": 0, "difference": 0, "low": 0, "high": 0,
    }  # fmt: skip
    assert CANARY not in run.out


def test_promote_shows_every_gate(shelf: Shelf, invoke: Invoke) -> None:
    """Each gate with its figure, the move, and the line on record."""
    run = invoke(
        *PROMOTE, shelf.challenger, "--store", shelf.store, "--data", shelf.data, "--reason", "November",
        "--slower", "20",
    )  # fmt: skip
    assert (run.code, run.err) == (0, "")
    for gate in ("digests", "baseline", "golden rows, model.onnx", "champion", "latency", "size", "labels"):
        assert f"✓ {gate}: " in run.out
    assert run.out.splitlines()[-1].endswith(f"current → {shelf.challenger.name} (was {shelf.champion.name})")
    (line,) = (shelf.store / "promotions.jsonl").read_text().splitlines()
    assert json.loads(line)["reason"] == "November"


def test_promote_names_every_gate_that_fails(shelf: Shelf, invoke: Invoke) -> None:
    """All of them in one line; the pointer and the record stay as they were."""
    before = sorted(os.listdir(shelf.store))
    run = invoke(*PROMOTE, shelf.challenger, "--store", shelf.store, "--larger", "0.5", "--macro-f1", "1")
    line = refused(run)
    assert "size: " in line
    assert "macro-F1: " in line
    assert "labels" not in line
    assert (shelf.store / "current").resolve() == shelf.champion
    assert sorted(os.listdir(shelf.store)) == before


def test_what_does_not_replay_cannot_be_forced(shelf: Shelf, invoke: Invoke) -> None:
    """A graph that answers otherwise than at its export would refuse to start: no reason makes it serve."""
    graph = contrary(shelf.challenger / "model.onnx")
    other = rewritten(shelf.challenger, shelf.store, files={"model.onnx": graph})
    run = invoke(*PROMOTE, other, "--store", shelf.store, "--force", "--reason", "because")
    assert "golden row" in refused(run)
    assert (shelf.store / "current").resolve() == shelf.champion


def test_force_wants_a_reason_and_is_on_record(shelf: Shelf, invoke: Invoke) -> None:
    """Without a reason nothing moves; with one it does, and the record shows the gate that was overridden."""
    command = (*PROMOTE, shelf.challenger, "--store", shelf.store, "--larger", "0.5", "--force")
    assert "--force needs --reason" in refused(invoke(*command))
    run = invoke(*command, "--reason", "the old one misroutes")
    assert run.code == 0, run.err
    assert "✗ size: " in run.out
    assert "forced: the old one misroutes" in run.out
    record = json.loads((shelf.store / "promotions.jsonl").read_text())
    assert record["forced"]
    assert [gate["name"] for gate in record["gates"] if gate["passed"] is False] == ["size"]


def test_rollback_is_one_command(shelf: Shelf, invoke: Invoke) -> None:
    """Back to the bundle before, on record; a second time there is none; --to names any."""
    assert invoke(*PROMOTE, shelf.challenger, "--store", shelf.store, "--slower", "20").code == 0
    run = invoke("rollback", "--store", shelf.store, "--reason", "misroutes")
    assert (run.code, run.err) == (0, "")
    assert (shelf.store / "current").resolve() == shelf.champion
    assert "no earlier bundle" in refused(invoke("rollback", "--store", shelf.store))
    again = invoke("rollback", "--store", shelf.store, "--to", shelf.challenger.name, "--json")
    assert json.loads(again.out)["to_version"] == shelf.challenger.name
    events = [json.loads(line)["event"] for line in (shelf.store / "promotions.jsonl").read_text().splitlines()]
    assert events == ["promote", "rollback", "rollback"]


def test_rollback_refuses_a_damaged_bundle(shelf: Shelf, invoke: Invoke) -> None:
    """What was changed on disk since it served does not come back, nor does what lies outside the store."""
    (shelf.challenger / "model.onnx").write_bytes(b"x")
    arguments = ("rollback", "--store", shelf.store, "--to")
    assert "model.onnx" in refused(invoke(*arguments, shelf.challenger.name))
    assert "wants a version" in refused(invoke(*arguments, "../elsewhere"))
    assert "already" in refused(invoke(*arguments, shelf.champion.name))
    assert not (shelf.store / "promotions.jsonl").exists()


def test_evaluate_tries_changes_that_must_not_matter(place: Place, invoke: Invoke) -> None:
    """--behaviour adds a line for each change, and the figures to --json."""
    arguments = ("evaluate", "--bundle", place.bundle, "--data", place.data, "--behaviour")
    found = json.loads(invoke(*arguments, "--json").out)
    assert [one["change"] for one in found["behaviour"]][:2] == ["greeting", "signature"]
    run = invoke(*arguments)
    assert (run.code, run.err) == (0, "")
    assert "  typos " in run.out


def test_a_variant_that_is_not_there_is_refused(place: Place, invoke: Invoke) -> None:
    """A bundle without int8 is not measured on it."""
    run = invoke("evaluate", "--bundle", place.bundle, "--data", place.data, "--variant", "int8")
    if "int8" not in (place.bundle / "manifest.json").read_text():
        assert "has no int8 variant" in refused(run)


def test_predictions_hold_every_answer_and_no_text(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A line for each row and field, as CSV or JSONL, found again by line, id or the text's digest."""
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
    """A column that is no role of the data: each value with its rows; a column that is not there is refused."""
    label = open_bundle(place.bundle).manifest.fields[0].labels[0].name
    rows = [(f"please refund order {n}", label, "Phone" if n % 2 else "Web form") for n in range(50)]
    data = write_csv(tmp_path / "t.csv", rows, ("subject", "department", "Channel"))
    run = invoke("evaluate", "--bundle", place.bundle, "--data", data, "--slice", "Channel")
    assert run.code == 0, run.err
    assert "  Channel Phone: 25 rows, accuracy " in run.out
    assert "  Channel Web form: 25 rows, accuracy " in run.out
    line = refused(invoke("evaluate", "--bundle", place.bundle, "--data", data, "--slice", "region"))
    assert "no column 'region' to slice by" in line


def test_a_merged_label_is_wrong_for_neither_bundle(shelf: Shelf, invoke: Invoke, tmp_path: Path) -> None:
    """Where the labels file merges all departments into one, both bundles answer it: no accuracy is lost by the merge,
    and no label either."""
    names = [label.name for label in open_bundle(shelf.champion).manifest.fields[0].labels]
    aliases = ", ".join(f"{json.dumps(name)} = {json.dumps(names[0])}" for name in names[1:])
    rules = tmp_path / "labels.toml"
    rules.write_text(f"[department]\naliases = {{ {aliases} }}\n")
    other = rewritten(shelf.challenger, tmp_path, files={"model.onnx": contrary(shelf.challenger / "model.onnx")})
    run = invoke(
        "compare",
        "--champion",
        shelf.champion,
        "--challenger",
        other,
        "--data",
        shelf.data,
        "--labels",
        rules,
        "--json",
    )
    assert run.code == 0, run.err
    accuracy = json.loads(run.out)["figures"]["accuracy"]
    assert (accuracy["champion"], accuracy["challenger"]) == (1, 1)


def test_must_route_cases_are_a_gate(shelf: Shelf, invoke: Invoke, tmp_path: Path) -> None:
    """A case that is answered otherwise is named, not quoted, and nothing moves."""
    cases = tmp_path / "cases.toml"
    names = {label.name for label in open_bundle(shelf.champion).manifest.fields[0].labels}
    text = "Please refund what I was charged twice"
    wanted = answered(shelf.challenger, text)
    other = sorted(names - {wanted})[0]
    cases.write_text(f'[[case]]\nname = "double charge"\nbody = "{text}"\ndepartment = "{other}"\n')
    promote = (*PROMOTE, shelf.challenger, "--store", shelf.store, "--slower", "20", "--cases", cases)
    line = refused(invoke(*promote))
    assert f"cases: 1 of 1 answered otherwise: double charge: review {wanted}, wanted {other}" in line
    assert text not in line
    cases.write_text(f'[[case]]\nbody = "{text}"\ndepartment = "{wanted}"\noutcome = "review"\n')
    run = invoke(*promote)
    assert run.code == 0, run.err
    assert "✓ cases: all 1 answered as wanted" in run.out


def test_a_mistyped_department_of_a_case_is_named(shelf: Shelf, invoke: Invoke, tmp_path: Path) -> None:
    """With the bundle's department that it resembles."""
    cases = tmp_path / "cases.toml"
    name = sorted(label.name for label in open_bundle(shelf.champion).manifest.fields[0].labels)[0]
    cases.write_text(f'[[case]]\nbody = "hello"\ndepartment = "{name}s"\n')
    line = refused(invoke(*PROMOTE, shelf.challenger, "--store", shelf.store, "--slower", "20", "--cases", cases))
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
def test_cases_that_make_no_sense_are_refused(
    shelf: Shelf, invoke: Invoke, tmp_path: Path, content: str, why: str
) -> None:
    cases = tmp_path / "cases.toml"
    cases.write_text(content)
    assert why in refused(invoke(*PROMOTE, shelf.challenger, "--store", shelf.store, "--cases", cases))


def answered(bundle: Path, text: str) -> str:
    """The most likely department of a text without a subject."""
    opened = open_bundle(bundle)
    return load_predictor(opened, "fp32")([prepare(Ticket(subject="", body=text)).text])[0].candidates[0].label
