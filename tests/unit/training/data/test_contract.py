"""The data contract: columns, cells and their faults."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import TicketRouterError
from tests.support.rows import CANARY, write_csv
from training.data.contract import Checked, check_tables, label_counts
from training.data.formats.table import Record, Table
from training.data.importing.plan import ReadOptions
from training.data.labels import NO_RULES, LabelRules
from training.data.source import TicketFile, read_tickets


def table(columns: Sequence[str], *rows: Sequence[str]) -> Table:
    records = tuple(Record(line, dict(zip(columns, cells, strict=True))) for line, cells in enumerate(rows, start=2))
    return Table(Path("t.csv"), tuple(columns), records)


def checked(
    columns: Sequence[str],
    *rows: Sequence[str],
    fields: Sequence[str] = ("department",),
    mapping: Mapping[str, str] | None = None,
    rules: LabelRules = NO_RULES,
) -> Checked:
    return check_tables([table(columns, *rows)], fields, ReadOptions(mapping or {}), rules)


def refusal(columns: Sequence[str], **options: object) -> str:
    with pytest.raises(TicketRouterError) as caught:
        checked(columns, ["a"] * len(columns), **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return str(caught.value)


def only_fault(columns: Sequence[str], good: Sequence[str], bad: Sequence[str], **options: object) -> str:
    found = checked(columns, good, bad, **options)  # type: ignore[arg-type]
    assert [row.line for row in found.rows] == [2]
    assert [fault.line for fault in found.faults] == [3]
    assert CANARY not in str(found.faults[0])
    return found.faults[0].what


def test_a_row_becomes_a_ticket() -> None:
    """Every role gets its cell; the label's outer and doubled spaces are removed, its inner ones stay."""
    columns = ("ID", "Subject", "Description", "Team", "From", "Date", "split", "content_type", "other")
    cells = ("7", " s ", "<p>b</p>", "  tech  support ", "a@b.example", "2026-01-02", "Dev", "text/HTML", "x")
    row = checked(columns, cells).rows[0]
    assert (row.ticket.id, row.ticket.subject, row.ticket.body) == ("7", " s ", "<p>b</p>")
    assert (row.ticket.sender, row.ticket.content_type) == ("a@b.example", "text/html")
    assert row.labels == {"department": "tech support"}
    assert (row.split, row.line) == ("validation", 2)
    assert row.created_at == datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize("name", ["department", "label", "team", "group", "queue", "category", "Department", "QUEUE"])
def test_usual_names_of_the_department_are_found(name: str) -> None:
    """Helpdesks' usual names of the department are recognised without a mapping."""
    assert checked(["text", name], ["a", "x"]).columns["department"] == name


def test_a_mapped_column_takes_precedence() -> None:
    """Even over a column with the usual name."""
    found = checked(["text", "department", "desk"], ["a", "x", "y"], mapping={"department": "desk"})
    assert found.rows[0].labels["department"] == "y"


def test_further_fields_are_read_and_may_be_missing() -> None:
    """A field's empty cell is no label, rather than an empty one; an unnamed column is ignored."""
    found = checked(
        ["text", "label", "priority"], ["a", "x", " "], ["b", "y", "high"], fields=("department", "priority")
    )
    assert [row.labels["priority"] for row in found.rows] == [None, "high"]
    assert label_counts(found.rows, "priority") == {"high": 1}


@pytest.mark.parametrize(
    ("columns", "options", "why"),
    [
        (["label"], {}, "no column with text"),
        (["text", "floor"], {}, "no column department or label"),
        (["text", "label"], {"fields": ("department", "priority")}, "no column priority"),
        (["text", "label"], {"mapping": {"department": "desk"}}, "no column 'desk'"),
        (["text", "label"], {"mapping": {"departement": "text"}}, "'departement'"),
    ],
)
def test_a_missing_column_is_refused_with_the_existing_ones(
    columns: Sequence[str], options: dict[str, object], why: str
) -> None:
    """No text, no label, a mapped column that is missing or an unknown role: refused with the choices."""
    message = refusal(columns, **options)
    assert why in message
    assert "it has: " in message or "the roles are" in message


def test_names_of_columns_cannot_break_the_line() -> None:
    """Unusual column names, or a whole mail in place of the header, give one short line."""
    message = refusal(["a\nerror: fine\x1b[31m", "x" * 5000, "Größe"])
    assert len(message) < 500
    assert "Größe" in message


@pytest.mark.parametrize(
    ("column", "cell", "why"),
    [
        ("label", CANARY + "x" * 100, "over 100 characters"),
        ("priority", CANARY + "x" * 100, "over 100 characters"),
        ("split", CANARY, "split is none of"),
    ],
)
def test_a_bad_cell_is_a_fault_of_its_row(column: str, cell: str, why: str) -> None:
    """The fault is described without repeating the cell."""
    columns = ["text", "label", *({column} - {"label"})]
    good = {"text": "a", "label": "x", "split": "train", "priority": "high"}
    fields = ("department", "priority") if column == "priority" else ("department",)
    rows = [[cells[name] for name in columns] for cells in (good, good | {column: cell})]
    assert why in only_fault(columns, *rows, fields=fields)


@pytest.mark.parametrize("value", ["text/html; charset=utf-8", "TEXT/PLAIN;charset=us-ascii", " text/html ", ""])
def test_a_content_type_may_have_parameters(value: str) -> None:
    """As in mail headers."""
    wanted = "text/html" if "html" in value else "text/plain"
    assert checked(["text", "label", "content_type"], ["a", "x", value]).rows[0].ticket.content_type == wanted


def test_all_faults_are_kept_with_their_lines() -> None:
    """One bad row does not hide the next one, nor valid rows."""
    found = checked(["text", "label"], ["a", "x"], ["b", "y" * 101], ["c", "y"], ["d", "z" * 101])
    assert [fault.line for fault in found.faults] == [3, 5]
    assert ([row.line for row in found.rows], found.faulty) == ([2, 4], 2)


def test_faults_stop_a_run_unless_they_are_skipped(tmp_path: Path) -> None:
    """The first fault and the number of the others; with `skip_faulty` the valid rows, and the number of those left
    out."""
    path = write_csv(tmp_path / "t.csv", [("a", "x"), ("b", "y" * 101), ("c", "y"), ("d", "z" * 101)])
    with pytest.raises(TicketRouterError, match=r"t\.csv: line 3, column 'department': a label has .*and 1 more rows"):
        read_tickets(TicketFile(path), ("department",))
    skipped = read_tickets(TicketFile(path, skip_faulty=True), ("department",))
    assert ([row.line for row in skipped.rows], skipped.faulty) == ([2, 4], 2)


@pytest.mark.parametrize(
    ("cell", "part"),
    [("train", "train"), ("Training", "train"), (" val ", "validation"), ("dev", "validation"), ("TEST", "test"),
     ("cal", "calibration"), ("", "")],
)  # fmt: skip
def test_usual_names_of_the_parts_are_recognised(cell: str, part: str) -> None:
    """In any case and with spaces around."""
    assert checked(["text", "label", "split"], ["a", "x", cell]).rows[0].split == part


def test_a_fault_names_its_column_as_in_the_file() -> None:
    """A user looks for `Desk`, not for its role; if both are equal, the name is given once."""
    found = checked(["text", "Desk"], ["a", "z" * 101], ["b", "x"], mapping={"department": "Desk"})
    assert (found.faults[0].line, found.faults[0].column) == (2, "Desk")
    assert str(found.faults[0]).startswith("line 2, column 'Desk': a label has over")


def test_every_fault_of_a_row_is_kept() -> None:
    """Two bad cells of a row are two faults, so that one correction of the file suffices."""
    found = checked(["text", "label", "split"], ["a", "z" * 101, "x"], ["b", "y", "train"])
    assert [(fault.line, fault.column) for fault in found.faults] == [(2, "label"), (2, "split")]


def test_thread_language_and_source_are_read() -> None:
    """The later steps need them to keep rows together or apart."""
    columns = ["text", "label", "Conversation ID", "locale", "label_source"]
    row = checked(columns, ["a", "x", " t1 ", "DE", "Agent"]).rows[0]
    assert (row.thread, row.language, row.label_source, row.created_at) == ("t1", "de", "agent", None)


def test_open_tickets_are_left_out_and_counted() -> None:
    """With a status other than closed, solved or resolved; an open ticket's empty department is no fault."""
    rows = [["a", "x", "Closed"], ["b", "", "open"], ["c", "x", "solved"], ["d", "y", "pending"]]
    found = checked(["text", "label", "status"], *rows)
    assert ([row.line for row in found.rows], found.not_closed, found.faults) == ([2, 4], 2, ())


def test_a_ticket_without_its_closing_date_is_open() -> None:
    """If the file has no status; a column without any date is ignored."""
    assert checked(["text", "label", "closed_at"], ["a", "x", "2026-01-02"], ["b", "y", ""]).not_closed == 1
    assert checked(["text", "label", "closed_at"], ["a", "x", ""], ["b", "y", ""]).not_closed == 0


@pytest.mark.parametrize("source", ["router_unchecked", "router", "Auto", " model ", "prediction"])
def test_a_label_assigned_by_the_router_is_recognised(source: str) -> None:
    """By the usual words of exports too; its row is kept, and its weight is decided later."""
    found = checked(["text", "label", "label_source"], ["a", "x", source], ["b", "y", "agent"], ["c", "y", ""])
    assert [row.label_source for row in found.rows] == ["router_unchecked", "agent", None]


def test_a_source_outside_the_closed_set_is_a_fault() -> None:
    found = checked(["text", "label", "label_source"], ["a", "x", "hearsay"], ["b", "y", "audit"])
    assert [(fault.line, fault.column) for fault in found.faults] == [(2, "label_source")]
    assert "agent, close, import, audit, router_unchecked" in str(found.faults[0])
    assert "hearsay" not in str(found.faults[0])


def test_a_file_without_a_closed_ticket_is_refused() -> None:
    """The counts give the reasons, and the status's column is named, since it may be another column."""
    with pytest.raises(TicketRouterError, match=r"no row to learn from: of its rows 2 are not closed; .*'Status'"):
        checked(["text", "label", "Status"], ["a", "x", "open"], ["b", "y", "new"])


def test_a_status_without_a_known_closed_state_is_refused() -> None:
    """The program does not guess; the user's word for closed, or leaving the column out, decides."""
    columns, rows = ["text", "label", "Status"], [["a", "x", "gold"], ["b", "y", "silver"]]
    with pytest.raises(
        TicketRouterError, match=r"no state that is known as closed: .*--closed gold, or --column status="
    ):
        checked(columns, *rows)
    assert len(checked(columns, *rows, mapping={"status": ""}).rows) == 2
    found = check_tables([table(columns, *rows)], ("department",), ReadOptions(closed=("gold",)))
    assert [row.line for row in found.rows] == [2]
    assert "unknown states in 'Status', not learned from: 'silver' (1)" in found.notes[0]


def test_impossible_dates_cost_no_row() -> None:
    """A future date, one long past, an unreadable one: reported with the first row, and the row has no date."""
    rows = [
        ["a", "x", "2026-01-03", "2026-01-01"],
        ["b", "x", "2999-01-01", "2999-01-02"],
        ["c", "x", "0001-01-01", "2026-01-01"],
        ["d", "x", CANARY, "2026-01-01"],
        ["e", "x", "2026-01-01 10:00", "2026-01-01"],
    ]
    found = checked(["text", "label", "created", "closed_at"], *rows)
    assert [row.created_at is None for row in found.rows] == [False, True, True, True, False]
    notes = "\n".join(found.notes)
    assert "closed_at lies before created_at in 1 rows (first: line 2)" in notes
    assert "created_at: 2 rows lie in the future or over fifty years back, read without it (first: line 3)" in notes
    assert "created_at is no date of a known form: 1 rows, read without a date (first: line 5)" in notes
    assert CANARY not in notes


def test_undecidable_order_of_day_and_month_is_refused() -> None:
    """With the cell, its line and the options that decide, or ignoring dates."""
    rows = [["a", "x", "2026-01-02"], ["b", "y", "1/2/26"]]
    with pytest.raises(
        TicketRouterError, match=r"day or month stand first in '1/2/26' \(line 3\)\? .*--column created_at="
    ):
        checked(["text", "label", "created_at"], *rows)
    assert checked(["text", "label", "created_at"], *rows, mapping={"created_at": ""}).rows[0].created_at is None


@pytest.mark.parametrize("nothing", ["0000-00-00 00:00:00", "NULL", "-"])
def test_programs_values_for_no_closing_date_do_not_close_a_ticket(nothing: str) -> None:
    assert checked(["text", "label", "closed_at"], ["a", "x", "2026-01-02"], ["b", "y", nothing]).not_closed == 1


def test_rows_without_a_label_are_left_out_and_counted() -> None:
    """An empty cell or a placeholder is no department; the placeholder is named."""
    found = checked(["text", "label"], ["a", "x"], ["b", " "], ["c", "N/A"], ["d", "Unassigned"], ["e", "y"])
    assert ([row.line for row in found.rows], found.unlabelled, found.faults) == ([2, 6], 3, ())
    assert "department: 2 rows have a placeholder such as 'N/A', read as no label (first: line 4)" in found.notes


def test_an_unknown_content_type_is_reported_and_read_as_plain_text() -> None:
    """An optional column costs no row."""
    found = checked(["text", "label", "content_type"], ["a", "x", "application/pdf"], ["b", "y", ""])
    assert found.rows[0].ticket.content_type == "text/plain"
    assert "content_type: 1 rows have neither" in found.notes[0]


def test_escaped_line_breaks_and_words_for_missing_values_are_read() -> None:
    r"""A literal `\n` is a line break, but not in a path; `nan` is an empty text."""
    rows = [["nan", r"Hello,\n\nit broke", "x"], ["paths", r"see C:\new and D:\notes", "y"]]
    found = checked(["subject", "body", "label"], *rows)
    assert [row.ticket.subject for row in found.rows] == ["", "paths"]
    assert [row.ticket.body for row in found.rows] == ["Hello,\n\nit broke", r"see C:\new and D:\notes"]


def test_a_subject_that_contains_its_label_is_reported() -> None:
    """If many subjects contain [Billing], the model would learn the brackets."""
    rows = [[f"[Billing] charge {number}", "billing"] for number in range(8)] + [["printer", "hardware"]] * 8
    assert "subject: 8 rows name their department in brackets" in "\n".join(checked(["subject", "team"], *rows).notes)


def test_several_files_are_read_as_one() -> None:
    """Rows have unique numbers, and a fault names its file."""
    first, second = (
        table(["text", "label"], ["a", "x"], ["b", "y"]),
        table(["body", "team"], ["c", "z" * 101], ["d", "x"]),
    )
    found = check_tables([first, replace(second, path=Path("b.csv"))], ("department",))
    assert [row.line for row in found.rows] == [2, 3, 6]
    assert [str(fault) for fault in found.faults] == [
        "b.csv line 2, column 'team': a label has over 100 characters; is the column the right one?"
    ] or "b.csv line 2" in str(found.faults[0])


def test_an_id_with_two_labels_is_a_fault_that_names_both_lines() -> None:
    """The same ticket twice with one label is a duplicate; with two labels it is a contradiction that the user must
    resolve."""
    columns = ["id", "text", "label"]
    found = checked(columns, ["1", "a", "x"], ["2", "b", "x"], ["1", "a", "x"], ["2", "b", "y"], ["", "c", "y"])
    assert [(fault.line, fault.column) for fault in found.faults] == [(5, "id")]
    assert "line 3 too" in found.faults[0].what


def test_labels_that_differ_by_case_or_blanks_are_faults() -> None:
    """Each spelling once, with its first row, the other's, and the numbers of rows; and the rules that would merge
    them."""
    labels = ["tech support", "Tech  Support", "techsupport", "tech support", "Tech Support", "tech support", "sales"]
    found = checked(["text", "label"], *[[str(number), label] for number, label in enumerate(labels)])
    assert [(fault.line, fault.column) for fault in found.faults] == [(3, "label"), (4, "label")]
    assert "of line 2 (2 rows against 3)" in found.faults[0].what
    assert found.aliases == {"department": {"Tech Support": "tech support", "techsupport": "tech support"}}
    assert len(found.rows) == 7
    rules = LabelRules.model_validate({"department": {"aliases": found.aliases["department"]}})
    mended = checked(["text", "label"], *[[str(number), label] for number, label in enumerate(labels)], rules=rules)
    assert (mended.faults, label_counts(mended.rows, "department")) == ((), {"tech support": 6, "sales": 1})


def test_the_labels_file_is_applied() -> None:
    """Aliases merge, retired rows are left out and counted, out-of-scope rows are kept apart without a department."""
    rules = LabelRules.model_validate(
        {
            "department": {"aliases": {"Billing  team": "billing"}, "retire": ["fax"], "out_of_scope": ["spam"]},
            "priority": {"retire": ["legacy"]},
        }
    )
    rows = [["a", "Billing team", "high"], ["b", "fax", ""], ["c", "spam", "low"], ["d", "billing", "legacy"]]
    found = checked(["text", "label", "priority"], *rows, fields=("department", "priority"), rules=rules)
    assert [row.labels for row in found.rows] == [
        {"department": "billing", "priority": "high"}, {"department": "billing", "priority": None}
    ]  # fmt: skip
    assert [(row.line, dict(row.labels)) for row in found.outside] == [(4, {"department": None, "priority": "low"})]
    assert (found.retired, found.notes, found.faults) == (1, (), ())


def test_surplus_blanks_are_reported_with_their_first_line() -> None:
    """They make no second label, but the export should be corrected."""
    found = checked(["body", "department"], ["a", "Tech Support"], ["b", "Tech  Support"], ["c", " Tech Support"])
    assert {row.labels["department"] for row in found.rows} == {"Tech Support"}
    assert found.notes == ("department: 2 rows have blanks too many, read without them (first: line 3)",)
