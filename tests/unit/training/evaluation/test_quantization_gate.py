"""Smaller graphs beside fp32: what they compute, and the gates they ship behind."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

from models.bundle.manifest import ModelEntry
from models.encoding import Encoder, Encoding
from models.fields import LabelSpace
from models.scoring import FieldScoring, Threshold
from service.inference.hardware import instructions
from training.evaluation.quantization_gate import VNNI, AnsweredRows, Reference, Variants, agreement_of, make_variants
from training.export.fp16 import write_fp16
from training.export.int8 import FULL, REDUCED, write_int8
from training.export.onnx import OnnxModel, export_onnx
from training.learn.classifier import load_classifier, load_encoder
from training.recipe import ExportRecipe, Recipe

SPACE = LabelSpace.of({"department": ["a", "b"], "priority": ["x", "y"]})
SCORINGS = [FieldScoring(field, 1.0, (Threshold(0.9, 0.6, False),) * 2) for field in SPACE]
WORDS = ["refund", "the", "second", "payment", "crash", "printer", "when", "I", "want", "to", "send", "it", "back"]
LAX = ExportRecipe(accuracy_loss=0.9, agreement=0.51)
HAS_VNNI = bool(instructions().intersection(VNNI))
INT8 = ExportRecipe(accuracy_loss=0.9, agreement=0.51, fp16=False)


def texts(count: int) -> list[str]:
    return [" ".join(WORDS[(n * k) % len(WORDS)] for k in range(1, n % 23 + 2)) for n in range(count)]


@pytest.fixture(scope="module")
def encoder(tiny_base: Path) -> Encoder:
    return load_encoder(tiny_base, load_classifier(tiny_base, SPACE, Recipe()).config, Recipe())


@pytest.fixture(scope="module")
def encodings(encoder: Encoder) -> list[Encoding]:
    return [encoder.encode(text) for text in texts(60)]


@pytest.fixture(scope="module")
def fp32(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(2)  # else the head, and with it what int8 changes, depends on the tests that ran before
    model = load_classifier(tiny_base, SPACE, Recipe())
    model.head.weight.data *= 50  # the fresh head's logits all lie near zero
    return export_onnx(model, tmp_path_factory.mktemp("fp32"))


def served(path: Path, encoder: Encoder) -> OnnxModel:
    return OnnxModel.load(path.read_bytes(), encoder)


@pytest.fixture(scope="module")
def reference(fp32: Path, encoder: Encoder, encodings: list[Encoding]) -> Reference:
    logits = served(fp32, encoder).logits(encodings)
    labels = np.stack([logits[:, :2].argmax(axis=1), logits[:, 2:].argmax(axis=1)], axis=1)
    rows = AnsweredRows(encodings, labels, logits)
    return Reference(fp32, encoder, SCORINGS, {"department": 0.95, "priority": 0.95}, rows, rows)


@pytest.mark.parametrize("largest", [FULL, REDUCED])
def test_int8_answers_nearly_as_fp32(reference: Reference, encoder: Encoder, tmp_path: Path, largest: int) -> None:
    """The int8 graph's logits lie within a few percent of fp32's span, with weights no larger than asked for. Full 8
    bits are only for processors with VNNI: others add products in too few bits."""
    write_int8(reference.onnx, tmp_path / "int8.onnx", largest)
    logits = served(tmp_path / "int8.onnx", encoder).logits(reference.validation.encodings)
    wanted = reference.validation.logits
    apart = np.abs(logits - wanted).max()
    assert apart > 0
    assert apart < 0.1 * np.ptp(wanted) or (largest == FULL and not HAS_VNNI)
    initializers = onnx.load(str(tmp_path / "int8.onnx")).graph.initializer
    weights = [onnx.numpy_helper.to_array(each) for each in initializers if each.name.startswith("onnx::MatMul")]
    matrices = [matrix for matrix in weights if matrix.ndim == 2]
    assert {matrix.dtype for matrix in matrices} == {np.dtype(np.int8)}
    assert max(int(np.abs(matrix.astype(int)).max()) for matrix in matrices) == largest


def test_an_int8_answer_does_not_depend_on_its_company(
    reference: Reference, encoder: Encoder, encodings: list[Encoding], tmp_path: Path
) -> None:
    """Alone or padded among longer tickets, a ticket gets the same logits."""
    write_int8(reference.onnx, tmp_path / "int8.onnx", REDUCED)
    graph = served(tmp_path / "int8.onnx", encoder)
    np.testing.assert_allclose(graph.logits(encodings, 1), graph.logits(encodings, 60), atol=1e-4)


def test_int8_is_smaller_and_leaves_the_source_alone(reference: Reference, tmp_path: Path) -> None:
    """No fp32 copy of a quantised matrix stays in the file."""
    before = reference.onnx.read_bytes()
    write_int8(reference.onnx, tmp_path / "int8.onnx", FULL)
    kept = onnx.load(str(tmp_path / "int8.onnx")).graph.initializer
    floats = [each.name for each in kept if each.data_type == onnx.TensorProto.FLOAT and len(each.dims) == 2]
    assert {name for name in floats if not name.endswith(".scale")} == {"head.weight"}
    assert reference.onnx.read_bytes() == before


def test_fp16_takes_and_gives_the_same_types(reference: Reference, encoder: Encoder, tmp_path: Path) -> None:
    """The fp16 graph is called like fp32's and answers nearly alike, at half the size of its weights."""
    write_fp16(reference.onnx, tmp_path / "fp16.onnx")
    graph = served(tmp_path / "fp16.onnx", encoder)
    assert [each.name for each in graph.session.get_inputs()] == ["input_ids", "attention_mask"]
    logits = graph.logits(reference.validation.encodings)
    assert logits.dtype == np.float32
    wanted = reference.validation.logits
    assert np.abs(logits - wanted).max() < 0.02 * np.ptp(wanted)


@pytest.fixture(scope="module")
def found(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Variants:
    """Both variants, behind gates that anything sound passes."""
    return make_variants(reference, LAX, tmp_path_factory.mktemp("variants"))


def test_what_passes_ships_with_its_figures(found: Variants) -> None:
    """Each variant's file, manifest entry and figures go together; int8 is for CPUs that suit it, fp16 for GPUs."""
    assert [entry.variant for entry in found.entries] == ["int8", "fp16"]
    assert [each.variant for each in found.figures if each.passed] == ["int8", "fp16"]
    assert all(found.files[entry.file].is_file() for entry in found.entries)
    int8, fp16 = found.entries
    assert int8.suits("cpu", {"avx512_vnni"})
    assert not int8.suits("cpu", {"sse4_2"})
    assert not int8.suits("cuda", {"avx512_vnni"})
    assert fp16.suits("cuda", set())
    assert not fp16.suits("cpu", {"avx512_vnni"})


def test_the_tolerance_holds_on_every_row(reference: Reference, found: Variants) -> None:
    """A shipped variant's logits lie within its manifest's tolerance, which is no blank cheque."""
    for entry, logits in zip(found.entries, found.logits, strict=True):
        apart = np.abs(logits - reference.validation.logits).max()
        assert apart < entry.tolerance <= max(1.7 * apart, 1.1e-3)


def test_two_runs_give_the_same_entries(reference: Reference, found: Variants, tmp_path: Path) -> None:
    """Neither timings nor anything else that changes from run to run decides what ships, nor its bytes."""
    again = make_variants(reference, LAX, tmp_path)
    assert found.entries == again.entries
    assert all(found.files[name].read_bytes() == again.files[name].read_bytes() for name in again.files)


def test_a_variant_the_recipe_does_not_want_is_not_tried(reference: Reference, tmp_path: Path) -> None:
    """`int8 = false` and `fp16 = false` leave nothing behind."""
    found = make_variants(reference, ExportRecipe(int8=False, fp16=False), tmp_path)
    assert (found.entries, found.figures, list(tmp_path.iterdir())) == ((), (), [])


def test_a_variant_with_other_verdicts_does_not_ship(reference: Reference, tmp_path: Path) -> None:
    """Where more than the allowed share of the verdicts differ, the variant is left out and says why."""
    logits = reference.validation.logits.copy()
    logits[:5, :2] = 0.0
    other = replace(reference, validation=replace(reference.validation, logits=logits))
    found = make_variants(other, ExportRecipe(accuracy_loss=0.9, fp16=False), tmp_path)
    assert found.entries == ()
    assert [each.variant for each in found.figures] == ["int8", "int8", "int8"]  # 7 bits, 8, 8 with fp32 parts
    assert all("of the verdicts" in each.why for each in found.figures)


def test_a_variant_that_loses_accuracy_does_not_ship(reference: Reference, tmp_path: Path) -> None:
    """Where fp32 is right and the variant is wrong, the accuracy lost is named."""
    rows = reference.validation
    wrong = AnsweredRows(rows.encodings, 1 - rows.labels, -rows.logits)
    found = make_variants(replace(reference, validation=wrong), INT8, tmp_path)
    assert found.entries == ()
    exact = found.figures if HAS_VNNI else found.figures[:1]  # with 7 bits every processor computes the same
    assert all("points of accuracy lost" in each.why for each in exact)
    assert all(each.accuracy_loss > 0.9 for each in exact)


def test_a_variant_that_breaks_the_promise_does_not_ship(reference: Reference, tmp_path: Path) -> None:
    """Calibration rows that fp32 routes right and the variant wrong keep it out, though validation is perfect."""
    rows = reference.calibration
    wrong = AnsweredRows(rows.encodings, 1 - rows.labels, -rows.logits)
    found = make_variants(replace(reference, calibration=wrong), INT8, tmp_path)
    assert found.entries == ()
    assert all("are promised" in each.why for each in found.figures)


def test_an_encoder_that_cannot_be_converted_keeps_its_fp32(reference: Reference, tmp_path: Path) -> None:
    """A graph the converters choke on is a variant that failed, not a run that failed."""
    found = make_variants(replace(reference, onnx=tmp_path / "missing.onnx"), LAX, tmp_path)
    assert found.entries == ()
    assert all("cannot be made of this encoder" in each.why for each in found.figures)


def test_agreement_is_the_worst_fields() -> None:
    """One field that differs on half of the rows counts, however well the other agrees."""
    before = np.array([[9, 0, 9, 0], [9, 0, 9, 0]], dtype=np.float32)
    after = before.copy()
    after[0, 2:] = (0, 9)
    assert agreement_of(before, before, SCORINGS) == 1.0
    assert agreement_of(before, after, SCORINGS) == 0.5


def test_a_graph_for_any_processor_suits_any() -> None:
    """Without named instructions, every processor will do: also one that nothing is known of."""
    entry = ModelEntry(variant="fp32", file="model.onnx", tolerance=0.001)
    assert entry.suits("cpu", set())
    assert entry.suits("cuda", {"avx2"})


def test_the_last_narrowing_products_can_stay_exact(fp32: Path, tmp_path: Path) -> None:
    """Half of the two feed-forwards' second products stays fp32: the upper layer's, not the lower one's."""
    write_int8(fp32, tmp_path / "all.onnx", FULL)
    write_int8(fp32, tmp_path / "half.onnx", FULL, exact_share=0.5)
    kept = products(tmp_path / "half.onnx") - products(tmp_path / "all.onnx")
    assert len(kept) == 1
    assert "layer.1/output" in kept.pop()


def products(path: Path) -> set[str]:
    """The names of a graph's products in fp32."""
    return {node.name for node in onnx.load(str(path)).graph.node if node.op_type == "MatMul"}
