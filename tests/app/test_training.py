"""`python -m training`: the real command line from closed tickets to a bundle that replays, and its every refusal."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundle import open_bundle
from models.golden import GoldenRow, load_rows, replay
from tests.support.plain import draft, files, plain_bundle
from tests.support.process import ROOT, serving
from tests.support.rows import CANARY, write_csv
from training.sample import make_tickets, write_tickets

RECIPE = """
epochs = 1
batch_size = 16
max_tokens = 32
arithmetic = "fp32"
[split]
validation = 0.15
calibration = 0.15
"""
HEAVY = ("torch", "transformers", "sklearn", "onnxruntime", "optimum", "matplotlib", "scipy")


@dataclass(frozen=True)
class Run:
    """How a command ended."""

    code: int
    out: str
    err: str


Invoke = Callable[..., Run]


def command(*arguments: object, env: Mapping[str, str] | None = None) -> Run:
    """`python -m training …` as a process of its own, its output in pipes."""
    line = [sys.executable, "-m", "training", *map(str, arguments)]
    run = subprocess.run(line, cwd=ROOT, env={**os.environ, **(env or {})}, capture_output=True, text=True, timeout=120)
    return Run(run.returncode, run.stdout, run.stderr)


@pytest.fixture
def invoke(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Invoke]:
    """The same `main`, in this process: torch is loaded once. Leaves signals and torch as they were."""
    import torch

    from training.cli import main

    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def run(*arguments: object) -> Run:
        monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
        capfd.readouterr()
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capfd.readouterr()
        return Run(int(caught.value.code or 0), out, err)

    yield run
    torch.use_deterministic_algorithms(False)
    for number, handler in handlers.items():
        signal.signal(number, handler)


@dataclass(frozen=True)
class Place:
    """Where the tests train: a base model, sample tickets, a recipe, and what the first training gave."""

    base: Path
    data: Path
    recipe: Path
    store: Path
    run: Run

    @property
    def bundle(self) -> Path:
        return (self.store / "current").resolve()

    def arguments(self, store: Path, **changes: object) -> list[object]:
        options = {"data": self.data, "base": self.base, "recipe": self.recipe, "out": store, **changes}
        return ["train", *(part for name, value in options.items() for part in (f"--{name}", value))]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """One training by the real command line, reused by most tests; its store stays as the first training left it."""
    from tests.support.tiny import tiny_roberta

    folder = tmp_path_factory.mktemp("training")
    tiny_roberta(folder / "base")
    write_tickets(make_tickets(150, 3), folder / "tickets.csv")
    (folder / "recipe.toml").write_text(RECIPE)
    made = Place(folder / "base", folder / "tickets.csv", folder / "recipe.toml", folder / "store", Run(0, "", ""))
    run = command(*made.arguments(made.store), "--field", "priority", env={"PYTHONHASHSEED": "1"})
    assert run.code == 0, run.err
    return Place(made.base, made.data, made.recipe, made.store, run)


def refused(run: Run, *, store: Path | None = None) -> str:
    """Check that a command was refused the way every command is, and give its one line."""
    assert run.code == 2, (run.out, run.err)
    assert run.out == ""
    lines = run.err.splitlines()
    assert len(lines) == 1, run.err
    assert lines[0].startswith("error: ")
    assert "Traceback" not in run.err
    assert CANARY not in run.err
    if store is not None:
        assert not store.exists() or os.listdir(store) == []
    return lines[0]


def test_a_first_training_is_quiet_in_a_pipe_and_says_what_it_made(place: Place) -> None:
    """Figures of both fields, the baseline, the bundle and that it is current; nothing on standard error."""
    assert place.run.err == ""
    assert place.run.out.startswith("department on ")
    assert "priority on " in place.run.out
    assert "baseline (TF-IDF)" in place.run.out
    assert f"bundle: {place.bundle} (now current)" in place.run.out
    assert "\x1b" not in place.run.out


def test_the_trained_bundle_replays_with_onnxruntime(place: Place) -> None:
    """The whole way: what torch answered at export is what onnxruntime answers from the opened bundle."""
    from training.export import OnnxModel

    bundle = open_bundle(place.store / "current")
    session = OnnxModel.load(bundle.read("model.onnx"), bundle.encoder).session

    def infer(batch: Any) -> Any:
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        return np.asarray(session.run(["logits"], inputs)[0])

    found = replay(bundle, infer, bundle.model("fp32").tolerance)
    assert found.rows == len(load_rows(bundle)) > 5


def test_the_service_routes_with_the_trained_bundle(place: Place) -> None:
    """A RoBERTa with byte-level BPE goes the whole way: trained, exported by optimum, served over HTTP."""
    labels = {ticket.department for ticket in make_tickets(150, 3)}
    with serving(place.bundle) as service, service.client() as client:
        answer = client.post("/v1/route", json={"subject": "Invoice", "body": "I was charged twice. " * 40})
    decision = answer.json()
    assert answer.status_code == 200
    assert {candidate["department"] for candidate in decision["candidates"]} <= labels
    assert "priority" in decision["fields"]
    assert "truncated" in decision["flags"]


def test_the_bundle_says_where_it_comes_from(place: Place) -> None:
    """Data digest, recipe, package versions, both fields with all their labels, and the recipe's token limit."""
    manifest = open_bundle(place.bundle).manifest
    assert [field.name for field in manifest.fields] == ["department", "priority"]
    assert len(manifest.fields[0].labels) == len({ticket.department for ticket in make_tickets(150, 3)})
    assert manifest.encoder.max_tokens == 32
    assert manifest.provenance["recipe"]["batch_size"] == 16
    assert manifest.provenance["data"]["file"] == "tickets.csv"
    assert re.fullmatch(r"[0-9a-f]{64}", manifest.provenance["data"]["sha256"])
    assert "onnxruntime" in manifest.provenance["packages"]


def test_the_store_holds_the_bundle_and_the_pointer_only(place: Place) -> None:
    """No staging folder, no checkpoint, no hidden file is left."""
    assert sorted(os.listdir(place.store)) == sorted([place.bundle.name, "current"])
    assert sorted(os.listdir(place.bundle)) == sorted(
        [
            "MODEL_CARD.md",
            "golden.jsonl",
            "manifest.json",
            "metrics.json",
            "model.onnx",
            "report.html",
            "tokenizer.json",
        ]
    )


def test_the_same_inputs_give_the_same_version(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A second run, in another process with another hash seed, writes the very same bundle; --json is one object."""
    run = invoke(*place.arguments(tmp_path / "store"), "--field", "priority", "--json")
    summary = json.loads(run.out)
    assert (run.code, summary["current"]) == (0, True)
    assert Path(summary["bundle"]).name == place.bundle.name
    assert summary["metrics"] == json.loads((place.bundle / "metrics.json").read_text())


def split_table(place: Place, path: Path) -> dict[str, int]:
    """The sample tickets under a split of their own, priority known to training rows only, but one odd value."""
    import csv

    with place.data.open(newline="") as file:
        rows = list(csv.DictReader(file))
    parts = ["train"] * 110 + ["validation"] * 20 + ["test"] * 20
    for row, part in zip(rows, parts, strict=True):
        row["split"] = part
        row["priority"] = row["priority"] if part == "train" else ""
    rows[115]["priority"] = "unheard-of"
    rows[149]["department"] = "a new one"
    seen = {row["department"] for row in rows[:110]}
    assert {row["department"] for row in rows[110:130]} <= seen
    write_csv(path, [list(row.values()) for row in rows], list(rows[0]))
    return {"validation": 20, "test": 20}


def test_a_second_bundle_waits_to_be_promoted(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """The file's split is kept, missing values do not hinder, and the store's current bundle stays what it was."""
    store = Path(shutil.copytree(place.store, tmp_path / "store", symlinks=True))
    wanted = split_table(place, tmp_path / "tickets.csv")
    run = invoke(*place.arguments(store, data=tmp_path / "tickets.csv"), "--field", "priority")
    assert run.code == 0, run.err
    made = next(path for path in store.iterdir() if path.name not in (place.bundle.name, "current"))
    assert (store / "current").resolve().name == place.bundle.name
    assert f"to serve it: python -m training promote --bundle {made}" in run.out
    metrics = json.loads((made / "metrics.json").read_text())
    removed = metrics["removed"]
    assert sum(metrics["rows"].values()) + removed["duplicates"] + removed["empty"] == 150
    assert metrics["rows"]["test"] == wanted["test"] - removed_of(tmp_path / "tickets.csv", "test")
    assert metrics["encoder"]["department"]["test"]["rows"] == metrics["rows"]["test"]
    assert metrics["baseline"]["department"]["test"]["rows"] == metrics["rows"]["test"]
    assert "(not in the bundle)" in json.dumps(metrics["encoder"]["department"]["test"]["confused"])
    assert set(metrics["encoder"]["priority"]) == {"calibration"}
    assert metrics["baseline"]["priority"] == {}  # measured on the same rows as the encoder: here on none
    assert "department" in (made / "report.html").read_text()
    texts = {row.body for row in load_rows(open_bundle(made))}
    assert texts <= validation_bodies(tmp_path / "tickets.csv")


def removed_of(path: Path, part: str) -> int:
    """Rows of a part that have no text left: the only test rows that are ever left out."""
    from models.text import prepare
    from training.data.contract import check_table
    from training.data.table import read_table

    rows = check_table(read_table(path), ("department",), {}).rows
    return sum(row.split == part and not prepare(row.ticket).text for row in rows)


def validation_bodies(path: Path) -> set[str]:
    from training.data.table import read_table

    return {record.cells["body"] for record in read_table(path).records if record.cells["split"] == "validation"}


def with_metrics(place: Place, store: Path, **metrics: object) -> Path:
    """The trained bundle under other metrics, in this store."""
    from tests.support.tiny import rewritten

    return rewritten(place.bundle, store, files={"metrics.json": json.dumps(metrics).encode()})


def test_promote_moves_the_pointer(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A bundle that beats its baseline becomes current; one that does not, and the old pointer, stay."""
    good, bad = (with_metrics(place, tmp_path, beats_baseline=beats, n=n) for n, beats in enumerate([True, False]))
    run = invoke("promote", "--bundle", good, "--store", tmp_path)
    assert (run.code, run.err) == (0, "")
    assert (tmp_path / "current").resolve() == good
    assert "does not beat its TF-IDF baseline" in refused(invoke("promote", "--bundle", bad, "--store", tmp_path))
    assert (tmp_path / "current").resolve() == good


def test_promote_refuses_what_it_cannot_vouch_for(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A bundle of another store, without metrics, with strange ones, damaged or missing: one line, no pointer."""
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
    """Figures of both fields on standard output, the report where asked for, nothing on standard error."""
    run = command(
        "evaluate", "--bundle", place.store / "current", "--data", place.data, "--report", tmp_path / "report.html"
    )
    assert (run.code, run.err) == (0, "")
    assert run.out.startswith(f"bundle {place.bundle.name} on 150 rows\n")
    assert "department: accuracy" in run.out
    assert "priority: accuracy" in run.out
    page = (tmp_path / "report.html").read_text()
    assert place.bundle.name in page


def test_evaluate_counts_unknown_and_empty_rows(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A department the bundle does not know counts as wrong, an empty row is left out, a field not in the file too."""
    known = open_bundle(place.bundle).manifest.fields[0].labels[0].name
    rows = [("please refund", known), ("please refund it", "unheard-of"), ("", known)]
    run = invoke("evaluate", "--bundle", place.bundle, "--data", write_csv(tmp_path / "t.csv", rows), "--json")
    found = json.loads(run.out)
    assert (run.code, run.err) == (0, "")
    assert (found["version"], found["rows"], found["empty"], found["unknown"]) == (place.bundle.name, 3, 1, 1)
    assert list(found["figures"]) == ["department"]
    assert found["figures"]["department"]["rows"] == 2
    assert found["figures"]["department"]["accuracy"] <= 0.5


def test_evaluate_refuses_a_bundle_it_cannot_run(place: Place, invoke: Invoke, tmp_path: Path) -> None:
    """A damaged bundle, a folder that is none, or a graph onnxruntime cannot load: one line."""
    from models.bundle import write_bundle

    damaged = Path(shutil.copytree(place.bundle, tmp_path / "damaged"))
    with (damaged / "golden.jsonl").open("ab") as file:
        file.write(b"\n")
    garbage = write_bundle(tmp_path / "store", draft(), files(model_onnx=b"\x08"))
    for path, why in ((damaged, "golden.jsonl"), (place.base, "not a bundle"), (garbage, "graph")):
        assert why in refused(invoke("evaluate", "--bundle", path, "--data", place.data))


@pytest.mark.parametrize("report", ["missing/report.html", "."])
def test_evaluate_refuses_a_report_it_cannot_write(place: Place, invoke: Invoke, tmp_path: Path, report: str) -> None:
    """A report into a folder that is not there, or over one, is refused with one line."""
    data = write_csv(tmp_path / "t.csv", [("please refund", "billing")])
    run = invoke("evaluate", "--bundle", place.bundle, "--data", data, "--report", tmp_path / report)
    assert "cannot write the report" in refused(run)


def test_check_says_whether_it_is_enough(place: Place, tmp_path: Path) -> None:
    """A file held against the contract: exit 0 with the counts, or 2 with each fault by its line."""
    good = command("check", "--data", place.data, "--json")
    found = json.loads(good.out)
    assert (found["rows"], found["faults"], good.err) == (150, [], "")
    assert good.code == (0 if found["ready"] else 2)
    bad = command("check", "--data", write_csv(tmp_path / "t.csv", [(CANARY, "x"), (CANARY, ""), (CANARY, "")]))
    assert bad.code == 2
    assert bad.err == ""
    assert "line 3: department is empty" in bad.out
    assert "line 4: department is empty" in bad.out
    assert "not ready: rows that break the contract: 2" in bad.out
    assert CANARY not in bad.out


Put = Callable[[Path], Path]


def csv_of(*lines: str, encoding: str = "utf-8") -> Put:
    def put(folder: Path) -> Path:
        (folder / "t.csv").write_bytes("\n".join(lines).encode(encoding))
        return folder / "t.csv"

    return put


def suffixed(suffix: str, content: bytes) -> Put:
    def put(folder: Path) -> Path:
        (folder / f"t{suffix}").write_bytes(content)
        return folder / f"t{suffix}"

    return put


def parquet_folder(folder: Path) -> Path:
    (folder / "t.parquet").mkdir()
    pq.write_table(pa.table({"subject": [CANARY], "department": ["x"]}), folder / "t.parquet" / "part-0.parquet")
    return folder / "t.parquet"


def fifty_megabytes(folder: Path) -> Path:
    return write_csv(folder / "t.csv", [("fine", "x"), (CANARY + "x" * 50_000_000, "y")])


BAD_TABLES: dict[str, tuple[Put, Sequence[str], str]] = {
    "missing file": (lambda folder: folder / "none.csv", (), "cannot be read"),
    "unknown suffix": (suffixed(".xlsx", b"x"), (), "unknown kind of file"),
    "folder": (parquet_folder, (), "cannot be read"),
    "no text column": (csv_of("department", CANARY), (), "no column with text"),
    "no department column": (csv_of("subject", CANARY), (), "no column department or label"),
    "no such field": (csv_of("subject,department", f"{CANARY},x"), ("--field", "priority"), "no column priority"),
    "odd field": (csv_of("subject,department", f"{CANARY},x"), ("--field", "My Field"), "small letters"),
    "mapped column": (csv_of("subject,department", f"{CANARY},x"), ("--column", "department=desk"), "'desk'"),
    "mapped role": (csv_of("subject,department", f"{CANARY},x"), ("--column", "team=subject"), "'team'"),
    "mapping": (csv_of("subject,department", f"{CANARY},x"), ("--column", "department"), "ROLE=COLUMN"),
    "empty label": (csv_of("subject,department", f"{CANARY},x", f"{CANARY},"), (), "line 3: department is empty"),
    "one label": (csv_of("subject,department", *(f"{CANARY} {n},x" for n in range(40))), (), "empty texts: 1; routing"),
    "one value": (
        csv_of("subject,department,mood", *(f"{CANARY} {n},d{n % 2},fine" for n in range(80))),
        ("--field", "mood"),
        "field mood has 1 value",
    ),
    "no text": (csv_of("subject,department", *(f" ,d{n % 2}" for n in range(40))), (), "40 empty texts: 0; routing"),
    "too few": (csv_of("subject,department", f"{CANARY},x", "b,y"), (), "too few rows"),
    "latin-1": (csv_of("subject,department", f"{CANARY} ü,x", encoding="latin-1"), (), "line 2: not UTF-8"),
    "utf-16": (csv_of("subject,department", f"{CANARY},x", encoding="utf-16"), (), "is UTF-16"),
    "huge cell": (fifty_megabytes, (), "line 3: a cell of over a million characters"),
    "open quote": (csv_of("subject,department", f'"{CANARY},x', "b,y"), (), "line 2: "),
    "too many cells": (csv_of("subject,department", f"{CANARY},x,{CANARY}"), (), "line 2: 3 cells"),
    "broken json": (suffixed(".jsonl", f'{{"subject": "{CANARY}'.encode()), (), "line 1: not valid JSON"),
    "nested json": (suffixed(".jsonl", f'{{"subject": ["{CANARY}"]}}'.encode()), (), "no plain value"),
    "no parquet": (suffixed(".parquet", CANARY.encode()), (), "not a readable Parquet file"),
    "empty file": (suffixed(".csv", b""), (), "no column names"),
    "headless": (csv_of(*(f"{CANARY[:9]}\x1b[31m {n},x" for n in range(3))), (), "no column with text"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_a_table_that_cannot_be_learned_from_is_one_line(
    place: Place, invoke: Invoke, tmp_path: Path, name: str
) -> None:
    """Exit 2, one line that says what and where, nothing of a cell's content, and nothing in --out."""
    put, options, why = BAD_TABLES[name]
    run = invoke(*place.arguments(tmp_path / "store", data=put(tmp_path)), *options)
    line = refused(run, store=tmp_path / "store")
    assert why in line
    assert line.isprintable()


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"recipe": "unknown.toml"}, "epoch: Extra inputs are not permitted"),
        ({"recipe": "none.toml"}, "cannot be read as a recipe"),
        ({"base": "pickled"}, "pickled weights are never loaded"),
        ({"base": "broken"}, "not an encoder"),
        ({"base": "./none"}, "no such folder"),
        ({"out": "tickets.csv/store"}, "cannot be written"),
        ({"out": "tickets.csv"}, "cannot be written"),
        ({"out": "dangling/store"}, "cannot be written"),
    ],
)
def test_an_option_that_cannot_be_had_is_one_line(
    place: Place, invoke: Invoke, tmp_path: Path, options: dict[str, str], why: str
) -> None:
    """A recipe, base model or store that is not sound is refused before any training."""
    (tmp_path / "unknown.toml").write_text("epoch = 3")
    (tmp_path / "tickets.csv").write_text("mine")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    for name in ("pickled", "broken"):
        shutil.copytree(place.base, tmp_path / name)
    (tmp_path / "pickled" / "model.safetensors").rename(tmp_path / "pickled" / "pytorch_model.bin")
    (tmp_path / "broken" / "model.safetensors").write_bytes(b"version https://git-lfs.github.com/spec/v1\n")
    before = sorted(os.listdir(tmp_path))
    changed = {name: value if value.startswith("./") else tmp_path / value for name, value in options.items()}
    run = invoke(*place.arguments(tmp_path / "store", **{"out": tmp_path / "store", **changed}))
    assert why in refused(run)
    assert sorted(os.listdir(tmp_path)) == before
    assert (tmp_path / "tickets.csv").read_text() == "mine"


def test_a_hub_that_does_not_answer_is_one_line(
    place: Place, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where no model hub can be reached, the embedded model is named as the way out."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # what HF_HUB_OFFLINE=1 sets at import
    run = invoke(*place.arguments(tmp_path / "store", base="FacebookAI/roberta-base-of-nobody"))
    assert "--base embedded" in refused(run, store=tmp_path / "store")


def test_an_embedded_model_of_other_weights_is_one_line(
    place: Place, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded package with a digest that is not the published one is refused."""
    import training.base

    monkeypatch.setattr(training.base, "_EMBEDDED_SHA256", "0" * 64)
    run = invoke(*place.arguments(tmp_path / "store", base="embedded"))
    assert "not the published weights" in refused(run, store=tmp_path / "store")


@pytest.mark.parametrize("step", ["export_onnx", "check_parity", "write_bundle", "choose_golden"])
def test_a_late_failure_leaves_nothing(
    place: Place, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """When export, parity, the choice of golden rows or the writing fails after training, --out stays empty."""
    import training.pipeline
    from models.errors import TicketRouterError

    def failing(*_: object) -> None:
        raise TicketRouterError("cannot go on\nin two lines")

    row = GoldenRow(subject="", body="", content_type="text/plain", ids=(0,), logits=(0.0,), outcome="review", label="")
    # Neither the training itself nor what its figures allow is what fails here.
    stubs = {"finetune": lambda *_: [], "choose_golden": lambda *_: [row], step: failing}
    for name, stub in stubs.items():
        monkeypatch.setattr(training.pipeline, name, stub)
    run = invoke(*place.arguments(tmp_path / "store"))
    assert refused(run, store=tmp_path / "store") == "error: cannot go on in two lines"


def test_a_terminated_training_leaves_nothing(place: Place, tmp_path: Path) -> None:
    """SIGTERM in the middle of training: exit 143 with one line, no file in --out, no temporary folder."""
    (tmp_path / "long.toml").write_text(RECIPE.replace("epochs = 1", "epochs = 200\npatience = 200"))
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    line = [sys.executable, "-m", "training", *map(str, place.arguments(tmp_path / "store"))]
    line[line.index(str(place.recipe))] = str(tmp_path / "long.toml")
    process = subprocess.Popen(
        line, cwd=ROOT, env={**os.environ, "TMPDIR": str(scratch)}, stdout=-1, stderr=-1, text=True
    )
    try:
        until(lambda: any(scratch.glob("ticket-router-*/checkpoints/checkpoint-*")) or process.poll() is not None)
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert (process.returncode, out) == (143, "")
    assert err.splitlines() == ["stopped; nothing is left half-written"]
    assert not (tmp_path / "store").exists()
    assert [path.name for path in scratch.iterdir() if path.name.startswith("ticket-router-")] == []


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_ctrl_c_is_one_line(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A person who presses Ctrl-C gets one line and exit 130, no traceback and no file."""
    import training.sample

    monkeypatch.setattr(training.sample, "make_tickets", lambda *_: os.kill(os.getpid(), signal.SIGINT))
    run = invoke("sample", "--out", tmp_path / "t.csv")
    assert (run.code, run.out) == (130, "")
    assert run.err == "stopped; nothing is left half-written\n"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [["--help"], ["train", "--help"], ["evaluate", "--help"], ["check", "--data", "DATA"], ["train", "--x"]],
)
def test_quick_answers_import_nothing_heavy(place: Place, arguments: list[str]) -> None:
    """Help, usage errors and `check` answer at once: they load neither torch nor its friends."""
    given = [str(place.data) if part == "DATA" else part for part in arguments]
    code = (
        f"import sys; sys.argv = ['training', *{given!r}]; from training.cli import main\n"
        "try: main()\n"
        f"finally: print('loaded:', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout.endswith("loaded: []\n")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("arguments", [["train"], ["train", "--x"], ["sample"], ["nothing"], ["promote"]])
def test_a_wrong_usage_is_exit_two(invoke: Invoke, arguments: list[str]) -> None:
    """A missing or unknown option is one clear line."""
    refused(invoke(*arguments))
