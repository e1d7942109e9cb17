"""`train --labels` and `distil`: the real commands with the tiny model, up to a bundle that replays."""

import csv
import json
import shutil
from pathlib import Path

import pytest

from models.bundle.bundle import open_bundle
from models.bundle.golden import replay
from tests.support.rows import write_csv
from tests.support.tiny import rewritten
from tests.support.training import RECIPE, Invoke, Place, refused
from training.evaluation.bundle_answers import load_graph


@pytest.fixture
def ruled(place: Place, tmp_path: Path) -> tuple[Path, Path]:
    """The sample tickets with labels that a labels file merges, retires and puts out of scope; and that labels file."""
    with place.data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows):
        row["split"] = ""
        row["department"] = {0: "spam", 1: "fax", 2: "Invoices"}.get(number % 15, row["department"])
    for row in [row for row in rows if row["department"] == "spam"][:4]:
        row["split"] = "test"
    rules = tmp_path / "labels.toml"
    rules.write_text("""[department]
aliases = { Invoices = "billing" }
retire = ["fax", "gone"]
out_of_scope = ["spam"]
""")
    return write_csv(tmp_path / "ruled.csv", [list(row.values()) for row in rows], list(rows[0])), rules


def test_train_follows_the_labels_file(place: Place, invoke: Invoke, tmp_path: Path, ruled: tuple[Path, Path]) -> None:
    """Merged labels are one, retired rows are left out, out-of-scope rows are only measured (among them the file's
    own test rows), and the bundle names its labels file."""
    data, rules = ruled
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f"promise.scope_refused = 0.3\npromise.folds = 0\n{RECIPE}")
    run = invoke(*place.arguments(tmp_path / "store", data=data, labels=rules, recipe=recipe))
    assert (run.code, run.err) == (0, "")
    bundle = open_bundle(tmp_path / "store" / "current")
    labels = {label.name for label in bundle.manifest.fields[0].labels}
    assert "billing" in labels
    assert not labels & {"Invoices", "fax", "spam"}
    metrics = json.loads(bundle.read("metrics.json"))
    assert metrics["removed"]["retired"] == 10
    assert bundle.manifest.provenance["data"]["labels"]["file"] == "labels.toml"
    assert metrics["scope"]["outside_rows"] == 4
    found = invoke("evaluate", "--bundle", bundle.path, "--data", data, "--labels", rules)
    assert "labels that no row has: gone" in found.out
    assert "rows are out of scope: " in found.out
    assert "does not know" not in found.out
    teaching = ("distil", "--teacher", bundle.path, "--data", data, "--layers", 1, "--out", tmp_path / "students")
    assert "learned with labels.toml; give that one" in refused(invoke(*teaching), store=tmp_path / "students")


def test_a_student_has_fewer_layers_and_replays(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """One of the teacher's two layers: a smaller bundle beside the teacher's, with the same split, sound, and not
    promoted."""
    store = Path(shutil.copytree(place.store, tmp_path / "store", symlinks=True))
    taught = with_promise(place, tmp_path / "teacher", "exact")
    run = invoke("distil", "--teacher", taught, "--data", place.data, "--layers", 1, "--out", store, "--json")
    assert (run.code, run.err) == (0, "")
    summary = json.loads(run.out)
    student, teacher = open_bundle(Path(summary["bundle"])), open_bundle(taught)
    assert not summary["current"]
    assert summary["metrics"]["rows"]["test"] == json.loads(teacher.read("metrics.json"))["rows"]["test"]
    assert student.manifest.label_space() == teacher.manifest.label_space()
    assert all(graph.reference is not None for graph in student.manifest.models)
    assert student.manifest.files["model.onnx"].size < teacher.manifest.files["model.onnx"].size
    assert replay(student, student.fp32, load_graph(student, student.fp32).infer).rows > 0
    assert not list(store.glob(".run-*"))


def test_an_impossible_student_is_refused(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """As many layers as the teacher, other rows, or another labels file than the teacher's: one line, nothing
    written."""
    store, other, rules = tmp_path / "store", tmp_path / "other.csv", tmp_path / "labels.toml"
    other.write_bytes(place.data.read_bytes() + b"\n")
    rules.write_text("")
    taught = ("distil", "--teacher", with_promise(place, tmp_path / "exact", "exact"), "--out", store)
    assert "the teacher has 2 layers" in refused(invoke(*taught, "--data", place.data, "--layers", 2), store=store)
    assert "not the file or files that" in refused(invoke(*taught, "--data", other, "--layers", 1), store=store)
    assert "not the file or files that" in refused(
        invoke(*taught, "--data", place.data, "--data", other, "--layers", 1), store=store
    )
    given = (*taught, "--data", place.data, "--labels", rules, "--layers", 1)
    assert "learned without one; leave it out" in refused(invoke(*given), store=store)
    quick = with_promise(place, tmp_path / "quick", "measured")
    given = ("distil", "--teacher", quick, "--out", store, "--data", place.data, "--layers", 1)
    assert "learned from all rows, in folds" in refused(invoke(*given), store=store)


def with_promise(place: Place, store: Path, kind: str) -> Path:
    """The trained bundle with another kind of promise, in its own store."""
    fields = json.loads((place.bundle / "manifest.json").read_text())["models"][0]["fields"]
    for field in fields:
        field["promise"]["kind"] = kind
    return rewritten(place.bundle, store, fields=fields)
