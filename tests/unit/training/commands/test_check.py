"""`training check`: is the file enough to start?"""

import re
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from models.errors import TicketRouterError
from tests.support.rows import CANARY, write_csv
from training.cli.format_check import check_lines, explain_lines
from training.commands.check import Readiness, assess, write_mapping, write_page
from training.data.importing.mapping import load_mapping
from training.data.importing.traps import ENOUGH_ROWS
from training.data.source import TicketFile


def assessed(
    tmp_path: Path,
    *rows: tuple[str, ...],
    fields: tuple[str, ...] = ("department",),
    header: tuple[str, ...] = ("subject", "department", "priority"),
    rules: str = "",
) -> Readiness:
    (tmp_path / "labels.toml").write_text(rules)
    table = write_csv(tmp_path / "t.csv", rows, header[: len(rows[0])])
    return assess(TicketFile(table, rules=tmp_path / "labels.toml"), fields, look_ahead=False)


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
        ([*many("a"), *many("b"), (CANARY, "z" * 101)], "rows that break the contract: 1"),
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
    found = assessed(tmp_path, ("x", "a"), ("X ", "a"), (" ", "b"), (CANARY, "y" * 101), (CANARY, "z" * 101))
    assert [(fault.line, fault.column, fault.what[:10]) for fault in found.faults] == [
        (5, "department", "a label ha"), (6, "department", "a label ha")
    ]  # fmt: skip
    assert found.faults[0].text.startswith("line 5, column 'department': a label has")
    assert (found.rows, found.left_out.duplicates, found.left_out.empty, found.empty_lines) == (5, 1, 1, (4,))
    assert CANARY not in str(found.faults)


def test_a_file_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    """A missing file is no verdict but an error."""
    with pytest.raises(TicketRouterError, match="cannot be read"):
        assess(TicketFile(tmp_path / "none.csv"), ("department",))


def test_the_forecast_says_what_is_missing(tmp_path: Path) -> None:
    """Few tickets route nothing at a high promise: the forecast says so, and about how many more are needed."""
    words = {"a": ("printer", "toner", "paper", "tray"), "b": ("invoice", "refund", "bank", "payment")}
    rows = [(f"{words[label][n % 4]} {words[label][n % 3]} floor {n}", label) for label in "ab" for n in range(45)]
    found = assess(TicketFile(write_csv(tmp_path / "t.csv", rows)), ("department",))
    assert found.forecast is not None
    assert [routed.target for routed in found.forecast.routed] == [0.90, 0.95]
    assert found.forecast.accuracy.value > 0.95
    assert found.forecast.routed[1].routed.high == 0
    assert any(re.search(r"at a promise of 95% about \d+ more tickets", line) for line in found.advice)
    assert any(line.startswith("forecast at a promise of 90%: ") for line in check_lines(found))


def test_the_same_text_under_two_departments_is_shown(tmp_path: Path) -> None:
    """Counted, with its rows, and with the setting that decides."""
    found = assessed(tmp_path, *many("a"), *many("b"), ("a 3", "b"), ("A  3", "b"))
    assert found.contradicting == 3
    assert [(row.where, row.label) for row in found.contradictions[0]] == [
        ("line 5", "a"), ("line 62", "b"), ("line 63", "b")
    ]  # fmt: skip
    assert any("1 texts in 3 rows (such as line 5 and line 62)" in line for line in found.advice)


def test_a_mapping_is_kept_and_the_next_export_compared(tmp_path: Path) -> None:
    """Next month the columns are taken from it; what is gone, new or shifted is told."""
    header = ("betreff", "desk", "wer")
    rows = [(*row, "x@a.example") for row in (*many("a", 60), *many("b", 60), *many("c"))]
    file = TicketFile(write_csv(tmp_path / "may.csv", rows, header), {"department": "desk", "requester": "wer"})
    write_mapping(assess(file, ("department",), look_ahead=False), file, tmp_path / "mapping.toml")
    kept = load_mapping(tmp_path / "mapping.toml")
    assert kept.columns == {"subject": "betreff", "department": "desk", "requester": "wer"}
    june = write_csv(tmp_path / "june.csv", [*many("a", 20), *many("b", 120), *many("d")], ("betreff", "desk"))
    found = assess(TicketFile(june, remembered=kept.columns), ("department",), kept, look_ahead=False)
    assert found.columns == {"subject": "betreff", "department": "desk"}
    assert "column 'wer' (for requester), which the mapping names, is gone" in found.notes
    changes = "\n".join(found.changes)
    for part in ("columns gone since", "labels gone since", ": c", "labels new since", ": d (30)", "a 40% → 12%"):
        assert part in changes


def test_explain_shows_each_role_with_the_command_that_changes_it(tmp_path: Path) -> None:
    """The column, why it was taken, and three of its values."""
    lines = list(explain_lines(assessed(tmp_path, *many("a"), *many("b")), [Path("my export.csv")]))
    assert lines[0] == "subject: column 'subject', by its name; for example: a 0 | a 1 | a 2"
    assert lines[1].startswith(
        "department: column 'department', by its name, a team's name; 2 labels; for example: a | b"
    )
    assert "python -m training check --data 'my export.csv' --column ROLE=COLUMN" in lines[-1]


def test_the_page_stands_alone_and_escapes_what_it_quotes(tmp_path: Path) -> None:
    """No script, nothing loaded; a ticket's markup is text."""
    rows = [*many("a"), *many("b"), ("<script>alert(1)</script>", "a"), ("<script>alert(1)</script>", "b")]
    write_page(assess(TicketFile(write_csv(tmp_path / "t.csv", rows)), ("department",)), tmp_path / "check.html")
    page = (tmp_path / "check.html").read_text("utf-8")
    assert "<script" not in page
    assert "&lt;script&gt;alert(1)" in page
    assert not re.search(r"(src|href)=\"(?!#)", page)
    for part in ("What a first bundle will do", "The same text under several departments: 2 rows", "What was read"):
        assert part in page


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
        "not_closed": 1, "unlabelled": 0, "retired": 1, "out_of_scope": 1, "empty": 0, "duplicates": 0
    }  # fmt: skip
    assert "  left out: 1 not closed, 1 retired, 1 out of scope" in check_lines(found)


def test_one_bad_column_does_not_hide_the_others(tmp_path: Path) -> None:
    """Faults are shown column by column, of each the first few, and the rest as a number."""
    rows = [(CANARY, "z" * 101 if number > 90 else "a", "x") for number in range(100)] + [("a", "a", "train")]
    lines = list(check_lines(assessed(tmp_path, *rows, header=("subject", "department", "split"))))
    assert sum("split is none of" in line for line in lines) == 10
    assert "  … and 90 more faults in column 'split'" in lines
    assert any(line.startswith("  line 93, column 'department': a label has over 100 characters") for line in lines)
    assert CANARY not in "\n".join(lines)
