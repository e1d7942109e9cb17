"""`python -m training`: every refusal is one line, and nothing is left half-written."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from models.bundle.golden import GoldenRow
from tests.support.process import ROOT
from tests.support.rows import CANARY, write_csv
from tests.support.training import RECIPE, Invoke, Place, Run, refused

HEAVY = ("torch", "transformers", "sklearn", "onnxruntime", "optimum", "matplotlib", "scipy")


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
    "unknown kind": (suffixed(".csv", b"%PDF-1.7"), (), "unknown kind of file"),
    "no workbook": (suffixed(".xlsx", b"PK\x03\x04"), (), "a damaged or encrypted archive"),
    "folder": (parquet_folder, (), "cannot be read"),
    "no text column": (csv_of("department", CANARY), (), "no column with text"),
    "no department column": (csv_of("subject", CANARY), (), "no column department or label"),
    "no such field": (csv_of("subject,department", f"{CANARY},x"), ("--field", "priority"), "no column priority"),
    "odd field": (csv_of("subject,department", f"{CANARY},x"), ("--field", "My Field"), "small letters"),
    "mapped column": (csv_of("subject,department", f"{CANARY},x"), ("--column", "department=desk"), "'desk'"),
    "mapped role": (csv_of("subject,department", f"{CANARY},x"), ("--column", "team=subject"), "'team'"),
    "mapping": (csv_of("subject,department", f"{CANARY},x"), ("--column", "department"), "ROLE=COLUMN"),
    "no labels": (csv_of("subject,department", f"{CANARY},-", f"{CANARY},"), (), "2 are without a department"),
    "two departments": (
        csv_of("subject,team,category", *(f"{CANARY} {n},d{n % 2},c{n % 3}" for n in range(40))),
        (),
        "two columns could be the department: 'team' (d0, d1) and 'category' (c0, c1, c2)",
    ),
    "day or month": (
        csv_of("subject,department,created_at", *(f"{CANARY} {n},d{n % 2},1/2/26" for n in range(40))),
        (),
        "--date-format DD/MM/YYYY or --date-format MM/DD/YYYY",
    ),
    "broken row": (csv_of("subject,department", f"{CANARY},x", f"{CANARY},y,{CANARY}", "b,y"), (), "line 3: 3 cells"),
    "one label": (csv_of("subject,department", *(f"{CANARY} {n},x" for n in range(40))), (), "empty texts: 1; routing"),
    "one value": (
        csv_of("subject,department,mood", *(f"{CANARY} {n},d{n % 2},fine" for n in range(80))),
        ("--field", "mood"),
        "field mood has 1 value",
    ),
    "no text": (csv_of("subject,department", *(f" ,d{n % 2}" for n in range(40))), (), "40 empty texts: 0; routing"),
    "too few": (csv_of("subject,department", f"{CANARY},x", "b,y"), (), "2 of departments with too few: 0;"),
    "huge cell": (fifty_megabytes, (), "line 3: a cell of over a million characters"),
    "open quote": (csv_of("subject,department", f'"{CANARY},x', "b,y"), (), "line 2: "),
    "too many cells": (csv_of("subject,department", f"{CANARY},x,{CANARY}"), (), "line 2: 3 cells"),
    "broken json": (suffixed(".jsonl", f'{{"subject": "{CANARY}'.encode()), (), "line 1: not valid JSON"),
    "no parquet": (suffixed(".parquet", CANARY.encode()), (), "not a readable Parquet file"),
    "empty file": (suffixed(".csv", b""), (), "the file is empty"),
    "headless": (csv_of(*(f"{CANARY[:9]}\x1b[31m {n},x" for n in range(3))), (), "no column with text"),
}


@pytest.mark.parametrize("name", BAD_TABLES)
def test_an_unusable_table_is_refused_with_one_line(place: Place, invoke: Invoke, tmp_path: Path, name: str) -> None:
    """Exit 2, one line that names the fault and its place, without content of a cell, and nothing in --out."""
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
def test_an_invalid_option_is_refused_with_one_line(
    place: Place, invoke: Invoke, tmp_path: Path, options: dict[str, str], why: str
) -> None:
    """An unusable recipe, base model or store is refused before training."""
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
    assert why in refused(run, store=tmp_path / "store" if "out" not in options else None)
    assert sorted({*os.listdir(tmp_path)} - {"store"}) == before  # refused after its run began, so an empty store stays
    assert (tmp_path / "tickets.csv").read_text() == "mine"


def test_an_unreachable_model_hub_is_reported_with_one_line(
    place: Place, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names the embedded model as an alternative."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)  # HF_HUB_OFFLINE=1 sets this at import
    run = invoke(*place.arguments(tmp_path / "store", base="FacebookAI/roberta-base-of-nobody"))
    assert "--base embedded" in refused(run, store=tmp_path / "store")


def test_an_embedded_model_with_other_weights_is_refused(
    place: Place, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The embedded package's digest is not the published one: one line."""
    import training.learn.base

    monkeypatch.setattr(training.learn.base, "_EMBEDDED_SHA256", "0" * 64)
    run = invoke(*place.arguments(tmp_path / "store", base="embedded"))
    assert "not the published weights" in refused(run, store=tmp_path / "store")


@pytest.mark.parametrize("step", ["export_onnx", "check_parity", "write_bundle", "choose_golden"])
def test_a_late_failure_leaves_out_empty(
    place: Place, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Export, parity, the choice of golden rows or the writing fails after training."""
    import training.commands.train
    import training.run.write_bundle
    from models.errors import TicketRouterError

    def failing(*_: object) -> None:
        raise TicketRouterError("cannot go on\nin two lines")

    row = GoldenRow(
        subject="",
        body="",
        content_type="text/plain",
        ids=(0,),
        logits=(0.0,),
        pooled=(0.0,),
        outcome="review",
        label="",
    )
    # neither the training itself nor its figures should fail here
    monkeypatch.setattr(training.commands.train, "finetune", lambda *_, **__: ())
    monkeypatch.setattr(training.run.write_bundle, "choose_golden", lambda *_: [row])
    monkeypatch.setattr(training.run.write_bundle, step, failing)
    run = invoke(*place.arguments(tmp_path / "store"))
    assert refused(run, store=tmp_path / "store") == "error: cannot go on in two lines"


def test_a_terminated_training_resumes(place: Place, tmp_path: Path) -> None:
    """SIGTERM during training: exit 143, one line, only a checkpoint left; the same command completes the bundle."""
    (tmp_path / "long.toml").write_text(RECIPE.replace("epochs = 1", "epochs = 12\npatience = 12"))
    scratch, store = tmp_path / "scratch", tmp_path / "store"
    scratch.mkdir()
    line = [sys.executable, "-m", "training", *map(str, place.arguments(store, recipe=tmp_path / "long.toml"))]
    environment = {**os.environ, "TMPDIR": str(scratch)}
    with subprocess.Popen(line, cwd=ROOT, env=environment, stdout=-1, stderr=-1, text=True) as process:
        try:
            until(lambda: any(store.glob(".run-*/checkpoint-*/complete.json")) or process.poll() is not None, 200)
            process.send_signal(signal.SIGTERM)
            out, err = process.communicate(timeout=60)
        finally:
            process.kill()
    assert (process.returncode, out) == (143, "")
    assert Run(143, out, err).err == "stopped; the same command goes on from the last checkpoint\n"
    (run,) = store.iterdir()
    assert len(list(run.glob("checkpoint-*"))) == 1
    assert not list(scratch.glob("ticket-router-*"))
    again = subprocess.run(line, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=200)
    assert (again.returncode, Run(0, "", again.stderr).err) == (0, "")
    metrics = json.loads((store / "current" / "metrics.json").read_text())
    assert [epoch["epoch"] for epoch in metrics["epochs"]] == list(range(1, 13))
    assert not run.exists()


def until(happened: Callable[[], bool], seconds: float = 60) -> None:
    limit = time.monotonic() + seconds
    while not happened():
        assert time.monotonic() < limit
        time.sleep(0.05)


def test_ctrl_c_is_one_line(invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit 130, no traceback and no file."""
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
def test_help_and_check_import_no_heavy_packages(place: Place, arguments: list[str]) -> None:
    """Help and usage errors import neither torch nor its dependents; `check` imports only what its forecast needs."""
    needed = ("sklearn", "scipy") if "check" in arguments else ()
    given = [str(place.data) if part == "DATA" else part for part in arguments]
    code = (
        f"import sys; sys.argv = ['training', *{given!r}]; from training.cli import main\n"
        "try: main()\n"
        f"finally: print('loaded:', [name for name in {HEAVY!r} if name in sys.modules and name not in {needed!r}])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert run.stdout.endswith("loaded: []\n")
    assert "Traceback" not in run.stderr


@pytest.mark.parametrize("arguments", [["train"], ["train", "--x"], ["sample"], ["nothing"], ["promote"]])
def test_wrong_usage_exits_with_two(invoke: Invoke, arguments: list[str]) -> None:
    """A missing or unknown option is one clear line."""
    refused(invoke(*arguments))
