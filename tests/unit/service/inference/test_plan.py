"""The default plan, what settings change in it, and which plans are refused."""

from pathlib import Path
from typing import Any

import pytest

from models.bundle.bundle import Bundle, open_bundle, write_bundle
from models.errors import BundleError
from service.inference.hardware import Machine
from service.inference.plan import PlanError, choose_plan, default_plan
from service.settings import Settings
from tests.support.plain import draft, files, model, plain_bundle

HERE = Machine("a processor", 2, frozenset({"avx2"}))
INT8 = model(variant="int8", file="model.int8.onnx", devices=["cpu"])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """fp32 and int8, both for any processor."""
    content = draft()
    content["models"].append(INT8)
    return open_bundle(write_bundle(tmp_path_factory.mktemp("two"), content, files() | {"model.int8.onnx": b"8"}))


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, {"variant": "int8", "max_batch_tokens": 256, "runners": 2, "intra_op_threads": 1, "lone_threads": 2}),
        ({"variant": "fp32"}, {"variant": "fp32", "lone_tokens": 8}),
        ({"max_batch_tokens": 40}, {"max_batch_tokens": 40, "runners": 2, "lone_threads": 2}),
        ({"runners": 1}, {"runners": 1, "intra_op_threads": 1, "lone_threads": None}),
        ({"intra_op_threads": 2}, {"runners": 1, "intra_op_threads": 2, "lone_threads": None}),
        ({"intra_op_threads": 1}, {"runners": 2, "intra_op_threads": 1, "lone_threads": None}),
    ],
)
def test_settings_override_the_default_plan(bundle: Bundle, given: dict[str, Any], expected: dict[str, Any]) -> None:
    """With explicit threads there is no session for a lone ticket."""
    plan = choose_plan(Settings(**given), bundle, HERE, "cpu")
    assert {name: getattr(plan, name) for name in expected} == expected


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"max_batch_tokens": 31}, "--max-batch-tokens 31 is less than one ticket of 32 tokens"),
        ({"queue_tokens": 31}, "--queue-tokens 31 is less than one ticket of 32 tokens"),
        ({"runners": 3}, "--runners 3 with --intra-op-threads 1 make 3 threads, this process may use 2 cores"),
        ({"runners": 2, "intra_op_threads": 2}, "make 4 threads"),
        ({"intra_op_threads": 4}, "--runners 1 with --intra-op-threads 4 make 4 threads"),
    ],
)
def test_impossible_plan_is_refused(bundle: Bundle, given: dict[str, Any], message: str) -> None:
    """A token limit below one ticket, more threads than cores."""
    with pytest.raises(PlanError, match=message):
        choose_plan(Settings(**given), bundle, HERE, "cpu")


def test_a_variant_that_is_not_in_the_bundle_is_refused(bundle: Bundle) -> None:
    """The message names the variants of the bundle."""
    with pytest.raises(BundleError, match="has no fp16 variant, it has: fp32, int8"):
        choose_plan(Settings(variant="fp16"), bundle, HERE, "cpu")


@pytest.mark.parametrize(("cores", "lone_threads"), [(1, None), (2, 2), (4, 4), (16, 4)])
def test_one_run_per_core_and_up_to_four_threads_for_a_lone_ticket(
    tmp_path: Path, cores: int, lone_threads: int | None
) -> None:
    """One thread per run; the token limit is never below the longest ticket."""
    content = draft(encoder={"max_tokens": 600, "pad_id": 2, "width": 4})
    long = open_bundle(plain_bundle(tmp_path, content))
    plan = default_plan("auto", long, Machine("a processor", cores, frozenset()), "cpu")
    assert (plan.runners, plan.intra_op_threads, plan.lone_threads) == (cores, 1, lone_threads)
    assert plan.max_batch_tokens == 600
