"""Smaller graphs beside fp32: what they compute, and the gate they ship behind."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch

from models.bundle.manifest import ModelEntry
from models.encoding import Encoder, Encoding
from models.fields import LabelSpace
from models.processor import instructions
from models.scoring import FieldScoring, Outputs, Threshold
from tests.support.learning import encoded
from tests.support.plain import model
from training.evaluation import quantization_gate
from training.evaluation.quantization_gate import (
    VNNI,
    Reference,
    Variants,
    agreement_of,
    calibrate_fields,
    loss_of,
    make_variants,
)
from training.export.fp16 import write_fp16
from training.export.int8 import FULL, REDUCED, write_int8
from training.export.novelty_nodes import add_novelty
from training.export.onnx import OnnxModel, export_onnx
from training.learn.classifier import load_classifier, load_encoder
from training.learn.linear.novelty import fit_novelty
from training.recipe import ExportRecipe, Recipe

SPACE = LabelSpace.of({"department": ["a", "b"], "priority": ["x", "y"]})
SCORINGS = [FieldScoring(field, 1.0, (Threshold(0.9, 0.6, False),) * 2) for field in SPACE]
WORDS = ["refund", "the", "second", "payment", "crash", "printer", "when", "I", "want", "to", "send", "it", "back"]
LAX = Recipe(export=ExportRecipe(accuracy_loss=0.9))
INT8 = Recipe(export=ExportRecipe(fp16=False))
HAS_VNNI = bool(instructions().intersection(VNNI))
needs_vnni = pytest.mark.skipif(not HAS_VNNI, reason="8-bit graphs are judged on processors with VNNI")


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


def both(of_a_part: Any) -> dict[str, Any]:
    return {"validation": of_a_part, "calibration": of_a_part}


def made(reference: Reference, recipe: Recipe, folder: Path) -> Variants:
    return make_variants(replace(reference, recipe=recipe), folder)


def served(path: Path, encoder: Encoder) -> OnnxModel:
    return OnnxModel.load(path.read_bytes(), encoder)


@pytest.fixture(scope="module")
def reference(
    fp32: Path, encoder: Encoder, encodings: list[Encoding], tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    raw, pooled = served(fp32, encoder).outputs(encodings)
    labels = np.stack([raw[:, :2].argmax(axis=1), raw[:, 2:].argmax(axis=1)], axis=1)
    novelty = fit_novelty(encodings, pooled, labels[:, 0], vocabulary=len(WORDS) + 5000, special=encoder.special_ids)
    whole = tmp_path_factory.mktemp("whole") / "model.onnx"
    shutil.copy(fp32, whole)
    add_novelty(whole, novelty)
    logits = served(whole, encoder).logits(encodings)
    rows = both(encoded(encodings, labels))
    entries = calibrate_fields(SPACE, rows, both(logits), Recipe(), "exact")
    outputs = Outputs(logits, pooled)
    return Reference(
        whole, fp32, None, novelty, encoder, SPACE, entries, rows, both(logits), outputs, "exact", Recipe()
    )


@pytest.mark.parametrize("largest", [FULL, REDUCED])
def test_int8_answers_nearly_as_fp32(reference: Reference, encoder: Encoder, tmp_path: Path, largest: int) -> None:
    """The int8 graph's logits lie within a few percent of fp32's span, with weights no larger than asked for. Full 8
    bits are only for processors with VNNI: others add products in too few bits."""
    write_int8(reference.network, tmp_path / "int8.onnx", largest)
    logits = served(tmp_path / "int8.onnx", encoder).logits(reference.rows["validation"].encodings)
    wanted = reference.logits["validation"][:, : SPACE.size]
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
    write_int8(reference.network, tmp_path / "int8.onnx", REDUCED)
    graph = served(tmp_path / "int8.onnx", encoder)
    np.testing.assert_allclose(graph.logits(encodings, 1), graph.logits(encodings, 60), atol=1e-4)


def test_int8_is_smaller_and_leaves_the_source_alone(reference: Reference, tmp_path: Path) -> None:
    """No fp32 copy of a quantised matrix stays in the file."""
    before = reference.network.read_bytes()
    write_int8(reference.network, tmp_path / "int8.onnx", FULL)
    kept = onnx.load(str(tmp_path / "int8.onnx")).graph.initializer
    floats = [each.name for each in kept if each.data_type == onnx.TensorProto.FLOAT and len(each.dims) == 2]
    assert {name for name in floats if not name.endswith(".scale")} == {"head.weight"}
    assert reference.network.read_bytes() == before


def test_fp16_takes_and_gives_the_same_types(reference: Reference, encoder: Encoder, tmp_path: Path) -> None:
    """The fp16 graph is called like fp32's and answers nearly alike, at half the size of its weights."""
    write_fp16(reference.network, tmp_path / "fp16.onnx")
    graph = served(tmp_path / "fp16.onnx", encoder)
    assert [each.name for each in graph.session.get_inputs()] == ["input_ids", "attention_mask"]
    found = graph.outputs(reference.rows["validation"].encodings)
    for output, wanted in zip(
        found, (reference.logits["validation"][:, : SPACE.size], reference.served.pooled), strict=True
    ):
        assert output.dtype == np.float32
        assert np.abs(output - wanted).max() < 0.02 * np.ptp(wanted)


@pytest.fixture(scope="module")
def found(reference: Reference, tmp_path_factory: pytest.TempPathFactory) -> Variants:
    """All variants, behind a gate that anything sound passes."""
    return made(reference, LAX, tmp_path_factory.mktemp("variants"))


@needs_vnni
def test_int8_ships_per_instruction_set(found: Variants) -> None:
    """Each graph's file, manifest entry and figures go together; fp16 is for GPUs."""
    assert [entry.file for entry in found.entries] == ["model.int8.onnx", "model.int8-avx2.onnx", "model.fp16.onnx"]
    assert [each.file for each in found.figures if each.ships] == [entry.file for entry in found.entries]
    assert all(found.files[entry.file].is_file() for entry in found.entries)
    vnni, avx2, fp16 = found.entries
    assert set(vnni.instructions).isdisjoint(avx2.instructions)
    assert vnni.suits("cpu", {"avx512_vnni"})
    assert not vnni.suits("cpu", {"avx2"})
    assert avx2.suits("cpu", {"avx2"})
    assert not avx2.suits("cuda", {"avx2"})
    assert fp16.suits("cuda", set())
    assert not fp16.suits("cpu", {"avx512_vnni"})


def test_8_bits_are_not_tried_without_vnni(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They would saturate. The 7-bit graph then is for processors with VNNI, too, ARM's among them."""
    monkeypatch.setattr(quantization_gate, "instructions", lambda: frozenset({"avx2"}))
    found = made(reference, LAX, tmp_path)
    int8 = found.entries[0]
    assert int8.file == "model.int8-avx2.onnx"
    assert all(int8.suits("cpu", {name}) for name in (*VNNI, "avx2"))
    assert (found.figures[0].ships, found.figures[0].why) == (False, "not tried: this machine has no VNNI")
    assert not (tmp_path / "model.int8.onnx").exists()


def test_a_quick_run_makes_the_graphs_for_this_machine_alone(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of int8 the one for this processor; fp16 only beside a GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name, file in (("avx512_vnni", "model.int8.onnx"), ("avx2", "model.int8-avx2.onnx")):
        monkeypatch.setattr(quantization_gate, "instructions", lambda name=name: frozenset({name}))
        (tmp_path / name).mkdir()
        found = make_variants(replace(reference, recipe=LAX), tmp_path / name, quick=True)
        assert [entry.file for entry in found.entries] == [file]
        assert found.figures[-1].why == "not tried: a quick run makes the graphs for this machine alone"
        assert [each.name for each in (tmp_path / name).iterdir()] == [file]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    found = make_variants(replace(reference, recipe=LAX), tmp_path / "avx2", quick=True)
    assert found.entries[-1].file == "model.fp16.onnx"


def test_every_graph_has_thresholds_of_its_own(reference: Reference, tmp_path: Path) -> None:
    """A graph whose logits are fp32's times three has three times its temperature, and routes as much."""
    rows = reference.rows["validation"]
    logits = reference.logits["validation"] / 3  # as if fp32 had given them: the variants' are sharper
    labels = rows.labels.copy()
    labels[::5] = 1 - labels[::5]  # a temperature is fitted where some answers are wrong
    flat = both(replace(rows, labels=labels))
    entries = calibrate_fields(SPACE, flat, both(logits), Recipe(), "exact")
    other = replace(reference, rows=flat, logits=both(logits), entries=entries)
    found = made(other, Recipe(export=ExportRecipe(int8=False)), tmp_path)
    (fp16,) = found.entries
    assert fp16.fields[0].temperature == pytest.approx(3 * entries[0].temperature, rel=0.05)
    assert found.figures[0].promises["department"] == fp16.fields[0].promise


def test_the_tolerances_hold_on_every_row(reference: Reference, found: Variants, encoder: Encoder) -> None:
    """A shipped variant's outputs lie within its manifest's tolerances, which are no blank cheque."""
    wanted = (reference.logits["validation"], reference.served.pooled)
    for entry in found.entries:
        outputs = served(found.files[entry.file], encoder).outputs(reference.rows["validation"].encodings)
        for output, expected, tolerance in zip(outputs, wanted, (entry.tolerance, entry.pooled_tolerance), strict=True):
            apart = np.abs(output - expected).max()
            assert apart < tolerance <= max(1.7 * apart, 1.1e-3)


def test_two_runs_give_the_same_entries(reference: Reference, found: Variants, tmp_path: Path) -> None:
    """Neither timings nor anything else that changes from run to run decides what ships, nor its bytes."""
    again = made(reference, LAX, tmp_path)
    assert found.entries == again.entries
    assert all(found.files[name].read_bytes() == again.files[name].read_bytes() for name in again.files)


def test_a_variant_the_recipe_does_not_want_is_not_tried(reference: Reference, tmp_path: Path) -> None:
    """`int8 = false` and `fp16 = false` leave nothing behind."""
    found = made(reference, Recipe(export=ExportRecipe(int8=False, fp16=False)), tmp_path)
    assert (found.entries, found.figures, list(tmp_path.iterdir())) == ((), (), [])


def test_other_verdicts_than_fp32_keep_no_variant_back(reference: Reference, tmp_path: Path) -> None:
    """Agreement and calibration error are figures: a graph that is right as often ships."""
    logits = reference.logits["validation"] * 0.01  # the same answers, none of them sure
    entries = tuple(entry.model_copy(update={"temperature": 1.0}) for entry in reference.entries)
    other = replace(reference, entries=entries, logits=both(logits))
    found = made(other, LAX, tmp_path)
    assert [entry.variant for entry in found.entries][-2:] == ["int8", "fp16"]
    assert all(each.agreement is not None and each.agreement < 0.99 for each in found.figures if each.ships)


def test_a_variant_that_is_shown_to_lose_accuracy_does_not_ship(reference: Reference, tmp_path: Path) -> None:
    """Where fp32 is right and the variant is wrong, the loss is named with its interval."""
    rows, logits = reference.rows["validation"], reference.logits["validation"]
    wrong = replace(reference, rows=both(replace(rows, labels=1 - rows.labels)), logits=both(-logits))
    found = made(wrong, INT8, tmp_path)
    assert found.entries == ()
    tried = [each for each in found.figures if each.loss is not None]
    assert [each.what.split()[0] for each in tried] == (["8-bit"] * 2 if HAS_VNNI else []) + ["7-bit"] * 2
    assert all(each.why.startswith("fails: ") and "points of accuracy lost [" in each.why for each in tried)
    assert all(each.loss is not None and each.loss.loss.value > 0.8 for each in tried)


@pytest.mark.parametrize(
    ("only_fp32", "only_variant", "rows", "verdict"),
    [
        (0, 0, 2000, "passes"),
        (0, 0, 1000, "not enough rows to tell"),  # .4 points are left open
        (2, 30, 1000, "passes"),  # it gains
        (60, 10, 1000, "fails"),
        (1, 0, 100, "not enough rows to tell"),  # one ticket is one point here
        (5, 5, 100, "not enough rows to tell"),
        (5, 5, 5000, "passes"),
    ],
)
def test_the_gate_says_when_rows_do_not_tell(only_fp32: int, only_variant: int, rows: int, verdict: str) -> None:
    """At .003 allowed: neither passed nor failed on one ticket."""
    assert loss_of("department", only_fp32, only_variant, rows, 0.003).verdict == verdict


def test_a_variant_ships_where_rows_do_not_tell(reference: Reference, tmp_path: Path) -> None:
    """And says so in these words, with the interval. Few rows, of which fp32 has one more right."""
    rows = reference.rows["validation"]
    labels, logits = rows.labels.copy(), reference.logits["validation"].copy()
    labels[0], logits[0] = 1 - labels[0], -logits[0]
    other = replace(
        reference,
        rows={**reference.rows, "validation": replace(rows, labels=labels)},
        logits={**reference.logits, "validation": logits},
    )
    found = made(other, Recipe(export=ExportRecipe(int8=False)), tmp_path)
    assert [entry.variant for entry in found.entries] == ["fp16"]
    assert found.figures[0].why.startswith("not enough rows to tell: ")
    assert "[" in found.figures[0].why


def test_the_worst_field_decides(reference: Reference, tmp_path: Path) -> None:
    """A loss in the second field keeps the graph out, though the department is perfect."""
    rows = reference.rows["validation"]
    labels, logits = rows.labels.copy(), reference.logits["validation"].copy()
    labels[:, 1], logits[:, 2:4] = 1 - labels[:, 1], -logits[:, 2:4]
    wrong = replace(reference, rows=both(replace(rows, labels=labels)), logits=both(logits))
    found = made(wrong, INT8, tmp_path)
    assert found.entries == ()
    assert all(each.loss.field == "priority" for each in found.figures if each.loss is not None)


def test_an_encoder_that_cannot_be_converted_keeps_its_fp32(reference: Reference, tmp_path: Path) -> None:
    """A graph the converters choke on is a variant that failed, not a run that failed."""
    found = made(replace(reference, network=tmp_path / "missing.onnx"), LAX, tmp_path)
    assert found.entries == ()
    assert all("cannot be made of this encoder" in each.why for each in found.figures if "VNNI" not in each.why)


def test_agreement_is_the_worst_fields() -> None:
    """One field that differs on half of the rows counts, however well the other agrees."""
    before = np.array([[9, 0, 9, 0], [9, 0, 9, 0]], dtype=np.float32)
    after = before.copy()
    after[0, 2:] = (0, 9)
    assert agreement_of((before, SCORINGS), (before, SCORINGS)) == 1.0
    assert agreement_of((before, SCORINGS), (after, SCORINGS)) == 0.5


def test_a_graph_for_any_processor_suits_any() -> None:
    """Without named instructions, every processor will do: also one that nothing is known of."""
    entry = ModelEntry.model_validate(model())
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
