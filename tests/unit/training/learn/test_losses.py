"""The loss over all fields: its terms, their weights, and missing values."""

import numpy as np
import pytest
import torch
from torch import nn

from models.fields import LabelSpace
from training.data.prepared import MISSING
from training.learn.losses import FieldsLoss, class_weights, divergence, training_loss, twice
from training.recipe import Recipe

SPACE = LabelSpace.of({"department": ["a", "b", "c"], "priority": ["x", "y"]})


def logits(rows: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(rows, SPACE.size, generator=torch.Generator().manual_seed(seed), requires_grad=True)


def gradient(values: torch.Tensor) -> torch.Tensor:
    assert values.grad is not None
    return values.grad


def test_the_loss_is_the_mean_over_the_fields() -> None:
    """Each field's cross-entropy over its own slice, all fields alike with any number of labels."""
    values, labels = logits(4), torch.tensor([[0, 1], [1, 0], [2, 0], [0, 1]])
    department = nn.functional.cross_entropy(values[:, :3], labels[:, 0])
    priority = nn.functional.cross_entropy(values[:, 3:], labels[:, 1])
    assert FieldsLoss(SPACE)(values, labels).item() == pytest.approx(((department + priority) / 2).item())


def test_a_row_of_half_weight_has_half_the_gradient() -> None:
    """The other rows' gradients are unchanged."""
    whole, half, labels = logits(2), logits(2), torch.tensor([[0, 1], [1, 0]])
    FieldsLoss(SPACE)(whole, labels).backward()  # type: ignore[no-untyped-call]
    FieldsLoss(SPACE)(half, labels, torch.tensor([1.0, 0.5])).backward()  # type: ignore[no-untyped-call]
    assert torch.allclose(gradient(half), gradient(whole) * torch.tensor([[1.0], [0.5]]))


@pytest.mark.parametrize(
    "loss",
    [
        FieldsLoss(SPACE, smoothing=0.1),
        FieldsLoss(SPACE, gamma=2.0),
        FieldsLoss(SPACE, weights=(torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0]))),
    ],
)
def test_a_missing_value_has_no_gradient(loss: FieldsLoss) -> None:
    """Not in that field's logits, and the other rows count as if the row were not there."""
    values, labels = logits(3), torch.tensor([[0, MISSING], [1, 0], [2, 1]])
    loss(values, labels).backward()
    assert (gradient(values)[0, 3:] == 0).all()
    assert (gradient(values)[0, :3] != 0).all()
    alone = logits(3)
    loss(alone[1:], labels[1:]).backward()
    assert torch.allclose(gradient(alone)[1:, 3:], gradient(values)[1:, 3:])


def test_a_field_without_values_adds_no_loss() -> None:
    """A batch without any priority trains the department alone."""
    values, labels = logits(2), torch.tensor([[0, MISSING], [1, MISSING]])
    department = nn.functional.cross_entropy(values[:, :3], labels[:, 0])
    assert FieldsLoss(SPACE)(values, labels).item() == pytest.approx(department.item())


def test_a_batch_without_any_value_has_a_loss_of_0() -> None:
    """With a gradient, not NaN."""
    values, nothing = logits(2), torch.full((2, 2), MISSING)
    loss = FieldsLoss(SPACE, 0.1)(values, nothing) + divergence(values, values, nothing, SPACE)
    loss.backward()
    assert loss.item() == 0
    assert (gradient(values) == 0).all()


def test_smoothing_penalises_confidence_and_focal_loss_discounts_it() -> None:
    """With label smoothing, full confidence in the right label still has a loss; focal loss reduces that of
    confident rows."""
    sure, labels = torch.tensor([[3.0, 0, 0, 3, 0]]), torch.tensor([[0, 0]])
    plain = FieldsLoss(SPACE)(sure, labels).item()
    assert FieldsLoss(SPACE, smoothing=0.1)(sure, labels).item() > 2 * plain
    assert FieldsLoss(SPACE, gamma=2.0)(sure, labels).item() < 0.05 * plain


def test_focal_loss_is_the_published_one() -> None:
    """(1 - p)^gamma times the cross-entropy, p the probability of the row's label."""
    values, labels = logits(4), torch.tensor([[0, MISSING], [1, MISSING], [2, MISSING], [0, MISSING]])
    right = values[:, :3].softmax(dim=1).gather(1, labels[:, :1])
    assert FieldsLoss(SPACE, gamma=1.5)(values, labels).item() == pytest.approx(
        (-((1 - right) ** 1.5) * right.log()).mean().item()
    )


@pytest.mark.parametrize(("kind", "ratio"), [("none", 1), ("sqrt", 2), ("balanced", 4)])
def test_class_weights_raise_rare_labels(kind: str, ratio: float) -> None:
    """A label four times rarer counts 1, 2 or 4 times as much; the rows' mean weight is 1, without missing values."""
    wanted = np.array([0] * 8 + [1] * 2 + [MISSING] * 5)
    weights = class_weights(wanted, 2, kind)
    assert weights[1] / weights[0] == pytest.approx(ratio)
    assert weights[wanted[:10]].mean().item() == pytest.approx(1)


def test_each_field_has_its_own_weights() -> None:
    """The recipe's class weights reach the loss, field by field, from the training rows' labels."""
    labels = np.array([[0, 0], [0, 0], [0, 1], [1, MISSING], [2, 0]])
    assert training_loss(SPACE, labels, Recipe(), auxiliary=False).weights is None
    found = training_loss(SPACE, labels, Recipe(class_weights="balanced"), auxiliary=False).weights
    assert found is not None
    assert [weights.shape[0] for weights in found] == [3, 2]
    assert found[0].tolist() == pytest.approx([5 / 9, 5 / 3, 5 / 3])
    assert found[1].tolist() == pytest.approx([4 / 6, 2])


def test_validation_uses_the_plain_loss() -> None:
    """Smoothing, focal loss and weights apply to training; validation is cross-entropy."""
    labels = np.array([[0, 0], [0, 1], [1, 0], [2, 0]])
    loss = training_loss(SPACE, labels, Recipe(loss="focal", class_weights="sqrt"), auxiliary=False)
    values = logits(4)
    assert loss.plain(values, torch.from_numpy(labels)).item() == pytest.approx(
        FieldsLoss(SPACE)(values, torch.from_numpy(labels)).item()
    )


def test_general_rows_count_in_proportion_to_their_number() -> None:
    """A batch with one general row of four has a quarter of its loss from it, and none of the own fields."""
    values, labels = logits(4), torch.tensor([[0, MISSING], [1, MISSING], [2, MISSING], [MISSING, 1]])
    own = nn.functional.cross_entropy(values[:3, :3], labels[:3, 0])
    general = nn.functional.cross_entropy(values[3:, 3:], labels[3:, 1])
    found = FieldsLoss(SPACE, auxiliary=True)(values, labels)
    assert found.item() == pytest.approx((0.75 * own + 0.25 * general).item())


def test_divergence_is_the_symmetric_kl_of_the_rows_that_have_the_field() -> None:
    """Equal passes have a divergence of 0; of unequal ones, only rows with a value are compared."""
    first, second, labels = logits(3), logits(3, seed=2), torch.tensor([[0, MISSING], [1, MISSING], [MISSING, MISSING]])
    assert divergence(first, first, labels, SPACE).item() == 0
    one, other = (values[:2, :3].log_softmax(dim=1) for values in (first, second))
    kl = nn.functional.kl_div
    wanted = kl(one, other, log_target=True, reduction="batchmean") + kl(
        other, one, log_target=True, reduction="batchmean"
    )
    assert divergence(first, second, labels, SPACE).item() == pytest.approx(wanted.item() / 2, rel=1e-5)


def test_two_passes_have_their_own_dropout() -> None:
    """The same rows are passed twice in one step, with different units dropped."""
    dropout = nn.Dropout(0.5)
    torch.manual_seed(3)
    first, second = twice(lambda x: {"logits": dropout(x)}, {"x": torch.ones(2, 50)})
    assert first.shape == second.shape == (2, 50)
    assert not torch.equal(first, second)
