"""`training check`: is the file enough to start?"""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from models.errors import TicketRouterError
from tests.support.rows import CANARY, write_csv
from training.calibration.sample_size import fewest_start
from training.cli.show import check_lines
from training.commands.check import ENOUGH_ROWS, Readiness, assess
from training.data.source import TicketFile
from training.recipe import PromiseRecipe


def assessed(
    tmp_path: Path,
    *rows: tuple[str, ...],
    fields: tuple[str, ...] = ("department",),
    header: tuple[str, ...] = ("subject", "department", "priority"),
    rules: str = "",
) -> Readiness:
    (tmp_path / "labels.toml").write_text(rules)
    table = write_csv(tmp_path / "t.csv", rows, header[: len(rows[0])])
    return assess(TicketFile(table, rules=tmp_path / "labels.toml"), fields)


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
    assert [(fault.line, fault.column, fault.what[:10]) for fault in found.faults] == [
        (5, "department", "department"), (6, "department", "a label ha")
    ]  # fmt: skip
    assert found.faults[0].text.startswith("line 5: department is empty")
    assert (found.rows, found.left_out.duplicates, found.left_out.empty, found.empty_lines) == (5, 1, 1, (4,))
    assert CANARY not in found.model_dump_json()


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A missing file is no verdict but an error."""
    with pytest.raises(TicketRouterError, match="cannot be read"):
        assess(TicketFile(tmp_path / "none.csv"), ("department",))


def test_too_few_rows_for_the_default_promise_are_told_so(tmp_path: Path) -> None:
    """Enough to start is not enough to route: the tickets that it takes are named, and so many are enough."""
    told = re.search(r"about (\d+) tickets", assessed(tmp_path, *many("a"), *many("b")).advice[0])
    assert told is not None
    enough = int(told[1])
    assert 0.19 < fewest_start(PromiseRecipe()) / enough < 0.21  # small data gives a fifth to calibration
    assert assessed(tmp_path, *many("a", enough - 50), *many("b", 50)).advice == ()
    assert assessed(tmp_path, *many("a", enough - 51), *many("b", 50)).advice != ()


def test_calibration_rows_of_the_files_own_count_as_they_are(tmp_path: Path) -> None:
    """A file that assigns them is told how many the promise takes."""
    rows = [
        (*row, "calibration" if number < 20 else "train") for number, row in enumerate([*many("a", 300), *many("b")])
    ]
    advice = assessed(tmp_path, *rows, header=("subject", "department", "split")).advice
    assert any(f"which takes {fewest_start(PromiseRecipe())} calibration rows" in line for line in advice)


def test_further_fields_are_in_the_verdict(tmp_path: Path) -> None:
    """Each field says how many of its labels have rows enough, and which need more; rows without one are counted."""
    rows = [(*row, "high" if number % 2 else "low") for number, row in enumerate((*many("a", 40), *many("b", 40)))]
    found = assessed(tmp_path, *rows, ("c", "a", "urgent"), ("d", "a", ""), fields=("department", "priority"))
    assert found.verdict == ("enough to start: 2 of 2 departments; 2 of 3 labels of priority; urgent needs 29 more")
    assert found.fields[1].missing == 1


def test_spellings_come_with_the_lines_that_merge_them(tmp_path: Path) -> None:
    """`Billing` and `billing` are one department to a person and two to the model: refused, with what to write."""
    rows = [*many("Billing", 40), *many("billing"), *many("sales")]
    found = assessed(tmp_path, *rows)
    assert not found.ready
    assert found.advice[1:3] == ("[department]", 'aliases = {billing = "Billing"}')
    assert assessed(tmp_path, *rows, rules="\n".join(found.advice[1:3])).ready


def test_rare_labels_are_named(tmp_path: Path) -> None:
    """One seen once comes with its line; one with too few rows to be learned is named with it."""
    advice = "\n".join(assessed(tmp_path, *many("a"), *many("b"), *many("c", 9), ("d", "d")).advice)
    assert "department: seen once: d (line 71)" in advice
    assert "department: not learned, as under 10 rows: c, d" in advice


def test_a_test_period_without_a_label_is_named(tmp_path: Path) -> None:
    """The newest tenth is the test: a label that stands not in it, or nowhere else, is told with a line."""
    start = datetime(2026, 1, 1)
    labels = [*["old"] * 50, *["a"] * 100, *["new"] * 10]
    rows = [(f"{n} x", label, (start + timedelta(days=n)).isoformat()) for n, label in enumerate(labels)]
    found = assessed(tmp_path, *rows, header=("subject", "department", "created_at"))
    advice = "\n".join(found.advice)
    assert "no row in the newest 10% (since 2026-05-25), which will be the test" in advice
    assert "not measured there: old (last in line 51)" in advice
    assert "so never learned: new (line 161)" in advice
    assert sum(found.slices["month"].values()) == 160
    own = [(*row[:2], "test" if row[1] == "new" else "train") for row in rows]
    advice = "\n".join(assessed(tmp_path, *own, header=("subject", "department", "split")).advice)
    assert "rows in the file's test rows alone, so never learned: new (line 161)" in advice


def test_signs_of_a_wrong_encoding_are_named(tmp_path: Path) -> None:
    """UTF-8 read as Windows-1252 is sound UTF-8 again, and unreadable: column and lines are told."""
    rows = [("größe".encode().decode("cp1252"), "a"), ("don’t".encode().decode("cp1252"), "b"), ("größe, don’t", "b")]
    assert any(line.startswith("subject: signs of a wrong encoding") and "line 2, line 3;" in line
               for line in assessed(tmp_path, *rows).advice)  # fmt: skip


def test_slices_and_what_is_left_out_are_counted(tmp_path: Path) -> None:
    """By language and length; and by the reason for which rows are not learned from."""
    rules = "[department]\nretire = ['fax']\nout_of_scope = ['spam']"
    rows = [("x", "a", "EN", "closed", ""), ("y " * 40, "a", "de", "closed", ""), ("z", "fax", "", "closed", ""),
            ("z", "spam", "", "closed", ""), ("z", "a", "", "open", ""),
            ("w", "a", "", "closed", "router")]  # fmt: skip
    header = ("subject", "department", "language", "status", "label_source")
    found = assessed(tmp_path, *rows, header=header, rules=rules)
    assert found.slices == {
        "language": {"de": 1, "en": 1},
        "label source": {"router_unchecked": 1},
        "length": {"  1-32 words": 2, " 33-64 words": 1},
    }
    assert found.left_out.model_dump() == {
        "not_closed": 1, "retired": 1, "out_of_scope": 1, "empty": 0, "duplicates": 0
    }  # fmt: skip
    assert "  left out: 1 not closed, 1 retired, 1 out of scope" in check_lines(found)


def test_one_bad_column_does_not_hide_the_others(tmp_path: Path) -> None:
    """Faults are shown column by column, of each the first few, and the rest as a number."""
    rows = [(CANARY, "" if number > 90 else "a", "x") for number in range(100)]
    lines = list(check_lines(assessed(tmp_path, *rows, header=("subject", "department", "split"))))
    assert sum("split is none of" in line for line in lines) == 10
    assert "  … and 90 more faults in column 'split'" in lines
    assert "  line 93: department is empty; fill it in or remove the row" in lines
    assert CANARY not in "\n".join(lines)
