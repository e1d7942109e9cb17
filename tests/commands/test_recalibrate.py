"""`recalibrate`: new thresholds and promises for a trained bundle, from later tickets."""

import csv
import json
import os
import shutil
from pathlib import Path

import pytest

from models.bundle.bundle import NGRAMS, open_bundle
from models.bundle.golden import load_rows, replay
from tests.support.rows import write_csv
from tests.support.training import Invoke, Place, Run, refused
from training.evaluation.bundle_answers import load_graph
from training.sample import make_tickets, write_tickets

ROWS = 300


@pytest.fixture(scope="session")
def later(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tickets of the same company that the bundle was not trained on."""
    path = tmp_path_factory.mktemp("later") / "later.csv"
    write_tickets(make_tickets(ROWS, 11), path)
    return path


def recalibrated(place: Place, invoke: Invoke, later: Path, *options: object) -> Run:
    return invoke("recalibrate", "--bundle", place.bundle, "--data", later, *options)


def test_a_recalibrated_bundle_has_the_same_weights_and_new_thresholds(
    place: Place, invoke: Invoke, later: Path, tmp_path: Path
) -> None:
    """A new version beside the old one, whose graphs all replay; it does not become current."""
    store = tmp_path / "store"
    run = recalibrated(place, invoke, later, "--precision", ".6", "--out", store)
    assert run.code == 0, run.err
    made = next(path for path in store.iterdir())
    assert [path.name for path in store.iterdir()] == [made.name]
    assert f"bundle: {made} (of {place.bundle.name}; not current)" in run.out
    old, new = open_bundle(place.bundle), open_bundle(made)
    assert new.version != old.version
    assert all(old.manifest.files[name] == new.manifest.files[name] for name in ("model.onnx", NGRAMS))
    assert {field.promise.route_precision for field in new.manifest.fields} == {0.6}
    assert new.manifest.fields[0].promise.achieved_coverage
    before, after = (bundle.fp32.entry.reference for bundle in (old, new))
    assert before is not None
    assert after is not None
    assert after != before
    assert after.rows == sum(after.labels["department"])
    assert new.manifest.provenance["data"] == old.manifest.provenance["data"]
    assert new.manifest.provenance["recalibration"]["of"] == old.version
    for graph in new.graphs:
        assert replay(new, graph, load_graph(new, graph).infer).rows == new.manifest.golden_rows
    assert {row.body for row in load_rows(new)} <= {row.body for row in load_rows(old)}
    assert f"Recalibration of bundle {old.version}" in (made / "report.html").read_text()
    metrics = json.loads((made / "metrics.json").read_text())
    assert metrics["rows"]["calibration"] > metrics["rows"]["validation"] > 60


def test_a_field_without_a_column_keeps_its_calibration(
    place: Place, invoke: Invoke, later: Path, tmp_path: Path
) -> None:
    with later.open(newline="") as file:
        rows = list(csv.DictReader(file))
    data = write_csv(tmp_path / "t.csv", [(row["body"], row["department"]) for row in rows], ("body", "department"))
    run = recalibrated(place, invoke, data, "--precision", ".6", "--out", tmp_path / "store")
    assert run.code == 0, run.err
    assert "priority: not in the file, calibrated as before" in run.out
    new = open_bundle(next((tmp_path / "store").iterdir()))
    assert new.manifest.fields[1] == open_bundle(place.bundle).manifest.fields[1]


def test_unsuitable_calibration_data_is_refused(place: Place, invoke: Invoke, later: Path, tmp_path: Path) -> None:
    """Each with one line and the figure that matters; nothing is written."""
    store = tmp_path / "store"
    label = open_bundle(place.bundle).manifest.fields[0].labels[0].name
    few = write_csv(tmp_path / "few.csv", [(f"question {word} about {word}", label) for word in range(30)])
    odd = write_csv(tmp_path / "odd.csv", [*((f"my ticket {n} of {n}", label) for n in range(90)), ("a b", "unheard")])

    def why(data: Path, *options: object) -> str:
        return refused(recalibrated(place, invoke, data, "--out", store, *options), store=store)

    assert "59 to test, all of them right: 59 rows are missing" in why(few)
    assert "rows are missing" in why(later, "--precision", ".9999")
    assert "1 rows have a department that the bundle lacks: unheard (1)" in why(odd)
    assert "no such field; it has department, priority" in why(later, "--field", "urgency")
    assert "no column priority" in why(few, "--field", "priority")
    assert "learned from this very file" in why(place.data)
    assert "above 0.5 and below 1" in why(later, "--precision", "1.2")
    assert "no column department" in why(write_csv(tmp_path / "p.csv", [("a", "high")], ("subject", "priority")))


def test_rows_with_unknown_labels_can_count_as_wrong(place: Place, invoke: Invoke, later: Path, tmp_path: Path) -> None:
    """Such mail will continue to arrive; counting it as wrong is an option, not an error."""
    with later.open(newline="") as file:
        rows = list(csv.DictReader(file))
    cells = [(row["body"], "unheard" if number % 2 else row["department"]) for number, row in enumerate(rows)]
    data = write_csv(tmp_path / "t.csv", cells, ("body", "department"))
    run = recalibrated(place, invoke, data, "--allow-unknown", "--out", tmp_path / "store", "--json")
    assert run.code == 0, run.err
    figures = json.loads(run.out)["metrics"]["encoder"]["department"]
    assert figures["calibration"]["accuracy"] <= 0.6


def test_a_recalibrated_bundle_can_be_promoted(place: Place, invoke: Invoke, later: Path, tmp_path: Path) -> None:
    """It is written without `--out` into the store of its original, and promoted there."""
    store = Path(shutil.copytree(place.store, tmp_path / "store", symlinks=True))
    run = invoke("recalibrate", "--bundle", store / "current", "--data", later, "--precision", ".6", "--json")
    made = Path(json.loads(run.out)["bundle"])
    assert made.parent == store.resolve()
    assert os.readlink(store / "current") == place.bundle.name
    promoted = invoke("promote", "--bundle", made, "--store", store, "--force", "--reason", "thresholds of today")
    assert promoted.code == 0, promoted.err
    assert os.readlink(store / "current") == made.name
