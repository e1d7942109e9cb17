"""Common problems of exports."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from training.data.importing.traps import is_placeholder, label_traps, names_label, paths_of, with_line_breaks


def test_paths_are_shortened_to_a_level_with_enough_rows() -> None:
    """Unchanged if whole labels have enough rows, else the deepest level that has; the user's level takes
    precedence."""
    small = {f"{top} > {low}": 10 for top in ("hardware", "billing") for low in "abcd"}
    found = paths_of(small, None)
    assert found is not None
    assert (found.level, found.cut("hardware > a")) == (1, "hardware")
    large = paths_of(dict.fromkeys(small, 40), None)
    assert large is not None
    assert large.cut("hardware > a") == "hardware > a"
    asked = paths_of(small, 0)
    assert asked is not None
    assert asked.cut("hardware > a") == "hardware > a"


def test_labels_with_a_slash_in_a_name_are_no_paths() -> None:
    """`IT/Support` beside plain labels is a name."""
    assert paths_of({"IT/Support": 40, "billing": 40, "sales": 40}, None) is None


@given(st.dictionaries(st.text("ab> /:", max_size=9), st.integers(1, 50), max_size=8), st.integers(0, 4) | st.none())
def test_shortening_paths_twice_changes_nothing_more(counts: dict[str, int], level: int | None) -> None:
    """For any labels."""
    found = paths_of(counts, level)
    if found is not None:
        assert all(found.cut(found.cut(label)) == found.cut(label) for label in counts)


def test_suspicious_labels_are_named() -> None:
    """A label of nearly all rows, lists of labels, and numbers."""
    assert "99% of all rows" in next(label_traps("department", {"general": 990, "billing": 10}))
    assert "a list for a label" in next(label_traps("department", {"a": 40, "b": 40, "a, b": 20}))
    assert "are numbers" in next(label_traps("department", {"4711": 40, "4712": 40}))
    assert list(label_traps("department", {"billing": 40, "sales, europe": 40})) == []


def test_placeholders_in_five_languages_are_no_labels() -> None:
    """A real label is none of them."""
    assert all(
        map(is_placeholder, ["nan", "N/A", "-", "Unassigned", "Nicht zugewiesen", "Sin asignar", "Aucun", " None "])
    )
    assert not any(map(is_placeholder, ["billing", "x", "Other", "NAS team"]))


def test_a_label_in_brackets_is_found() -> None:
    """In any brackets and case, not as a plain word."""
    assert names_label("Re: [Billing] charge", "billing")
    assert not names_label("billing question", "billing")


@given(st.text("ab\\\\n\n:C r", max_size=30))
def test_escaped_line_breaks_are_converted_only_in_texts_without_real_ones(text: str) -> None:
    """A text with a real line break is unchanged."""
    found = with_line_breaks(text)
    assert found == text or ("\n" not in text and "\\n" in text)


@pytest.mark.parametrize("label", ["-None-", "(not set)", "<unassigned>", "N. A.", "***", "Sem grupo"])
def test_placeholders_in_brackets_and_dashes_are_none(label: str) -> None:
    assert is_placeholder(label)


def test_combinations_of_recurring_tags_are_lists() -> None:
    counts = {f"{team},vip,{kind}": 10 for team in ("hardware", "network") for kind in "ab"}
    assert any("list for a label" in note for note in label_traps("department", counts))
