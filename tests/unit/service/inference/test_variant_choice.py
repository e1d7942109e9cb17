"""Which graph of a bundle `--variant auto` takes, by device and processor; and how a processor is read."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from models.bundle.bundle import Bundle, open_bundle, write_bundle
from service.inference.hardware import Machine, instructions
from service.inference.plan import default_plan, supported_variants, variants_to_run
from tests.support.plain import draft, files

VNNI = {
    "variant": "int8",
    "file": "model.int8.onnx",
    "tolerance": 0.5,
    "devices": ["cpu"],
    "instructions": ["avx512_vnni"],
}
HALF = {"variant": "fp16", "file": "model.fp16.onnx", "tolerance": 0.01, "devices": ["cuda"]}


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A bundle with all three variants."""
    content: dict[str, Any] = draft()
    content["models"] += [VNNI, HALF]
    graphs: dict[str, bytes | Path] = {"model.int8.onnx": b"8", "model.fp16.onnx": b"16"}
    return open_bundle(write_bundle(tmp_path_factory.mktemp("three"), content, files() | graphs))


def machine(here: Iterable[str]) -> Machine:
    return Machine("a processor", 2, frozenset(here))


@pytest.mark.parametrize(
    ("device", "here", "suiting"),
    [
        ("cpu", {"avx2", "avx512_vnni"}, ["int8", "fp32"]),
        ("cpu", {"avx2"}, ["fp32"]),
        ("cpu", set(), ["fp32"]),
        ("cuda", {"avx512_vnni"}, ["fp16", "fp32"]),
        ("cuda", set(), ["fp16", "fp32"]),
        ("tensorrt", set(), ["fp16", "fp32"]),
    ],
)
def test_auto_takes_the_fastest_supported_variant(
    bundle: Bundle, device: str, here: set[str], suiting: list[str]
) -> None:
    """int8 only where the processor has its instructions, fp16 only on a GPU, fp32 anywhere."""
    assert supported_variants(bundle, machine(here), device) == suiting
    assert variants_to_run("auto", bundle, machine(here), device) == suiting
    assert default_plan("auto", bundle, machine(here), device).variant == suiting[0]


def test_a_named_variant_is_taken_whatever_the_processor(bundle: Bundle) -> None:
    """A variant chosen by name is used; its golden rows still decide whether it serves."""
    assert default_plan("int8", bundle, machine(()), "cpu").variant == "int8"
    assert variants_to_run("int8", bundle, machine(()), "cpu") == ["int8"]


def test_first_variant_is_used_if_none_is_supported(tmp_path: Path) -> None:
    """Only golden rows can tell whether it serves nevertheless."""
    content = draft(models=[VNNI])
    graphs = {name: content for name, content in files().items() if name != "model.onnx"} | {"model.int8.onnx": b"8"}
    only = open_bundle(write_bundle(tmp_path, content, graphs))
    assert default_plan("auto", only, machine(()), "cpu").variant == "int8"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (
            "processor\t: 0\nflags\t\t: fpu avx2 avx512_vnni\nflags\t: other\n",
            {"fpu", "avx2", "avx512_vnni"},
        ),
        ("processor\t: 0\nFeatures\t: fp asimd asimddp\n", {"fp", "asimd", "asimddp"}),
        ("", set()),
        ("flags\n", set()),
        ("vmx flags\t: vnmi\n", set()),
    ],
)
def test_instructions_are_read_from_cpuinfo(tmp_path: Path, content: str, found: set[str]) -> None:
    """x86 and ARM kernels are understood; a file that tells nothing is a processor nothing is known of."""
    (tmp_path / "cpuinfo").write_text(content)
    assert instructions(tmp_path / "cpuinfo") == found


def test_missing_cpuinfo_is_no_error(tmp_path: Path) -> None:
    """Where the file is missing, nothing is known, and fp32 serves."""
    assert instructions(tmp_path / "missing") == frozenset()
