"""Torch → ONNX, held against torch; and which rows become golden."""

from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import onnx
import pytest
import torch

from models.encoding import Encoder, Encoding
from models.errors import TicketRouterError
from models.fields import LabelSpace
from models.scoring import FieldScoring, Outputs, Threshold, judge
from models.text.prepare import prepare
from tests.support.plain import words_tokenizer
from tests.support.rows import prepared
from training.data.example import Example
from training.export.golden_rows import GOLDEN_ROWS, Answers, choose_golden
from training.export.onnx import PARITY_TOLERANCE, POOLED_TOLERANCE, OnnxModel, check_parity, export_onnx
from training.learn.classifier import load_classifier, load_encoder
from training.learn.finetune import predict_with_pooled
from training.recipe import Recipe

SPACE = LabelSpace.of({"department": ["a", "b"], "priority": ["x", "y"]})
SCORINGS = [FieldScoring(field, 1.0, (Threshold(0.9, 0.6, False),) * 2) for field in SPACE]


def rows(*values: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def with_pooled(logits: np.ndarray) -> Outputs:
    return Outputs(logits, np.ones((len(logits), 3), dtype=np.float32))


SOUND = with_pooled(rows((4, 0, 1, 0), (0, 1, 0, 3)))


def test_nearly_equal_outputs_pass() -> None:
    """Within the tolerances, with the same verdicts, the figures of the comparison are kept."""
    near = Outputs(SOUND.logits + PARITY_TOLERANCE / 2, SOUND.pooled - POOLED_TOLERANCE / 4)
    found = check_parity(SOUND, near, SCORINGS)
    assert (found.rows, found.different_verdicts) == (2, 0)
    assert found.largest_difference == pytest.approx(PARITY_TOLERANCE / 2, rel=0.01)
    assert found.largest_pooled_difference == pytest.approx(POOLED_TOLERANCE / 4, rel=0.01)


@pytest.mark.parametrize("off", [2 * PARITY_TOLERANCE, 5.0, np.nan, np.inf])
@pytest.mark.parametrize("place", [(0, 0), (1, 3)])
def test_one_logit_that_is_off_refuses_the_export(off: float, place: tuple[int, int]) -> None:
    """A single logit that differs, is NaN or infinite in any row and field refuses to write."""
    served = SOUND.logits.copy()
    served[place] += off
    with pytest.raises(TicketRouterError, match="nothing was written") as caught:
        check_parity(SOUND, with_pooled(served), SCORINGS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("off", [2 * POOLED_TOLERANCE, np.nan])
def test_a_pooled_vector_that_is_off_refuses_the_export(off: float) -> None:
    pooled = SOUND.pooled.copy()
    pooled[1, 2] += off
    with pytest.raises(TicketRouterError, match="in a pooled vector"):
        check_parity(SOUND, Outputs(SOUND.logits, pooled), SCORINGS)


def test_a_model_that_gives_no_numbers_is_refused() -> None:
    """NaN on both sides is no agreement."""
    with pytest.raises(TicketRouterError, match="nothing was written"):
        check_parity(with_pooled(SOUND.logits * np.nan), with_pooled(SOUND.logits * np.nan), SCORINGS)


@pytest.mark.parametrize("slice_start", [0, 2])
def test_another_verdict_refuses_the_export(slice_start: int) -> None:
    """A difference within the tolerance that tips a verdict over, in any field, refuses to write."""
    edge = float(np.log(9))  # confidence 0.9, the threshold
    torch_logits = rows((4, 0, 4, 0))
    torch_logits[0, slice_start] = edge + 1e-4
    served = torch_logits.copy()
    served[0, slice_start] -= 2e-4
    with pytest.raises(TicketRouterError, match="gives 1 other verdicts"):
        check_parity(with_pooled(torch_logits), with_pooled(served), SCORINGS)


@pytest.mark.parametrize("pooling", ["mean", "cls"])
def test_the_graph_answers_as_torch_does(tiny_base: Path, tmp_path: Path, pooling: Literal["mean", "cls"]) -> None:
    """The exported graph takes two inputs and gives torch's outputs for any batch size, length and order. `pooled` is
    the mean over a text's tokens with either pooling: padding and batch mates change nothing."""
    model = load_classifier(tiny_base, SPACE, Recipe(pooling=pooling))
    encoder = load_encoder(tiny_base, model.config, Recipe())
    graph = OnnxModel.load(export_onnx(model, tmp_path).read_bytes(), encoder)
    assert [each.name for each in graph.session.get_inputs()] == ["input_ids", "attention_mask"]
    assert [each.name for each in graph.session.get_outputs()] == ["logits", "pooled"]
    texts = ["a", "refund " * 200, "the second payment", "", "I want to send it back " * 4]
    encodings = [encoder.encode(text) for text in texts]
    expected = predict_with_pooled(model, encoder, encodings)
    for batch_size in (1, 2, 16):
        check_parity(expected, graph.outputs(encodings, batch_size), SCORINGS)
    alone = torch.tensor([encodings[2].ids])
    with torch.inference_mode():
        hidden = model.encoder(input_ids=alone, attention_mask=torch.ones_like(alone)).last_hidden_state
    np.testing.assert_allclose(expected.pooled[2], hidden[0].mean(dim=0).numpy(), atol=1e-5)


def test_a_graph_without_a_pooled_output_is_refused(tiny_base: Path, tmp_path: Path) -> None:
    model = load_classifier(tiny_base, SPACE, Recipe())
    graph = onnx.load(str(export_onnx(model, tmp_path)))
    del graph.graph.output[1]
    with pytest.raises(TicketRouterError, match="no outputs named logits and pooled; train it again"):
        OnnxModel.load(graph.SerializeToString(), load_encoder(tiny_base, model.config, Recipe()))


def test_a_graph_that_is_none_is_one_line() -> None:
    """Bytes that onnxruntime cannot load are refused with one line."""
    encoder = Encoder(words_tokenizer(), max_tokens=16, pad_id=2)
    for content in (b"", b"not a graph", bytes(range(256))):
        with pytest.raises(TicketRouterError) as caught:
            OnnxModel.load(content, encoder)
        assert "\n" not in str(caught.value)


def golden_of(logits: np.ndarray, drawn: list[Example]) -> list[str]:
    encodings = [Encoding(tuple(range(len(row.text.split()))), False) for row in drawn]
    return [row.body for row in choose_golden(drawn, encodings, with_pooled(logits), SCORINGS[0])]


def test_golden_rows_are_spread_over_the_lengths() -> None:
    """At most fifty, the shortest and the longest among them, none twice."""
    drawn = [prepared(n, "w " * n, "a") for n in range(1, 301)]
    found = golden_of(np.tile(rows((4, 0, 1, 0)), (300, 1)), drawn)
    lengths = [len(body.split()) for body in found]
    assert len(found) == GOLDEN_ROWS
    assert lengths == sorted(set(lengths))
    assert (lengths[0], lengths[-1]) == (1, 300)


def test_rows_near_a_threshold_are_not_golden() -> None:
    """A row that another processor's rounding could tip over, or a tie, is no golden row; nor is a NaN or a book."""
    edge = float(np.log(9))
    drawn = [prepared(n, text, "a") for n, text in enumerate(["edge", "tie", "nan", "x" * 5001, "clear"])]
    logits = rows((edge, 0, 1, 0), (0, 0, 1, 0), (np.nan, 0, 1, 0), (4, 0, 1, 0), (4, 0, 1, 0))
    assert golden_of(logits, drawn) == ["clear"]
    assert golden_of(logits[:1], drawn[:1]) == []


def test_a_text_that_depends_on_its_sender_is_not_golden() -> None:
    """A bundle holds no addresses: replayed without its sender, such a row would refuse a sound bundle."""
    header = "From: ann@a.example\nTo: help@b.example\nSubject: Printer\nDate: Mon, 1 Jun 2026 10:00"
    body = f"Any news?\n\n{header}\n\nIt is broken."
    drawn = prepared(1, body, "a")
    reply = replace(drawn.ticket, subject="Re: Printer", sender="ann@a.example")
    assert prepare(reply).text != prepare(replace(reply, sender="")).text
    own = replace(drawn, ticket=reply)
    assert golden_of(rows((4, 0, 1, 0), (4, 0, 1, 0)), [own, prepared(2, "clear", "a")]) == ["clear"]


def test_golden_rows_hold_the_whole_path() -> None:
    """A golden row has the ticket as it came, its tokens, its logits and the department's verdict."""
    logits = rows((4, 0, 1, 0))
    outputs = Outputs(logits, np.array([[0.123456789, -2, 0]], dtype=np.float32))
    row = choose_golden([prepared(2, "hello", "b")], [Encoding((0, 5, 2), False)], outputs, SCORINGS[0])[0]
    verdict = judge(logits[0], SCORINGS).department
    assert (row.body, row.ids, row.logits) == ("hello", (0, 5, 2), (4.0, 0.0, 1.0, 0.0))
    assert row.pooled == (0.123457, -2.0, 0.0)
    assert (row.outcome, row.label) == (verdict.outcome, "a")


def test_a_golden_row_has_the_same_verdict_in_every_graph_by_its_own_thresholds() -> None:
    """A variant whose logits differ and whose thresholds make up for it keeps the row; one that answers otherwise
    doesn't."""
    logits = rows((4, 0, 1, 0), (4, 0, 1, 0))
    cooler = Answers(
        rows((1, 0, 1, 0), (0, 1, 1, 0)), FieldScoring(SPACE.department, 1.0, (Threshold(0.6, 0.5, False),) * 2)
    )
    drawn = [prepared(1, "kept", "a"), prepared(2, "other answer", "a")]
    encodings = [Encoding((0, 5, 2), False)] * 2
    found = choose_golden(drawn, encodings, with_pooled(logits), SCORINGS[0], [cooler])
    assert [row.body for row in found] == ["kept"]
    assert (
        choose_golden(drawn, encodings, with_pooled(logits), SCORINGS[0], [replace(cooler, department=SCORINGS[0])])
        == []
    )
