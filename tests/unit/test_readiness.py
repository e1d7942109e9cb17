"""`training check`: is the file enough to start?"""

from pathlib import Path

import pytest

from models.errors import TicketRouterError
from tests.support.rows import CANARY, write_csv
from training.readiness import ENOUGH_ROWS, Readiness, assess


def assessed(tmp_path: Path, *rows: tuple[str, ...], fields: tuple[str, ...] = ("department",)) -> Readiness:
    header = ("subject", "department", "priority")[: len(rows[0])]
    return assess(write_csv(tmp_path / "t.csv", rows, header), fields, {})


def many(label: str, count: int = ENOUGH_ROWS) -> list[tuple[str, ...]]:
    return [(f"{label} {number}", label) for number in range(count)]


def test_two_departments_with_rows_enough_may_start(tmp_path: Path) -> None:
    """Thirty tickets in each of two departments are a start."""
    found = assessed(tmp_path, *many("a"), *many("b"))
    assert found.ready
    assert found.verdict == "enough to start: 2 of 2 departments"
    assert found.rows == 2 * ENOUGH_ROWS
    assert found.columns == {"subject": "subject", "department": "department"}


def test_scarce_departments_are_named_with_what_they_lack(tmp_path: Path) -> None:
    """A department with too few tickets does not hinder the start, and is told how many more it needs."""
    found = assessed(tmp_path, *many("a"), *many("b"), *many("c", 12))
    assert found.ready
    assert found.verdict == "enough to start: 2 of 3 departments; c needs 18 more"
    assert found.fields[0].scarce == ("c",)
    assert list(found.fields[0].counts.items()) == [("a", 30), ("b", 30), ("c", 12)]


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        ([*many("a"), *many("b", ENOUGH_ROWS - 1)], "fewer than two departments have 30 tickets"),
        (many("a"), "department has 1 label"),
        ([*many("a"), *many("b"), (CANARY, "")], "rows that break the contract: 1"),
    ],
)
def test_a_file_that_is_not_enough_says_why(tmp_path: Path, rows: list[tuple[str, ...]], why: str) -> None:
    """Too few tickets, one department only, or faults in rows: not ready, with the reason."""
    found = assessed(tmp_path, *rows)
    assert not found.ready
    assert found.verdict.startswith("not ready: ")
    assert why in found.verdict


def test_a_further_field_needs_two_values(tmp_path: Path) -> None:
    """A field that is the same in all rows cannot be learned."""
    rows = [(*row, "high") for row in (*many("a"), *many("b"))]
    found = assessed(tmp_path, *rows, fields=("department", "priority"))
    assert found.verdict == "not ready: priority has 1 label(s); it needs at least two"


def test_faults_are_listed_and_good_rows_still_counted(tmp_path: Path) -> None:
    """Each fault has its line and repeats no content; repeats and empty texts are counted."""
    found = assessed(tmp_path, ("x", "a"), ("X ", "a"), (" ", "b"), (CANARY, ""), (CANARY, "z" * 101))
    assert [(fault.line, fault.what[:10]) for fault in found.faults] == [(5, "department"), (6, "a label ha")]
    assert (found.rows, found.duplicates, found.empty) == (5, 1, 1)
    assert CANARY not in found.model_dump_json()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A missing file is no verdict but an error."""
    with pytest.raises(TicketRouterError, match="cannot be read"):
        assess(tmp_path / "none.csv", ("department",), {})


def test_too_few_rows_for_the_default_promise_are_told_so(tmp_path: Path) -> None:
    """Enough to start is not enough to route: that takes 86 calibration rows, a tenth of all, without an error."""
    assert "about 860 tickets" in assessed(tmp_path, *many("a"), *many("b")).advice[0]
    assert assessed(tmp_path, *many("a", 430), *many("b", 430)).advice == ()


def test_labels_that_differ_in_case_alone_are_pointed_out(tmp_path: Path) -> None:
    """`Billing` and `billing` are one department to a person and two to the model."""
    found = assessed(tmp_path, *many("Billing"), *many("billing"), *many("sales"))
    assert found.advice[0] == "department: labels that differ in case alone are learned apart: Billing, billing"
