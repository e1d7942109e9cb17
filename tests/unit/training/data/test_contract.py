"""The data contract: columns, cells and their faults."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.errors import TicketRouterError
from tests.support.rows import CANARY
from training.data.contract import Checked, check_table, label_counts, raise_faults
from training.data.labels import NO_RULES, LabelRules
from training.data.table import Record, Table


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
    return check_table(table(columns, *rows), fields, mapping or {}, rules)


def refusal(columns: Sequence[str], **options: object) -> str:
    with pytest.raises(TicketRouterError) as caught:
        checked(columns, ["a"] * len(columns), **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return str(caught.value)


def only_fault(columns: Sequence[str], cells: Sequence[str], **options: object) -> str:
    found = checked(columns, cells, **options)  # type: ignore[arg-type]
    assert found.rows == ()
    assert [fault.line for fault in found.faults] == [2]
    assert CANARY not in str(found.faults[0])
    return found.faults[0].what


def test_a_row_becomes_a_ticket() -> None:
    """Every role lands where it belongs; the label's outer and doubled spaces go, its inner ones stay."""
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
    """What helpdesks call the department is found without being told."""
    assert checked(["text", name], ["a", "x"]).columns["department"] == name


def test_the_mapped_column_wins() -> None:
    """A mapped column is taken even where one with the usual name is there."""
    found = checked(["text", "department", "desk"], ["a", "x", "y"], mapping={"department": "desk"})
    assert found.rows[0].labels["department"] == "y"


def test_further_fields_are_read_and_may_be_missing() -> None:
    """A field's empty cell is no label, not an empty one; an unnamed column is not looked at."""
    found = checked(
        ["text", "label", "priority"], ["a", "x", " "], ["b", "y", "high"], fields=("department", "priority")
    )
    assert [row.labels["priority"] for row in found.rows] == [None, "high"]
    assert label_counts(found.rows, "priority") == {"high": 1}


@pytest.mark.parametrize(
    ("columns", "options", "why"),
    [
        (["label"], {}, "no column with text"),
        (["text"], {}, "no column department or label"),
        (["text", "label"], {"fields": ("department", "priority")}, "no column priority"),
        (["text", "label"], {"mapping": {"department": "desk"}}, "no column 'desk'"),
        (["text", "label"], {"mapping": {"departement": "text"}}, "'departement'"),
    ],
)
def test_a_missing_column_is_refused_with_what_is_there(
    columns: Sequence[str], options: dict[str, object], why: str
) -> None:
    """No text, no label, a mapped column that is not there or a role that does not exist: refused with the choices."""
    message = refusal(columns, **options)
    assert why in message
    assert "it has: " in message or "the roles are" in message


def test_names_of_columns_cannot_break_the_line() -> None:
    """Odd column names, or a whole mail where the header should be, stay one short line."""
    message = refusal(["a\nerror: fine\x1b[31m", "x" * 5000, "Größe"])
    assert len(message) < 500
    assert "Größe" in message


@pytest.mark.parametrize(
    ("column", "cell", "why"),
    [
        ("label", "  ", "department is empty"),
        ("label", CANARY + "x" * 100, "over 100 characters"),
        ("priority", CANARY + "x" * 100, "over 100 characters"),
        ("split", CANARY, "split is none of"),
        ("content_type", CANARY, "neither text/plain nor text/html"),
    ],
)
def test_a_bad_cell_is_a_fault_of_its_row(column: str, cell: str, why: str) -> None:
    """What is wrong is said without repeating the cell."""
    columns = ["text", "label", *({column} - {"label"})]
    cells = {"text": "a", "label": "x"} | {column: cell}
    fields = ("department", "priority") if column == "priority" else ("department",)
    assert why in only_fault(columns, [cells[name] for name in columns], fields=fields)


@pytest.mark.parametrize("value", ["text/html; charset=utf-8", "TEXT/PLAIN;charset=us-ascii", " text/html ", ""])
def test_a_content_type_may_carry_parameters(value: str) -> None:
    """A content type as mail headers write it is understood."""
    wanted = "text/html" if "html" in value else "text/plain"
    assert checked(["text", "label", "content_type"], ["a", "x", value]).rows[0].ticket.content_type == wanted


def test_all_faults_are_kept_with_their_lines() -> None:
    """One bad row hides neither the next one nor the good ones."""
    found = checked(["text", "label"], ["a", "x"], ["b", ""], ["c", "y"], ["d", "z" * 101])
    assert [fault.line for fault in found.faults] == [3, 5]
    assert [row.line for row in found.rows] == [2, 4]
    with pytest.raises(TicketRouterError, match=r"t\.csv: line 3, column 'label': department is .*and 1 more rows"):
        raise_faults(table(["text", "label"]), found.faults)
    with pytest.raises(TicketRouterError, match=r"remove the row$"):
        raise_faults(table(["text", "label"]), found.faults[:1])
    raise_faults(table(["text", "label"]), ())


@pytest.mark.parametrize(
    ("cell", "part"),
    [("train", "train"), ("Training", "train"), (" val ", "validation"), ("dev", "validation"), ("TEST", "test"),
     ("cal", "calibration"), ("", "")],
)  # fmt: skip
def test_usual_names_of_the_parts_are_understood(cell: str, part: str) -> None:
    """What people call the parts, in any case and with spaces around."""
    assert checked(["text", "label", "split"], ["a", "x", cell]).rows[0].split == part


def test_a_fault_names_its_column_as_the_file_has_it() -> None:
    """A person looks for `Desk`, not for the role that it plays; where both are one, it is said once."""
    found = checked(["text", "Desk"], ["a", ""], ["b", "x"], mapping={"department": "Desk"})
    assert (found.faults[0].line, found.faults[0].column) == (2, "Desk")
    assert str(found.faults[0]).startswith("line 2, column 'Desk': department is empty")
    assert str(checked(["text", "Department"], ["a", ""]).faults[0]).startswith("line 2: department is empty")


def test_every_fault_of_a_row_is_kept() -> None:
    """Two bad cells of a row are two faults, so that one round of mending is enough."""
    found = checked(["text", "label", "split"], ["a", "", "x"], ["b", "y", ""])
    assert [(fault.line, fault.column) for fault in found.faults] == [(2, "label"), (2, "split")]


def test_thread_language_and_source_are_read() -> None:
    """What keeps rows together and apart later stands in each row."""
    columns = ["text", "label", "Conversation ID", "locale", "label_source"]
    row = checked(columns, ["a", "x", " t1 ", "DE", "Agent"]).rows[0]
    assert (row.thread, row.language, row.label_source, row.created_at) == ("t1", "de", "agent", None)


def test_open_tickets_are_left_out_and_counted() -> None:
    """A status that is none of closed, solved or resolved; an open ticket's empty department is no fault."""
    rows = [["a", "x", "Closed"], ["b", "", "open"], ["c", "x", "solved"], ["d", "y", "pending"]]
    found = checked(["text", "label", "status"], *rows)
    assert ([row.line for row in found.rows], found.not_closed, found.faults) == ([2, 4], 2, ())


def test_a_ticket_without_its_closing_date_is_open() -> None:
    """Where the file has no status; a column without any date says nothing."""
    assert checked(["text", "label", "closed_at"], ["a", "x", "2026-01-02"], ["b", "y", ""]).not_closed == 1
    assert checked(["text", "label", "closed_at"], ["a", "x", ""], ["b", "y", ""]).not_closed == 0


@pytest.mark.parametrize("source", ["router_unchecked", "router", "Auto", " model ", "prediction"])
def test_a_label_of_the_router_is_read_as_such(source: str) -> None:
    """Under the usual words of exports too; the row is a row as any other, its weight is decided later."""
    found = checked(["text", "label", "label_source"], ["a", "x", source], ["b", "y", "agent"], ["c", "y", ""])
    assert [row.label_source for row in found.rows] == ["router_unchecked", "agent", None]


def test_a_source_outside_the_closed_set_is_a_fault() -> None:
    found = checked(["text", "label", "label_source"], ["a", "x", "hearsay"], ["b", "y", "audit"])
    assert [(fault.line, fault.column) for fault in found.faults] == [(2, "label_source")]
    assert "agent, close, import, audit, router_unchecked" in str(found.faults[0])
    assert "hearsay" not in str(found.faults[0])


def test_a_file_without_a_closed_ticket_is_refused() -> None:
    """The counts say why nothing is left, and the status's column is named: it may be something else."""
    with pytest.raises(TicketRouterError, match=r"no row to learn from: of its rows 2 are not closed; .*'Status'"):
        checked(["text", "label", "Status"], ["a", "x", "gold"], ["b", "y", "silver"])


def test_faults_of_dates_are_named() -> None:
    """A future date, one of another age, one that cannot be read, and a closing before the opening: row and column."""
    rows = [
        ["a", "x", "2026-01-03", "2026-01-01"],
        ["b", "x", "2999-01-01", "2999-01-02"],
        ["c", "x", "0001-01-01", "2026-01-01"],
        ["d", "x", CANARY, "2026-01-01"],
        ["e", "x", "2026-01-01 10:00", "2026-01-01"],
    ]
    found = checked(["text", "label", "created", "closed_at"], *rows)
    assert [row.line for row in found.rows] == [6]  # a closing day without its hour is no fault
    told = [(fault.line, fault.column, fault.what) for fault in found.faults]
    assert [(line, column) for line, column, _ in told] == [
        (2, "closed_at"), (3, "closed_at"), (3, "created"), (4, "created"), (5, "created")
    ]  # fmt: skip
    words = ("before created_at", "in the future", "in the future", "over fifty years back", "no date of a known form")
    assert all(word in what for word, (_, _, what) in zip(words, told, strict=True))
    assert CANARY not in str(told)


def test_an_id_with_two_labels_is_a_fault_that_names_both_lines() -> None:
    """The same ticket twice under one label is a repeat; under two it is a contradiction that a person must end."""
    columns = ["id", "text", "label"]
    found = checked(columns, ["1", "a", "x"], ["2", "b", "x"], ["1", "a", "x"], ["2", "b", "y"], ["", "c", "y"])
    assert [(fault.line, fault.column) for fault in found.faults] == [(5, "id")]
    assert "line 3 too" in found.faults[0].what


def test_labels_that_differ_by_case_or_blanks_are_faults() -> None:
    """Each spelling once, with its first row, the other's, and how many rows either has; and what would merge them."""
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
    """Aliases merge, retired rows go and are counted, out-of-scope rows stand apart without a department."""
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


def test_blanks_too_many_are_named_with_their_first_line() -> None:
    """They make no second label, but the export should know."""
    found = checked(["body", "department"], ["a", "Tech Support"], ["b", "Tech  Support"], ["c", " Tech Support"])
    assert {row.labels["department"] for row in found.rows} == {"Tech Support"}
    assert found.notes == ("department: 2 rows have blanks too many, read without them (first: line 3)",)
