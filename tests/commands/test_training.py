"""`python -m training`: the real command line, from closed tickets to a bundle that replays."""

import json
import os
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.build import build
from models.bundle.bundle import NGRAMS, open_bundle
from models.bundle.golden import load_rows, replay
from models.text.prepare import prepare
from tests.support.plain import draft, files, plain_bundle
from tests.support.process import serving
from tests.support.rows import CANARY, write_csv
from tests.support.training import Invoke, Place, command, refused
from training.data.example import Example
from training.data.source import TicketFile, read_tickets
from training.export.ngram_nodes import ngram_graph, read_ngrams
from training.sample import make_tickets


def test_a_first_training_says_what_it_does_and_what_it_made(place: Place) -> None:
    """Figures of both fields, the baseline, the bundle and that it is current; in a pipe too, a line of progress for
    each stage and epoch on standard error, and before them which code runs."""
    assert place.run.err == ""
    assert place.run.progress[0] == "• starting: ticket-router {}, revision {}".format(*build())
    stages = [line for line in place.run.progress if line.startswith("• ")]
    assert len(stages) > 3
    assert [line.split(":")[0] for line in place.run.progress if line not in stages] == ["  epoch 1"]
    assert place.run.out.startswith("routes nothing: ")
    assert "\ndepartment on " in place.run.out
    assert "priority on " in place.run.out
    assert "baseline (TF-IDF)" in place.run.out
    assert f"bundle: {place.bundle} (now current)" in place.run.out
    assert "\x1b" not in place.run.out


def test_the_trained_bundle_replays_with_onnxruntime(place: Place) -> None:
    """From training to serving: onnxruntime gives from the opened bundle what torch gave at export."""
    from training.export.onnx import OnnxModel

    bundle = open_bundle(place.store / "current")
    model = OnnxModel.load(bundle.read("model.onnx"), bundle.encoder)
    found = replay(bundle, bundle.fp32, model.infer)
    assert found.rows == len(load_rows(bundle)) > 5


def test_the_trained_bundle_has_the_ngram_table(place: Place) -> None:
    """The made-up tickets consist mostly of typical words, so the table helps; every graph has the same table, in
    fp32."""
    metrics = json.loads((place.bundle / "metrics.json").read_text())
    assert metrics["ngrams"]["shares"]["department"] > 0
    bundle = open_bundle(place.bundle)
    tables = [read_ngrams(bundle.read(entry.file)) for entry in bundle.manifest.models]
    assert all(len(table.keys) == metrics["ngrams"]["ngrams"] for table in tables if table is not None)
    assert all(table is not None and table.weights.dtype == np.float32 for table in tables)
    assert tables[0] is not None
    assert bundle.read(NGRAMS) == ngram_graph(tables[0])


def test_a_quick_run_makes_a_bundle_without_fine_tuning(place: Place, tmp_path: Path) -> None:
    """It opens, replays and serves as any other bundle; no epoch was trained, and the output says which model ships."""
    run = command(*place.arguments(tmp_path / "store"), "--quick")
    assert (run.code, run.err) == (0, "")
    assert "quick (ships): accuracy " in run.out
    bundle = open_bundle(tmp_path / "store" / "current")
    metrics = json.loads((bundle.path / "metrics.json").read_text())
    assert (metrics["kept"], metrics["epochs"]) == ("quick", [])
    assert "full" not in [stage["name"] for stage in metrics["stages"]]
    with serving(bundle.path) as service, service.client() as client:
        assert client.post("/v1/route", json={"subject": "Invoice", "body": "charged twice"}).status_code == 200


def test_the_service_routes_with_the_trained_bundle(place: Place) -> None:
    """A RoBERTa with byte-level BPE: trained, exported by optimum, served over HTTP."""
    labels = {ticket.department for ticket in make_tickets(150, 3)}
    with serving(place.bundle) as service, service.client() as client:
        answer = client.post("/v1/route", json={"subject": "Invoice", "body": "I was charged twice. " * 40})
    decision = answer.json()
    assert answer.status_code == 200
    assert {candidate["department"] for candidate in decision["candidates"]} <= labels
    assert "priority" in decision["fields"]
    assert "truncated" in decision["flags"]


def test_the_bundle_records_its_provenance(place: Place) -> None:
    """Data digest, recipe, package versions, both fields with all their labels, and the recipe's token limit."""
    manifest = open_bundle(place.bundle).manifest
    assert [field.name for field in manifest.fields] == ["department", "priority"]
    assert len(manifest.fields[0].labels) == len({ticket.department for ticket in make_tickets(150, 3)})
    assert manifest.encoder.max_tokens == 32
    rows = json.loads((place.bundle / "metrics.json").read_text())["rows"]
    for graph in manifest.models:
        assert graph.reference is not None
        assert graph.reference.rows == sum(graph.reference.scripts.values()) == rows["validation"] + rows["calibration"]
        assert graph.reference.familiarity is not None
    assert manifest.provenance["recipe"]["batch_size"] == 16
    assert re.fullmatch(r"[0-9a-f]{64}", manifest.provenance["base"]["sha256"])
    assert manifest.provenance["data"]["file"] == "tickets.csv"
    assert re.fullmatch(r"[0-9a-f]{64}", manifest.provenance["data"]["sha256"])
    assert "onnxruntime" in manifest.provenance["packages"]


def test_the_store_has_only_the_bundle_its_pointer_and_its_history(place: Place) -> None:
    """No staging folder, no checkpoint and no hidden file is left."""
    assert sorted(os.listdir(place.store)) == sorted([place.bundle.name, "current", "promotions.jsonl"])
    graphs = {entry.file for entry in open_bundle(place.bundle).manifest.models}
    assert "model.onnx" in graphs
    others = {"MODEL_CARD.md", "golden.jsonl", "manifest.json", "metrics.json", "report.html", "tokenizer.json", NGRAMS}
    assert set(os.listdir(place.bundle)) == graphs | others


def test_the_same_inputs_give_the_same_version(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A second run, in another process with another hash seed, writes the identical bundle; --json is one object."""
    run = invoke(*place.arguments(tmp_path / "store"), "--field", "priority", "--json")
    summary = json.loads(run.out)
    assert (run.code, summary["current"]) == (0, True)
    assert Path(summary["bundle"]).name == place.bundle.name
    first = json.loads((place.bundle / "metrics.json").read_text())
    assert untimed(summary["metrics"]) == untimed(first)


def untimed(metrics: dict[str, Any]) -> dict[str, Any]:
    """The metrics without measured times."""
    variants = [{**each, "speedup": None} for each in metrics["variants"]]
    stages = [{**each, "minutes": 0} for each in metrics["stages"]]
    return {**metrics, "cost": None, "variants": variants, "stages": stages}


def split_table(place: Place, path: Path) -> None:
    """The sample tickets with a split column, priority for training rows only, and one unusual value."""
    import csv

    with place.data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    parts = ["train"] * 110 + ["validation"] * 20 + ["test"] * 20
    for row, part in zip(rows, parts, strict=True):
        row["split"] = part
        row["priority"] = row["priority"] if part == "train" else ""
    rows[115]["priority"] = "unheard-of"
    next(row for row in reversed(rows) if row["closed_at"])["department"] = "a new one"
    seen = {row["department"] for row in rows[:110]}
    assert {row["department"] for row in rows[110:130]} <= seen
    write_csv(path, [list(row.values()) for row in rows], list(rows[0]))


def test_a_second_bundle_is_not_promoted_by_training(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """The file's split is used, missing values are accepted, and the store's current bundle stays."""
    store = Path(shutil.copytree(place.store, tmp_path / "store", symlinks=True))
    split_table(place, tmp_path / "tickets.csv")
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f"promise.folds = 0\n{place.recipe.read_text()}"
    )  # the split is the same if the quick network is kept
    run = invoke(*place.arguments(store, data=tmp_path / "tickets.csv", recipe=recipe), "--field", "priority")
    assert run.code == 0, run.err
    made = next(path for path in store.iterdir() if path.is_dir() and path.name not in (place.bundle.name, "current"))
    assert (store / "current").resolve().name == place.bundle.name
    assert f"to serve it: python -m training promote --bundle {made}" in run.out
    metrics = json.loads((made / "metrics.json").read_text())
    removed = sum(count for reason, count in metrics["removed"].items() if reason != "conflicting")
    counts = metrics["rows"]
    assert sum(counts.values()) + removed == 150
    test = [row for row in closed_rows(tmp_path / "tickets.csv") if row.split == "test"]
    assert metrics["rows"]["test"] == sum(bool(prepare(row.ticket).text) for row in test)
    assert metrics["encoder"]["department"]["test"]["rows"] == metrics["rows"]["test"]
    assert metrics["baseline"]["department"]["test"]["rows"] == metrics["rows"]["test"]
    assert "(not in the bundle)" in json.dumps(metrics["encoder"]["department"]["test"]["confused"])
    assert set(metrics["encoder"]["priority"]) == {"calibration"}
    assert metrics["baseline"]["priority"] == {}  # measured on the encoder's rows, of which there are none here
    assert "department" in (made / "report.html").read_text()
    texts = {row.body for row in load_rows(open_bundle(made))}
    assert texts <= validation_bodies(tmp_path / "tickets.csv")


def closed_rows(path: Path) -> tuple[Example, ...]:
    """The rows that are closed and checked by a person."""
    return read_tickets(TicketFile(path), ("department",)).rows


def validation_bodies(path: Path) -> set[str]:
    from training.data.formats.registry import open_table

    return {record.cells["body"] for record in open_table(path).records if record.cells["split"] == "validation"}


def with_metrics(place: Place, store: Path, **metrics: object) -> Path:
    """The trained bundle with other metrics and another id (which metrics alone don't change), in this store."""
    from tests.support.tiny import rewritten

    content = json.dumps(metrics)
    return rewritten(place.bundle, store, base_model=content, files={"metrics.json": content.encode()})


def test_promote_moves_the_pointer(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A bundle that beats its baseline becomes current; one that does not leaves the pointer unchanged."""
    good, bad = (with_metrics(place, tmp_path, beats_baseline=beats) for beats in (True, False))
    run = invoke("promote", "--bundle", good, "--store", tmp_path, "--allow-empty")
    assert (run.code, run.err) == (0, "")
    assert (tmp_path / "current").resolve() == good
    assert "does not beat its TF-IDF baseline" in refused(invoke("promote", "--bundle", bad, "--store", tmp_path))
    assert (tmp_path / "current").resolve() == good


def test_a_bundle_that_routes_nothing_needs_allow_empty(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """The first line says what would change that; neither `train` nor `promote` makes it current without
    `--allow-empty`."""
    store = tmp_path / "store"
    arguments = [argument for argument in place.arguments(store) if argument != "--allow-empty"]
    run = invoke(*arguments, "--quick")
    assert run.code == 0, run.err
    first = run.out.splitlines()[0]
    assert first.startswith("routes nothing: ")
    assert "do not carry a promise of 0.95 with a confidence of 0.95" in first
    assert not (store / "current").exists()
    made = next(store.iterdir())
    assert f"promote --bundle {made} --store {store} --allow-empty" in run.out
    assert "do not carry a promise of 0.95" in (made / "report.html").read_text()
    assert "automation: routes nothing" in refused(invoke("promote", "--bundle", made, "--store", store))
    assert not (store / "current").exists()


def test_promote_refuses_foreign_damaged_and_incomplete_bundles(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A bundle of another store, without metrics, with invalid metrics, damaged or missing: one line, no pointer."""
    store = tmp_path / "store"
    strange = with_metrics(place, store)
    bare = plain_bundle(store)
    damaged = plain_bundle(store, draft(base_model="other"))
    (damaged / "model.onnx").write_bytes(b"x")
    said = {
        path: refused(invoke("promote", "--bundle", path, "--store", store))
        for path in (place.bundle, bare, strange, damaged, store / "missing", place.base)
    }
    assert "is not in the store" in said[place.bundle]
    assert "has no metrics.json" in said[bare]
    assert "not of this release" in said[strange]
    assert "model.onnx" in said[damaged]
    assert "no bundle there" in said[store / "missing"]
    assert "not a bundle" in said[place.base]
    assert not (store / "current").exists()


def test_evaluate_is_quiet_in_a_pipe(place: Place, tmp_path: Path) -> None:
    """Figures of both fields on standard output, the report at the given path, nothing on standard error."""
    run = command(
        "evaluate", "--bundle", place.store / "current", "--data", place.data, "--report", tmp_path / "report.html"
    )
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith(f"bundle {place.bundle.name} on {len(closed_rows(place.data))} rows\n")
    assert "department: accuracy" in run.out
    assert "priority: accuracy" in run.out
    page = (tmp_path / "report.html").read_text()
    assert place.bundle.name in page


def test_evaluate_counts_unknown_and_empty_rows(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """An unknown department counts as wrong; an empty row and a field that the file lacks are left out."""
    known = open_bundle(place.bundle).manifest.fields[0].labels[0].name
    rows = [("please refund", known), ("please refund it", "unheard-of"), ("", known)]
    run = invoke("evaluate", "--bundle", place.bundle, "--data", write_csv(tmp_path / "t.csv", rows), "--json")
    found = json.loads(run.out)
    assert (run.code, run.err) == (0, "")
    assert (found["version"], found["rows"], found["empty"], found["unknown"]) == (place.bundle.name, 3, 1, 1)
    assert list(found["figures"]) == ["department"]
    assert found["figures"]["department"]["rows"] == 2
    assert found["figures"]["department"]["accuracy"] <= 0.5


def test_evaluate_refuses_a_bundle_that_it_cannot_run(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A damaged bundle, a folder that is no bundle, or a graph that onnxruntime cannot load: one line."""
    from models.bundle.bundle import write_bundle

    damaged = Path(shutil.copytree(place.bundle, tmp_path / "damaged"))
    with (damaged / "golden.jsonl").open("ab") as file:
        file.write(b"\n")
    garbage = write_bundle(tmp_path / "store", draft(), files(model_onnx=b"\x08"))
    for path, why in ((damaged, "golden.jsonl"), (place.base, "not a bundle"), (garbage, "graph")):
        assert why in refused(invoke("evaluate", "--bundle", path, "--data", place.data))


@pytest.mark.parametrize("report", ["missing/report.html", "."])
def test_evaluate_refuses_a_report_path_that_it_cannot_write(
    place: Place, invoke: Invoke, tmp_path: Path, report: str
) -> None:
    """A path in a missing folder, or that of a folder, is refused with one line."""
    data = write_csv(tmp_path / "t.csv", [("please refund", "billing")])
    run = invoke("evaluate", "--bundle", place.bundle, "--data", data, "--report", tmp_path / report)
    assert "cannot write the report" in refused(run)


def test_check_reports_whether_the_data_suffice(place: Place, tmp_path: Path) -> None:
    """Exit 0 with the counts, or 2 with each fault by its line."""
    good = command("check", "--data", place.data, "--json")
    found = json.loads(good.out)
    assert (found["rows"], found["faults"], good.err) == (150, [], "")
    assert good.code == (0 if found["ready"] else 2)
    bad = command(
        "check", "--data", write_csv(tmp_path / "t.csv", [("a", "x"), (CANARY, "z" * 101), (CANARY, "z" * 101)])
    )
    assert bad.code == 2
    assert bad.err == ""
    assert "line 3, column 'department': a label has over 100 characters" in bad.out
    assert "line 4, column 'department': a label has over 100 characters" in bad.out
    assert "not ready: rows that break the contract: 2" in bad.out
    assert CANARY not in bad.out


def test_evaluating_on_training_data_gives_a_warning(place: Place, invoke: Invoke) -> None:
    """Such figures are too good, and monthly retraining makes it easy to take the wrong file."""
    learned = invoke("evaluate", "--bundle", place.bundle, "--data", place.data)
    assert (learned.code, "learned from this very file" in learned.out) == (0, True)
