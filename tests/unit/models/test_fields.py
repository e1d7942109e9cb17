"""The label space: fields' labels end to end in one logits vector."""

from itertools import chain

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.fields import LabelSpace

names = st.text("abcdefgh", min_size=1, max_size=6).filter(lambda name: name != "department")
catalogues = st.dictionaries(names, st.lists(st.text(max_size=8), min_size=2, max_size=6, unique=True), max_size=4)


@given(st.lists(st.text(max_size=8), min_size=2, max_size=6, unique=True), catalogues)
def test_slices_cover_the_logits_end_to_end(departments: list[str], others: dict[str, list[str]]) -> None:
    """Every logit belongs to exactly one field, in the catalogues' order."""
    space = LabelSpace.of({"department": departments, **others})
    covered = [number for field in space for number in range(space.size)[field.slice]]
    assert covered == list(range(space.size))
    assert [field.name for field in space] == ["department", *others]
    assert [label for field in space for label in field.labels] == [*departments, *chain.from_iterable(others.values())]


def test_flat_labels_name_the_field_and_the_label() -> None:
    """Each logit has a name of its own, though two fields may share a label."""
    space = LabelSpace.of({"department": ["a", "b"], "priority": ["a", "b"]})
    assert space.flat_labels == ["department=a", "department=b", "priority=a", "priority=b"]
    assert space.department.name == "department"


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "first field must be 'department'"),
        ({"priority": ["a", "b"]}, "first field must be 'department'"),
        ({"priority": ["a", "b"], "department": ["a", "b"]}, "first field must be 'department'"),
        ({"department": ["a"]}, "at least two labels, it has 1"),
        ({"department": ["a", "b"], "priority": []}, "'priority' needs at least two labels, it has 0"),
        ({"department": ["a", "b", "a"]}, "stands twice"),
    ],
)
def test_a_space_that_cannot_be_learned_is_refused(content: dict[str, list[str]], why: str) -> None:
    """No department first, fewer than two labels, or a label twice: refused with the reason."""
    with pytest.raises(ValueError, match=why):
        LabelSpace.of(content)
