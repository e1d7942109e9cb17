"""The moving average of the weights."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tests.support.learning import RECIPE, SPACE, encoded, fresh, rows
from training.learn.general import TrainingData
from training.learn.linear.head import fit_linear_head, pooled
from training.learn.optimizer import EVERY, WeightAverage, encoder_weights, towards_base
from training.run.trained import BASE_SHARES, settle_base_share


def net() -> nn.Linear:
    model = nn.Linear(1, 1, bias=False)
    nn.init.zeros_(model.weight)
    return model


def value(model: nn.Linear) -> float:
    return model.weight.item()


def test_the_average_follows_the_weights_with_its_decay() -> None:
    """Once the start is over, an update of four steps keeps decay^4 of the average."""
    model = net()
    average = WeightAverage(model, 0.9)
    nn.init.ones_(model.weight)
    average.update(1000)
    with average.applied():
        assert value(model) == pytest.approx(1 - 0.9**EVERY)
    assert value(model) == 1


def test_the_start_is_soon_forgotten() -> None:
    """Early on the decay is lower, so that random initial weights don't linger."""
    model = net()
    average = WeightAverage(model, 0.999)
    nn.init.ones_(model.weight)
    average.update(EVERY)
    with average.applied():
        assert value(model) == pytest.approx(1 - (5 / 14) ** EVERY)


def test_steps_between_updates_cost_nothing() -> None:
    """Only every fourth step is taken in."""
    model = net()
    average = WeightAverage(model, 0.5)
    nn.init.ones_(model.weight)
    average.update(EVERY + 1)
    assert average.state()["weight"].item() == 0


def test_training_goes_on_from_the_raw_weights() -> None:
    """After measuring, also after an error in it, the model and its optimiser hold the very same raw tensor."""
    model = net()
    average = WeightAverage(model, 0.9)
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    with pytest.raises(RuntimeError, match="measuring"), average.applied():
        raise RuntimeError("measuring failed")
    model(torch.ones(1, 1)).sum().backward()
    optimizer.step()
    assert value(model) == -1
    assert average.state()["weight"].item() == 0


def test_a_decay_of_0_is_no_average() -> None:
    """Raw and averaged weights are then the same, and nothing is kept."""
    model = net()
    average = WeightAverage(model, 0.0)
    nn.init.ones_(model.weight)
    average.update(EVERY)
    with average.applied():
        assert value(model) == 1
    assert average.state() == {}
    assert average.weights()["weight"].item() == 1


def test_frozen_weights_are_taken_as_they_are() -> None:
    """What does not learn is not averaged, but belongs to the whole model's weights."""
    model = nn.Sequential(net(), net())
    model[0].weight.requires_grad = False
    average = WeightAverage(model, 0.9)
    assert list(average.state()) == ["1.weight"]
    assert set(average.weights()) == {"0.weight", "1.weight"}


def test_a_loaded_state_goes_on_where_the_saved_one_was() -> None:
    """Average, save, load into another: both then take the same step alike."""
    model = net()
    first, second = WeightAverage(model, 0.9), WeightAverage(model, 0.9)
    nn.init.ones_(model.weight)
    first.update(100)
    second.load({name: tensor.clone() for name, tensor in first.state().items()})
    first.update(104)
    second.update(104)
    assert torch.equal(first.state()["weight"], second.state()["weight"])


def test_weights_go_back_towards_the_base(tiny_base: Path) -> None:
    """A share of the way, the encoder's alone."""
    model, _ = fresh(tiny_base, RECIPE)
    base = {name: value.detach().clone() for name, value in model.encoder.named_parameters()}
    with torch.no_grad():
        for value in model.parameters():
            value += 1
    head = model.head.weight.detach().clone()
    towards_base(model, base, 0.25)
    assert all(torch.allclose(value, base[name] + 0.75, atol=1e-5) for name, value in model.encoder.named_parameters())
    assert torch.equal(model.head.weight, head)


def test_weights_go_back_as_far_as_the_validation_rows_ask(tiny_base: Path) -> None:
    """Spoilt by noise: as far as is tried. Unchanged, where every share is the same: not at all."""
    model, encoder = fresh(tiny_base, RECIPE)
    base = encoder_weights(model)
    train = rows(encoder, 120)
    fit_linear_head(SPACE, pooled(model, encoder, train.encodings), train.labels).put_into(model)
    data = TrainingData(encoder, SPACE, train, train)
    assert settle_base_share(model, base, data, None, RECIPE) == 0
    with torch.no_grad():
        for value in model.encoder.parameters():
            value += 0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(3))
    spoilt = encoder_weights(model)
    assert settle_base_share(model, base, data, None, RECIPE) == BASE_SHARES[-1]
    assert all(
        torch.allclose(value, spoilt[name].lerp(base[name], BASE_SHARES[-1]), atol=1e-5)
        for name, value in model.encoder.named_parameters()
    )


def test_a_share_of_the_recipe_is_taken_as_it_is(tiny_base: Path) -> None:
    model, encoder = fresh(tiny_base, RECIPE)
    none = encoded([], np.zeros((0, 2), np.int64))
    recipe = RECIPE.model_copy(update={"base_share": 0.3})
    data = TrainingData(encoder, SPACE, none, none)
    assert settle_base_share(model, encoder_weights(model), data, None, recipe) == 0.3
