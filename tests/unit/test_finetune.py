"""The loss over all fields, learning rates by layer, and what the Trainer is fed."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from transformers import EvalPrediction

from models.encoding import Encoder
from models.fields import LabelSpace
from training.data.split import MISSING
from training.learn.classifier import TicketClassifier, load_classifier, load_encoder, mean_pool
from training.learn.finetune import (
    Collator,
    DepartmentF1,
    computes_bf16,
    fields_loss,
    learning_rate,
    parameter_groups,
    predict,
)
from training.recipe import Recipe

SPACE = LabelSpace.of({"department": ["a", "b", "c"], "priority": ["x", "y"]})


@pytest.fixture(scope="module")
def model(tiny_base: Path) -> TicketClassifier:
    return load_classifier(tiny_base, SPACE, Recipe())


@pytest.fixture(scope="module")
def encoder(tiny_base: Path, model: TicketClassifier) -> Encoder:
    return load_encoder(tiny_base, model.config, Recipe(max_tokens=32))


def logits(rows: int) -> torch.Tensor:
    return torch.randn(rows, SPACE.size, generator=torch.Generator().manual_seed(1), requires_grad=True)


def test_the_loss_is_the_mean_over_the_fields() -> None:
    """Each field's cross-entropy over its own slice, all fields alike however many labels they have."""
    values, labels = logits(4), torch.tensor([[0, 1], [1, 0], [2, 0], [0, 1]])
    department = nn.functional.cross_entropy(values[:, :3], labels[:, 0])
    priority = nn.functional.cross_entropy(values[:, 3:], labels[:, 1])
    assert fields_loss(values, labels, SPACE, 0.0).item() == pytest.approx(((department + priority) / 2).item())


def test_a_missing_value_moves_nothing() -> None:
    """A row without a field has no gradient in that field's logits, and the others count as if it were not there."""
    values, labels = logits(3), torch.tensor([[0, MISSING], [1, 0], [2, 1]])
    fields_loss(values, labels, SPACE, 0.1).backward()
    assert values.grad is not None
    assert (values.grad[0, 3:] == 0).all()
    assert (values.grad[0, :3] != 0).all()
    alone = logits(3)
    fields_loss(alone[1:], labels[1:], LabelSpace.of({"department": ["a", "b", "c"], "p": ["x", "y"]}), 0.1).backward()
    assert alone.grad is not None
    assert torch.allclose(alone.grad[1:, 3:], values.grad[1:, 3:])


def test_a_field_no_row_has_adds_nothing() -> None:
    """A batch in which nobody has a priority learns the department alone."""
    values, labels = logits(2), torch.tensor([[0, MISSING], [1, MISSING]])
    department = nn.functional.cross_entropy(values[:, :3], labels[:, 0])
    assert fields_loss(values, labels, SPACE, 0.0).item() == pytest.approx(department.item())


def test_a_batch_without_any_value_has_no_loss() -> None:
    """Nothing to learn is a loss of 0 that can still be sent back, not NaN."""
    values = logits(2)
    loss = fields_loss(values, torch.full((2, 2), MISSING), SPACE, 0.1)
    loss.backward()
    assert loss.item() == 0
    assert values.grad is not None
    assert (values.grad == 0).all()


def test_smoothing_costs_the_sure() -> None:
    """With label smoothing, being entirely sure of the right label is not free."""
    sure, labels = torch.tensor([[20.0, 0, 0, 20, 0]]), torch.tensor([[0, 0]])
    assert fields_loss(sure, labels, SPACE, 0.0).item() < 1e-6
    assert fields_loss(sure, labels, SPACE, 0.1).item() > 0.5


def test_every_parameter_learns_once(model: TicketClassifier) -> None:
    """The groups hold each parameter exactly once."""
    grouped = [parameter for group in parameter_groups(model, Recipe()) for parameter in group["params"]]
    assert len(grouped) == len({id(parameter) for parameter in grouped}) == len(list(model.parameters()))


def test_lower_layers_learn_slower(model: TicketClassifier) -> None:
    """From the head down over two layers to the embeddings, each learns slower by the recipe's factor."""
    recipe = Recipe(learning_rate=1e-3, layer_decay=0.5, head_multiplier=10)
    rates = {id(p): group["lr"] for group in parameter_groups(model, recipe) for p in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert found["head.weight"] == found["head.bias"] == pytest.approx(1e-2)
    for name, rate in found.items():
        if ".layer.1." in name:
            assert rate == pytest.approx(1e-3)
        if ".layer.0." in name:
            assert rate == pytest.approx(5e-4)
        if ".embeddings." in name:
            assert rate == pytest.approx(2.5e-4)


def test_norms_and_biases_do_not_decay(model: TicketClassifier) -> None:
    """Weight decay is for matrices; vectors (biases, norms) are left alone."""
    for group in parameter_groups(model, Recipe(weight_decay=0.1)):
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim >= 2 else 0.0)


def test_the_learning_rate_follows_the_width() -> None:
    """Narrow encoders learn faster than wide ones, which break at that rate; a recipe's own rate wins."""
    assert learning_rate(384, Recipe()) == 3e-4
    assert learning_rate(768, Recipe()) == 5e-5
    assert learning_rate(768, Recipe(learning_rate=1e-4)) == 1e-4


def test_arithmetic_is_the_recipes() -> None:
    """fp32 and bf16 are taken at their word; auto asks the machine."""
    assert not computes_bf16(Recipe(arithmetic="fp32"))
    assert computes_bf16(Recipe(arithmetic="bf16"))
    assert isinstance(computes_bf16(Recipe()), bool)


def test_padding_does_not_change_a_logit(model: TicketClassifier, encoder: Encoder) -> None:
    """A row's logits are the same alone as in a batch with longer rows, and come back in their order."""
    texts = ["refund", "I was charged twice for the same month " * 5, "the label cannot be printed", "a"]
    encodings = [encoder.encode(text) for text in texts]
    together = predict(model, encoder, encodings, batch_size=2)
    alone = np.concatenate([predict(model, encoder, [each]) for each in encodings])
    assert together.dtype == np.float32
    assert np.abs(together - alone).max() < 1e-5


def test_prediction_is_repeatable(model: TicketClassifier, encoder: Encoder) -> None:
    """Dropout is off while predicting, whatever mode the model was left in."""
    encodings = [encoder.encode("refund"), encoder.encode("invoice")]
    model.train()
    first = predict(model, encoder, encodings)
    assert (predict(model, encoder, encodings) == first).all()


def test_the_mean_is_over_real_tokens() -> None:
    """Padding does not count in the pooled vector, and a row of nothing but padding is zero, not NaN."""
    hidden = torch.tensor([[[1.0], [3.0], [99.0]], [[5.0], [5.0], [5.0]]])
    pooled = mean_pool(hidden, torch.tensor([[1, 1, 0], [0, 0, 0]]))
    assert pooled.tolist() == [[2.0], [0.0]]


def test_both_poolings_give_logits(tiny_base: Path, encoder: Encoder) -> None:
    """`cls` takes the first token, `mean` all of them: two networks of the same shape and different answers."""
    batch = encoder.batch([encoder.encode("I was charged twice")])
    inputs = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
    answers = []
    for pooling in ("mean", "cls"):
        torch.manual_seed(3)
        model = load_classifier(tiny_base, SPACE, Recipe(pooling=pooling)).eval()
        answers.append(model(*inputs)["logits"])
    assert answers[0].shape == answers[1].shape == (1, SPACE.size)
    assert not torch.allclose(*answers)


def test_the_collator_pads_rows_and_stacks_labels(encoder: Encoder) -> None:
    """A batch has the ids, their mask and one label per field for each row."""
    rows = [
        {"input_ids": (0, 5, 2), "labels": np.array([1, MISSING])},
        {"input_ids": (0, 2), "labels": np.array([0, 1])},
    ]
    batch = Collator(encoder)(rows)
    assert batch["input_ids"].shape == (2, 8)
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 2]
    assert batch["labels"].tolist() == [[1, MISSING], [0, 1]]


def test_early_stopping_looks_at_the_department_alone() -> None:
    """Macro-F1 is of the department's slice, whatever the other fields do."""
    values = np.array([[9.0, 0, 0, 0, 99], [0, 9, 0, 99, 0], [0, 9, 0, 0, 99]])
    labels = np.array([[0, 0], [1, 1], [2, MISSING]])
    found = DepartmentF1(SPACE)(EvalPrediction(predictions=values, label_ids=labels))
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)
