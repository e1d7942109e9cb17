"""`python -m service tune`, and services that start with what it found."""

import json
import resource
import signal
import subprocess
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from models.bundle.bundle import open_bundle
from service.inference import autotune as search
from service.inference.engine import open_engine
from service.inference.hardware import this_machine
from service.inference.plan import PlanError, PlanFile, load_plans, plan_path
from service.settings import Settings
from tests.support.process import ROOT, run_cli, serving

SECONDS = "1"


@dataclass(frozen=True)
class Tuned:
    """A state folder, and what the command that filled it printed."""

    state: Path
    file: PlanFile
    printed: str


def tune_arguments(bundle: Path, state: Path, *more: str) -> list[str]:
    return ["tune", "--bundle", str(bundle), "--device", "cpu", "--state-dir", str(state), "--seconds", SECONDS, *more]


@pytest.fixture(scope="module")
def tuned(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Tuned:
    """One real tuning by the command line."""
    state = tmp_path_factory.mktemp("tuned") / "state"
    run = run_cli(*tune_arguments(tiny_bundle_path, state))
    assert run.returncode == 0, run.stderr
    bundle = open_bundle(tiny_bundle_path)
    path = plan_path(state, this_machine(), bundle, "cpu")
    return Tuned(state, load_plans(path, bundle, this_machine(), "cpu"), run.stdout)


def test_tuning_keeps_a_plan_and_shows_what_was_tried(tuned: Tuned) -> None:
    """The file holds the best plan of the one variant; each graph and budget tried has a line, one is the taken."""
    (entry,) = tuned.file.plans
    assert entry.plan.variant == "fp32"
    header, *lines = [line.split("\t") for line in tuned.printed.splitlines() if "\t" in line]
    assert header[:2] == ["variant", "graph"]
    assert {line[1] for line in lines} == {"fused", "raw"}
    assert {line[4] for line in lines} == {"128", "256", "512", "1024"}
    (taken,) = [line for line in lines if line[-1] == "taken"]
    plan = entry.plan
    assert taken[1:5] == [plan.graph, *map(str, (plan.runners, plan.intra_op_threads, plan.max_batch_tokens))]
    assert tuned.printed.splitlines()[-1].startswith(f"kept in {tuned.state}/plans/")


def test_a_start_uses_the_kept_plan(tuned: Tuned, tiny_bundle_path: Path) -> None:
    """The status tells that it is tuned and what it is, and a ticket is routed with it."""
    with (
        serving(tiny_bundle_path, "--state-dir", str(tuned.state), "--device", "cpu") as service,
        service.client() as client,
    ):
        shown = service.management("/admin/status").json()["serving"]
        assert client.post("/v1/route", json={"subject": "Invoice", "body": "Twice."}).status_code == 200
    assert shown["plan"] == {"source": "tuned", **tuned.file.plans[0].plan.model_dump(exclude={"variant"})}


def test_a_named_plan_file_is_used_from_anywhere(tuned: Tuned, tiny_bundle_path: Path, tmp_path: Path) -> None:
    """--plan, and settings over it; the state folder is not looked at."""
    (path,) = tuned.state.rglob("*.json")
    flags = ("--plan", str(path), "--state-dir", str(tmp_path / "empty"), "--device", "cpu", "--runners", "1")
    with serving(tiny_bundle_path, *flags) as service:
        shown = service.management("/admin/status").json()["serving"]["plan"]
    assert (shown["source"], shown["runners"], shown["lone_threads"]) == ("tuned", 1, None)


def test_as_json_the_plan_file_is_printed(tuned: Tuned, tiny_bundle_path: Path) -> None:
    """What a program reads is what was kept: and tuning again replaces the plan."""
    run = run_cli(*tune_arguments(tiny_bundle_path, tuned.state, "--json", "--variant", "fp32"))
    (path,) = tuned.state.rglob("*.json")
    assert PlanFile.model_validate_json(run.stdout) == PlanFile.model_validate_json(path.read_bytes())
    assert [each for each in path.parent.iterdir() if each != path] == []


def changed(tuned: Tuned, folder: Path, **changes: Any) -> str:
    path = folder / "plan.json"
    path.write_text(json.dumps(tuned.file.model_dump(mode="json") | changes))
    return str(path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"machine": "elsewhere"}, "measured with machine 'elsewhere'"),
        ({"bundle": "0" * 16}, "measured with bundle '0000000000000000'"),
        ({"device": "cuda"}, "measured with device 'cuda'"),
        ({"schema_version": 9}, "no plan of this release"),
    ],
)
def test_a_plan_of_another_place_is_refused_at_start(
    tuned: Tuned, tiny_bundle_path: Path, tmp_path: Path, changes: dict[str, Any], said: str
) -> None:
    """One line that says what differs and how to mend it, exit 2."""
    assert_refused(
        said, "--bundle", str(tiny_bundle_path), "--device", "cpu", "--plan", changed(tuned, tmp_path, **changes)
    )


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--plan", "none.json"), "none.json: cannot be read"),
        (("--max-batch-tokens", "8"), "--max-batch-tokens 8 is less than one ticket of 64 tokens"),
        (("--queue-tokens", "8"), "--queue-tokens 8 is less than one ticket"),
        (("--runners", "1000"), "make 1000 threads, this process may use"),
        (("--variant", "fp16"), "has no fp16 variant, it has: fp32"),
        (("--device", "tpu"), "--device"),
    ],
)
def test_what_cannot_be_is_refused_at_start(
    tiny_bundle_path: Path, tmp_path: Path, flags: tuple[str, str], said: str
) -> None:
    """A clear line before anything is loaded."""
    assert_refused(said, "--bundle", str(tiny_bundle_path), "--state-dir", str(tmp_path), *flags)


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--variant", "int8"), "has no int8 variant, it has: fp32"),
        (("--device", "tensorrt"), "nothing to tune"),
        (("--seconds", "0"), "--seconds"),
        (("--bundle", "nowhere"), "nowhere: no bundle there"),
        (("--state-dir", "README.md"), "cannot be written"),
    ],
)
def test_a_tuning_that_cannot_be_is_refused(
    tiny_bundle_path: Path, tmp_path: Path, flags: tuple[str, str], said: str
) -> None:
    """Before the measuring: a bundle, variant, device or state folder that is not there."""
    assert_refused(said, *tune_arguments(tiny_bundle_path, tmp_path), *flags)


def assert_refused(said: str, *arguments: str) -> None:
    run = (
        run_cli("--port", "0", "--management-port", "0", *arguments) if "tune" not in arguments else run_cli(*arguments)
    )
    lines = [line for line in run.stderr.splitlines() if not line.startswith("the machine is busy")]
    assert run.returncode == 2
    assert len(lines) == 1
    assert lines[0].startswith("error: ")
    assert said in lines[0]


def test_a_full_state_folder_is_said_in_one_line(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Nothing can be written any more: exit 2 before the measuring, and no half a file."""
    command = [sys.executable, "-m", "service", *tune_arguments(tiny_bundle_path, tmp_path)]

    def no_room() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))

    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, preexec_fn=no_room)
    assert run.returncode == 2
    assert "cannot be written (File too large)" in run.stderr.splitlines()[-1]
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_an_interrupted_tuning_says_so_and_keeps_nothing(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Ctrl-C while it measures: one line, exit 130, an empty folder."""
    command = [sys.executable, "-m", "service", *tune_arguments(tiny_bundle_path, tmp_path), "--seconds", "600"]
    # A shell in the background ignores Ctrl-C, and its children would inherit that.
    inherited = signal.signal(signal.SIGINT, signal.default_int_handler)
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    signal.signal(signal.SIGINT, inherited)
    try:
        # The folder is made by the look whether a plan can be written; the measuring follows.
        while not (tmp_path / "plans").exists() or any((tmp_path / "plans").iterdir()):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    finally:
        process.kill()
    assert process.returncode == 130
    assert out == ""
    assert err.splitlines()[-1] == "stopped; no plan was written"
    assert "Traceback" not in err
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.fixture
def at_start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """Settings that ask for tuning at the first start, with little time for it."""
    monkeypatch.setattr(search, "SECONDS", 1.0)
    return Settings(tune_at_start=True, device="cpu", state_dir=tmp_path / "state")


def test_the_first_start_tunes_and_the_next_uses_the_file(at_start: Settings, tiny_bundle_path: Path) -> None:
    """A reload does not measure: without a file it has the default plan."""
    assert open_engine(at_start, print, tiny_bundle_path).chosen.source == "default"
    first = open_engine(at_start, print, tiny_bundle_path, tune=True)
    assert first.chosen.source == "tuned"
    with capture_logs() as logs:
        again = open_engine(at_start, print, tiny_bundle_path, tune=True)
    assert again.chosen == first.chosen
    assert logs == []


def test_a_plan_that_cannot_be_kept_is_used_all_the_same(at_start: Settings, tiny_bundle_path: Path) -> None:
    """A warning in the log, and the service runs as it was measured."""
    at_start.state_dir.write_text("")
    with capture_logs() as logs:
        engine = open_engine(at_start, print, tiny_bundle_path, tune=True)
    assert engine.chosen.source == "tuned"
    assert [(line["log_level"], line["event"]) for line in logs] == [("info", "tuning"), ("warning", "plan not kept")]


def test_a_stop_ends_the_tuning_at_start(at_start: Settings, tiny_bundle_path: Path) -> None:
    """A service that is told to stop does not measure to the end, and keeps nothing."""
    give_up = threading.Event()
    give_up.set()
    with pytest.raises(PlanError, match="stopped while tuning"):
        open_engine(at_start, print, tiny_bundle_path, tune=True, stop=give_up)
    assert not at_start.state_dir.exists()


@pytest.mark.slow
def test_a_service_tunes_before_it_is_ready(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """--tune-at-start over real sockets: the plan it serves with was measured, and lies in the state folder."""
    with serving(
        tiny_bundle_path, "--device", "cpu", "--tune-at-start", "true", "--state-dir", str(tmp_path)
    ) as service:
        assert service.management("/admin/status").json()["serving"]["plan"]["source"] == "tuned"
        assert [event["event"] for event in service.events].index("tuning") == 0
    assert len(list(tmp_path.rglob("*.json"))) == 1
