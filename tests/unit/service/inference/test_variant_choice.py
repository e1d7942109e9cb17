"""Which graph of a bundle runs, by variant, device and processor; each graph has its own thresholds."""

from collections.abc import Iterable
from pathlib import Path

import pytest

from models.bundle.bundle import Bundle, open_bundle, write_bundle
from models.errors import BundleError
from models.scoring import Outcome
from service.inference.hardware import Machine
from service.inference.plan import default_plan
from tests.support.plain import draft, fields, files, logits_of, model

VNNI = model(variant="int8", file="model.int8.onnx", devices=["cpu"], instructions=["avx512_vnni", "asimddp"])
AVX2 = model(variant="int8", file="model.int8-avx2.onnx", devices=["cpu"], instructions=["avx2"])
HALF = model(variant="fp16", file="model.fp16.onnx", devices=["cuda"])


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with all variants, int8 per instruction set."""
    content = draft(models=[model(), VNNI, AVX2, HALF])
    graphs: dict[str, bytes | Path] = {entry["file"]: entry["file"].encode() for entry in (VNNI, AVX2, HALF)}
    return open_bundle(write_bundle(tmp_path_factory.mktemp("four"), content, files() | graphs))


def machine(here: Iterable[str]) -> Machine:
    return Machine("a processor", 2, frozenset(here))


def file_for(choice: str, bundle: Bundle, here: Iterable[str], device: str = "cpu") -> str:
    return default_plan(choice, bundle, machine(here), device).graph.entry.file


@pytest.mark.parametrize(
    ("device", "here", "file"),
    [
        ("cpu", {"avx2", "avx512_vnni"}, "model.int8.onnx"),
        ("cpu", {"asimddp"}, "model.int8.onnx"),
        ("cpu", {"avx2"}, "model.int8-avx2.onnx"),
        ("cpu", {"sse4_2"}, "model.onnx"),
        ("cpu", set(), "model.onnx"),
        ("cuda", {"avx512_vnni"}, "model.fp16.onnx"),
        ("cuda", set(), "model.fp16.onnx"),
        ("tensorrt", set(), "model.fp16.onnx"),
    ],
)
def test_auto_takes_the_fastest_graph_that_suits(bundle: Bundle, device: str, here: set[str], file: str) -> None:
    """int8 if its instruction set is available, the first that suits; fp16 only on a GPU; fp32 anywhere."""
    assert file_for("auto", bundle, here, device) == file


@pytest.mark.parametrize(
    ("here", "file"),
    [({"avx2"}, "model.int8-avx2.onnx"), ({"avx2", "avx512_vnni"}, "model.int8.onnx")],
)
def test_a_named_variant_is_the_graph_for_this_processor(bundle: Bundle, here: set[str], file: str) -> None:
    assert file_for("int8", bundle, here) == file


def test_a_named_variant_without_a_graph_for_this_processor_is_refused(bundle: Bundle) -> None:
    with pytest.raises(BundleError) as refused:
        file_for("int8", bundle, {"sse4_2"})
    assert "its int8 graphs are for processors with one of avx512_vnni, asimddp, avx2" in str(refused.value)
    assert "use --variant fp32" in str(refused.value)


def test_fp32_runs_where_nothing_suits(tmp_path: Path) -> None:
    """The replay of the golden rows decides whether it may serve."""
    only = open_bundle(write_bundle(tmp_path, draft(models=[model(instructions=["avx2"])]), files()))
    assert file_for("auto", only, set()) == "model.onnx"


def test_a_graph_is_judged_by_its_own_thresholds(tmp_path: Path) -> None:
    """The same logits are routed with fp32's thresholds and left to people with int8's."""
    never = fields()
    for label in never[0]["labels"]:
        label["route"] = label["suggest"] = None
    content = draft(models=[model(), model(variant="int8", file="model.int8.onnx", fields=never)])
    bundle = open_bundle(write_bundle(tmp_path, content, files() | {"model.int8.onnx": b"8"}))
    logits = logits_of(9, 0, 0, 0, 0)
    outcomes = {graph.entry.variant: graph.judge(logits).department.outcome for graph in bundle.graphs}
    assert outcomes == {"fp32": Outcome.ROUTE, "int8": Outcome.REVIEW}
