"""The labels file: aliases, retired and out-of-scope labels."""

import tomllib
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TicketRouterError
from training.data.labels import NO_RULES, LabelRules, alias_lines, load_rules, spellings

FILE = """
[department]
aliases = { "Billing  team" = "billing", "Support" = "help" }
retire = ["fax"]
out_of_scope = ["spam"]
[priority]
retire = ["legacy"]
"""


def rules_of(tmp_path: Path, text: str) -> LabelRules:
    path = tmp_path / "labels.toml"
    path.write_text(text, "utf-8")
    return load_rules(path)


def test_a_labels_file_is_read(tmp_path: Path) -> None:
    """Rules by field, their labels with single blanks as in the contract; without a file, none."""
    department = rules_of(tmp_path, FILE).of("department")
    assert department.aliases == {"Billing team": "billing", "Support": "help"}
    assert (department.retire, department.out_of_scope) == ({"fax"}, {"spam"})
    assert rules_of(tmp_path, FILE).of("intent") == NO_RULES.of("intent")
    assert load_rules(None) == NO_RULES


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("[department]\nalias = {}", r"department\.alias: "),
        ("retire = ['a']", "retire: "),
        ("[department]\naliases = { a = 'b', b = 'c' }", "'a' leads to 'b', which is an alias itself"),
        ("[department]\naliases = { a = 'b', b = 'a' }", "which is an alias itself"),
        ("[department]\naliases = { a = 'a' }", "which is an alias itself"),
        ("[department]\naliases = { a = 'b' }\nretire = ['b']", "which is retired; retire 'a' instead"),
        ("[department]\naliases = { a = 'b' }\nretire = ['a']", "'a' is an alias and stands in retire"),
        ("[department]\nretire = ['a']\nout_of_scope = ['a']", "'a' stands in retire and in out_of_scope"),
        ("[priority]\nout_of_scope = ['a']", "only .department. can"),
        ("[department", "not valid TOML"),
    ],
)
def test_a_contradictory_labels_file_is_refused(tmp_path: Path, text: str, why: str) -> None:
    """Unknown keys, chains and cycles of aliases, a label with two rules: one line with the file and the place."""
    with pytest.raises(TicketRouterError, match=why) as caught:
        rules_of(tmp_path, text)
    assert str(caught.value).startswith(f"{tmp_path / 'labels.toml'}: ")
    assert "\n" not in str(caught.value)


def test_a_missing_labels_file_is_refused(tmp_path: Path) -> None:
    """With its name."""
    with pytest.raises(TicketRouterError, match="cannot be read as a labels file"):
        load_rules(tmp_path / "none.toml")


def test_rules_without_effect_are_reported(tmp_path: Path) -> None:
    """A label that no row has and a field that is not learned are mostly mistakes."""
    seen = {"department": {"Billing team", "fax", "spam", "help"}}
    assert list(rules_of(tmp_path, FILE).unused(seen)) == [
        "labels file: [department] names labels that no row has: Support",
        "labels file: [priority] is none of the fields department; its rules are not used",
    ]


def test_spellings_are_merged_into_the_most_frequent() -> None:
    """Case, blanks and full-width letters make no other label; of equally frequent ones the first is kept."""
    counts = {"billing": 3, "Billing": 9, "tech support": 2, "Tech\u00a0Support": 2, "ｂｉｌｌｉｎｇ": 1, "bill": 5}
    assert spellings(counts) == {"billing": "Billing", "ｂｉｌｌｉｎｇ": "Billing", "Tech\u00a0Support": "tech support"}


@given(st.dictionaries(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.text("ab\"'\\= {}", min_size=1)))
def test_alias_lines_are_toml(aliases: dict[str, str]) -> None:
    """The output of `check` can be pasted into the labels file, for any labels."""
    assert tomllib.loads(alias_lines("department", aliases)) == {"department": {"aliases": aliases}}
