"""The data contract: columns, cells and their faults."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from models.errors import TicketRouterError
from tests.support.rows import CANARY
from training.data.contract import Checked, check_table, label_counts, raise_faults
from training.data.table import Record, Table


def table(columns: Sequence[str], *rows: Sequence[str]) -> Table:
    records = tuple(Record(line, dict(zip(columns, cells, strict=True))) for line, cells in enumerate(rows, start=2))
    return Table(Path("t.csv"), tuple(columns), records)


def checked(
    columns: Sequence[str],
    *rows: Sequence[str],
    fields: Sequence[str] = ("department",),
    mapping: Mapping[str, str] | None = None,
) -> Checked:
    return check_table(table(columns, *rows), fields, mapping or {})


def refusal(columns: Sequence[str], **options: object) -> str:
    with pytest.raises(TicketRouterError) as caught:
        checked(columns, ["a"] * len(columns), **options)  # type: ignore[arg-type]
    assert str(caught.value).isprintable()
    return str(caught.value)


def only_fault(columns: Sequence[str], cells: Sequence[str], **options: object) -> str:
    found = checked(columns, cells, **options)  # type: ignore[arg-type]
    assert found.rows == ()
    assert [fault.line for fault in found.faults] == [2]
    assert CANARY not in found.faults[0].what
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
    with pytest.raises(TicketRouterError, match=r"t\.csv: line 3: department is empty.*and 1 more rows"):
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
