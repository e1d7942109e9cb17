"""Where a plan comes from (settings, what was tuned, the default) and which ones are refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from models.bundle.bundle import Bundle, open_bundle, write_bundle
from models.errors import BundleError
from service.inference.hardware import Machine
from service.inference.plan import (
    BATCH_TOKENS,
    Chosen,
    Measured,
    Plan,
    PlanError,
    PlanFile,
    choose_plan,
    default_plan,
    load_plans,
    plan_path,
    refuse_unwritable,
    write_plans,
)
from service.settings import Settings
from tests.support.plain import draft, files, plain_bundle

HERE = Machine("a processor", 2, frozenset({"avx2"}), "1.0")
UNTUNED = BATCH_TOKENS["cpu"]
INT8 = {"variant": "int8", "file": "model.int8.onnx", "tolerance": 0.5, "devices": ["cpu"]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """fp32 and int8, both for any processor."""
    content = draft()
    content["models"].append(INT8)
    return open_bundle(write_bundle(tmp_path_factory.mktemp("two"), content, files() | {"model.int8.onnx": b"8"}))


def measured(bundle: Bundle, *variants: str, **changes: Any) -> PlanFile:
    """A plan file of this machine, each of its plans with a budget no default has."""
    plans = tuple(
        Measured(
            plan=default_plan(variant, bundle, HERE, "cpu").model_copy(update={"max_batch_tokens": 96 + place}),
            tickets_per_second=100.0,
            lone_milliseconds=5.0,
        )
        for place, variant in enumerate(variants)
    )
    file = PlanFile(
        schema_version=1, machine=HERE.key, processor=HERE.processor, cores=HERE.cores, bundle=bundle.version,
        device="cpu", measured_at="2026-11-22T00:00:00+00:00", plans=plans,
    )  # fmt: skip
    return file.model_copy(update=changes)


def settings(folder: Path, **given: Any) -> Settings:
    return Settings(state_dir=folder / "state", **given)


def choose(given: Settings, bundle: Bundle) -> Chosen:
    return choose_plan(given, bundle, HERE, "cpu")


@pytest.mark.parametrize(
    ("kept", "given", "source", "expected"),
    [
        ((), {}, "default", {"variant": "int8", "max_batch_tokens": UNTUNED, "runners": 2, "lone_threads": 2}),
        ((), {"variant": "fp32"}, "default", {"variant": "fp32", "max_batch_tokens": UNTUNED}),
        (("int8", "fp32"), {}, "tuned", {"variant": "int8", "max_batch_tokens": 96}),
        (("fp32", "int8"), {}, "tuned", {"variant": "fp32", "max_batch_tokens": 96}),
        (("fp32", "int8"), {"variant": "int8"}, "tuned", {"variant": "int8", "max_batch_tokens": 97}),
        (("fp32",), {"variant": "int8"}, "default", {"variant": "int8", "max_batch_tokens": UNTUNED}),
        (("fp32",), {}, "default", {"variant": "int8", "max_batch_tokens": UNTUNED}),
        (("int8",), {}, "tuned", {"variant": "int8", "max_batch_tokens": 96}),
        (("int8",), {"max_batch_tokens": 40}, "tuned", {"max_batch_tokens": 40, "runners": 2, "lone_threads": 2}),
        (("int8",), {"runners": 1}, "tuned", {"max_batch_tokens": 96, "runners": 1, "lone_threads": None}),
        ((), {"intra_op_threads": 2}, "default", {"runners": 1, "intra_op_threads": 2, "lone_threads": None}),
        ((), {"intra_op_threads": 1}, "default", {"runners": 2, "intra_op_threads": 1, "lone_threads": None}),
    ],
)
def test_settings_come_before_the_plan_file_and_that_before_the_default(
    bundle: Bundle, tmp_path: Path, kept: tuple[str, ...], given: dict[str, Any], source: str, expected: dict[str, Any]
) -> None:
    """`auto` takes the file's first, unless the variant it would take untuned was never measured."""
    if kept:
        write_plans(plan_path(tmp_path / "state", HERE, bundle, "cpu"), measured(bundle, *kept))
    chosen = choose(settings(tmp_path, **given), bundle)
    assert chosen.source == source
    assert chosen.plan.model_dump(include=set(expected)) == expected


def test_a_named_plan_comes_before_the_kept_one(bundle: Bundle, tmp_path: Path) -> None:
    """And what was just measured comes before both."""
    write_plans(plan_path(tmp_path / "state", HERE, bundle, "cpu"), measured(bundle, "int8"))
    write_plans(tmp_path / "mine.json", measured(bundle, "fp32", "int8"))
    given = settings(tmp_path, plan=tmp_path / "mine.json")
    assert choose(given, bundle).plan.variant == "fp32"
    new = measured(bundle, "int8", "fp32")
    assert choose_plan(given, bundle, HERE, "cpu", new).plan == new.plans[0].plan


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ({"machine": "0123456789ab"}, "measured with machine '0123456789ab', here it is"),
        ({"bundle": "0" * 16}, "measured with bundle"),
        ({"device": "cuda"}, "measured with device 'cuda', here it is cpu"),
        ({"schema_version": 2}, "no plan of this release"),
        ({"plans": ()}, "no plan of this release"),
        (b"", "no plan of this release"),
        (b"{", "no plan of this release"),
        (b"\xff\xfe{}", "no plan of this release"),
        (b'{"hello": "there"}', "no plan of this release"),
        (b" " * 2_000_000, "no plan of this release"),
    ],
)
def test_a_foreign_or_damaged_plan_is_refused_where_named_and_left_out_where_kept(
    bundle: Bundle, tmp_path: Path, content: dict[str, Any] | bytes, said: str
) -> None:
    """--plan: one line that names the file. In the state folder: a warning with the same line, and the default plan."""
    whole = measured(bundle, "int8").model_dump(mode="json")
    raw = content if isinstance(content, bytes) else json.dumps(whole | content).encode()
    path = plan_path(tmp_path / "state", HERE, bundle, "cpu")
    path.parent.mkdir(parents=True)
    path.write_bytes(raw)
    with pytest.raises(PlanError, match=said) as caught:
        choose(settings(tmp_path, plan=path), bundle)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)
    with capture_logs() as logs:
        assert choose(settings(tmp_path), bundle).source == "default"
    assert [(line["log_level"], line["cause"]) for line in logs] == [("warning", str(caught.value))]


def test_a_named_plan_without_the_variant_asked_for_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """Who names a file means it to be used."""
    write_plans(tmp_path / "mine.json", measured(bundle, "int8"))
    with pytest.raises(PlanError, match="has no plan for fp32"):
        choose(settings(tmp_path, plan=tmp_path / "mine.json", variant="fp32"), bundle)


def test_a_named_plan_that_is_not_there_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """A missing file, and a folder in its place."""
    with pytest.raises(PlanError, match=r"none\.json: cannot be read \(No such file or directory\)"):
        choose(settings(tmp_path, plan=tmp_path / "none.json"), bundle)
    with pytest.raises(PlanError, match="cannot be read"):
        choose(settings(tmp_path, plan=tmp_path), bundle)


def test_without_a_state_folder_nothing_is_said(bundle: Bundle, tmp_path: Path) -> None:
    """Neither a missing folder nor a file in its place is worth a warning: nothing was tuned."""
    (tmp_path / "state").write_text("")
    with capture_logs() as logs:
        assert choose(settings(tmp_path), bundle).source == "default"
    assert logs == []


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"max_batch_tokens": 31}, "--max-batch-tokens 31 is less than one ticket of 32 tokens"),
        ({"queue_tokens": 31}, "--queue-tokens 31 is less than one ticket of 32 tokens"),
        ({"runners": 3}, "--runners 3 with --intra-op-threads 1 make 3 threads, this process may use 2 cores"),
        ({"runners": 2, "intra_op_threads": 2}, "make 4 threads"),
        ({"intra_op_threads": 4}, "--runners 1 with --intra-op-threads 4 make 4 threads"),
    ],
)
def test_what_cannot_be_is_refused(bundle: Bundle, tmp_path: Path, given: dict[str, Any], said: str) -> None:
    """A budget less than one ticket, more threads than cores."""
    with pytest.raises(PlanError, match=said):
        choose(settings(tmp_path, **given), bundle)


def test_a_variant_that_is_not_in_the_bundle_is_refused(bundle: Bundle, tmp_path: Path) -> None:
    """With a tuned plan as well as without."""
    for _ in range(2):
        with pytest.raises(BundleError, match="has no fp16 variant, it has: fp32, int8"):
            choose(settings(tmp_path, variant="fp16"), bundle)
        write_plans(plan_path(tmp_path / "state", HERE, bundle, "cpu"), measured(bundle, "int8", "fp32"))


def test_a_plan_file_reads_as_it_was_written(bundle: Bundle, tmp_path: Path) -> None:
    """Into folders that are made, over an older one, and nothing else is left beside it."""
    path = plan_path(tmp_path / "state", HERE, bundle, "cpu")
    refuse_unwritable(path)
    for file in (measured(bundle, "int8"), measured(bundle, "fp32", "int8")):
        write_plans(path, file)
        assert load_plans(path, bundle, HERE, "cpu") == file
    assert list(path.parent.iterdir()) == [path]


def test_where_no_plan_can_be_written_it_is_said_in_one_line(bundle: Bundle, tmp_path: Path) -> None:
    """Before the measuring and after it."""
    (tmp_path / "file").write_text("")
    path = plan_path(tmp_path / "file", HERE, bundle, "cpu")
    for attempt in (lambda: refuse_unwritable(path), lambda: write_plans(path, measured(bundle, "int8"))):
        with pytest.raises(PlanError, match=r"cannot be written \(Not a directory\); choose another --state-dir"):
            attempt()


@pytest.mark.parametrize(("cores", "lone_threads"), [(1, None), (2, 2), (4, 4), (16, 4)])
def test_untuned_every_core_runs_and_a_lone_ticket_gets_up_to_four(
    tmp_path: Path, cores: int, lone_threads: int | None
) -> None:
    """One thread per run, as many runs as cores; a budget never below the longest ticket."""
    content = draft(encoder={"max_tokens": 600, "pad_id": 2})
    long = open_bundle(plain_bundle(tmp_path, content))
    plan: Plan = default_plan("auto", long, Machine("a processor", cores, frozenset(), "1.0"), "cpu")
    assert (plan.runners, plan.intra_op_threads, plan.lone_threads) == (cores, 1, lone_threads)
    assert plan.max_batch_tokens == 600
