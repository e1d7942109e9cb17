"""What the Trainer is fed: the order of an epoch, padded batches, and general rows beside the company's own."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from models.encoding import Encoder
from models.errors import TicketRouterError
from models.fields import LabelSpace
from tests.support.learning import SPACE
from tests.support.rows import write_csv
from training.data.prepared import MISSING
from training.learn.classifier import load_classifier
from training.learn.general import read_general, resize_head, with_general
from training.learn.rows import Collator, EncodedRows, EpochSampler
from training.recipe import GeneralRecipe, Recipe


def sampler(lengths: list[int], *, drawn: int = 0, others: int = 0, group: int = 4) -> EpochSampler:
    return EpochSampler(lengths, len(lengths) - others, drawn, group, seed=13)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=300), st.integers(1, 9), st.integers(0, 5))
def test_an_epoch_has_every_own_row_once(lengths: list[int], group: int, epoch: int) -> None:
    """Whatever the lengths and the batch, no row is left out or seen twice."""
    order = sampler(lengths, group=group)
    order.set_epoch(epoch)
    assert sorted(order) == list(range(len(lengths)))


def test_the_order_follows_from_seed_and_epoch_alone() -> None:
    """A resumed epoch has the same order whatever was drawn before; another epoch has another."""
    first, second = sampler([3] * 50), sampler([3] * 50)
    first.set_epoch(0)
    list(first)
    orders = []
    for each in (first, second):
        each.set_epoch(2)
        torch.rand(1)
        orders.append(list(each))
    assert orders[0] == orders[1]
    second.set_epoch(3)
    assert list(second) != orders[0]


def test_batches_hold_rows_of_like_length_in_mixed_order() -> None:
    """Hardly any padding within a batch, and long batches do not all come first."""
    lengths = list(range(1, 401))
    order = list(sampler(lengths))
    batches = [order[start : start + 4] for start in range(0, len(order), 4)]
    spread = [max(lengths[row] for row in batch) - min(lengths[row] for row in batch) for batch in batches]
    assert sum(spread) / len(spread) < 15
    means = [sum(batch) for batch in batches]
    assert means not in (sorted(means), sorted(means, reverse=True))


def test_an_epoch_draws_its_share_of_general_rows_anew() -> None:
    """Every own row, as many general ones as asked, and others in the next epoch."""
    order = sampler([3] * 100, drawn=10, others=60)
    assert len(order) == 50
    seen = []
    for epoch in (0, 1):
        order.set_epoch(epoch)
        drawn = list(order)
        assert {row for row in drawn if row < 40} == set(range(40))
        seen.append({row for row in drawn if row >= 40})
    assert [len(each) for each in seen] == [10, 10]
    assert seen[0] != seen[1]


def test_the_collator_pads_rows_and_stacks_labels(encoder: Encoder) -> None:
    """A batch has the ids, their mask and one label per field for each row."""
    rows = [
        {"input_ids": (0, 5, 2), "labels": np.array([1, MISSING])},
        {"input_ids": (0, 2), "labels": np.array([0, 1])},
    ]
    batch = Collator(encoder)(rows)
    assert batch["input_ids"].shape == (2, 8 if torch.cuda.is_available() else 3)
    assert batch["attention_mask"].sum(dim=1).tolist() == [3, 2]
    assert batch["labels"].tolist() == [[1, MISSING], [0, 1]]


def general_recipe(tmp_path: Path, *labels: str, share: float = 0.2) -> Recipe:
    rows = [(f"text number {number}", label) for number, label in enumerate(labels)]
    path = write_csv(tmp_path / "general.csv", rows, ("text", "label"))
    return Recipe(general=GeneralRecipe(data=path, share=share))


def test_general_rows_stand_behind_the_own_ones_under_a_field_of_their_own(encoder: Encoder, tmp_path: Path) -> None:
    """Own rows miss the auxiliary field, general rows miss all others; the own fields keep their places."""
    general = read_general(general_recipe(tmp_path, "joy", "anger", "joy"))
    assert general is not None
    own = EncodedRows([encoder.encode("a"), encoder.encode("b")], np.array([[0, 1], [2, MISSING]]))
    space, rows = with_general(SPACE, own, general, encoder)
    assert space.fields[:2] == SPACE.fields
    assert space.fields[2].labels == ("anger", "joy")
    assert len(rows) == 5
    gone = MISSING
    assert rows.labels.tolist() == [[0, 1, gone], [2, gone, gone], [gone, gone, 1], [gone, gone, 0], [gone, gone, 1]]


def test_the_share_is_of_all_rows_of_an_epoch(tmp_path: Path) -> None:
    """A fifth of an epoch with 8 own rows is 2 general ones; never more than the file has."""
    general = read_general(general_recipe(tmp_path, "joy", "anger", "joy"))
    assert general is not None
    assert [general.drawn(own) for own in (4, 8, 1000)] == [1, 2, 3]


def test_without_general_data_there_is_none() -> None:
    """The default recipe names no file."""
    assert read_general(Recipe()) is None


def test_general_data_of_one_label_is_refused(tmp_path: Path) -> None:
    """One label teaches nothing."""
    with pytest.raises(TicketRouterError, match=r"general\.csv: 1 label"):
        read_general(general_recipe(tmp_path, "joy", "joy"))


def test_the_head_grows_and_is_cut_off_again(tiny_base: Path) -> None:
    """The own labels' weights stay first and unchanged; what lay behind them is gone."""
    model = load_classifier(tiny_base, SPACE, Recipe())
    before = model.head.weight.detach().clone()
    resize_head(model, LabelSpace.of({"department": SPACE.department.labels, "other": list("123456")}))
    assert model.head.out_features == 9
    resize_head(model, SPACE)
    assert torch.equal(model.head.weight, before)
    assert model.head.bias.shape == (5,)
