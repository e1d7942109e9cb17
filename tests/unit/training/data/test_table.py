"""CSV, JSONL and Parquet → records."""

import contextlib
import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from models.errors import TicketRouterError
from tests.support.rows import CANARY, write_csv, write_jsonl
from training.data.table import CELL_CHARACTERS, Table, read_table

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30)


def put(tmp_path: Path, content: bytes, suffix: str = ".csv") -> Path:
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content)
    return path


def refusal(path: Path) -> str:
    with pytest.raises(TicketRouterError) as caught:
        read_table(path)
    message = str(caught.value)
    assert message.isprintable()
    assert CANARY not in message
    assert message.startswith(str(path))
    return message


def rows_of(table: Table) -> list[dict[str, str]]:
    return [record.cells for record in table.records]


@SAME_FOLDER
@given(st.binary(max_size=300), st.sampled_from([".csv", ".jsonl", ".parquet", ".CSV"]))
def test_any_bytes_are_a_table_or_one_clear_error(tmp_path: Path, content: bytes, suffix: str) -> None:
    """Whatever stands in a file, reading it gives a table with rows or a TicketRouterError, never anything else."""
    try:
        table = read_table(put(tmp_path, content, suffix))
    except TicketRouterError:
        return
    assert table.records


@SAME_FOLDER
@given(st.text('"\n\r,;\t{}[]:\\aé0 \u2028\x85\x0c', max_size=60), st.sampled_from([".csv", ".jsonl"]))
def test_any_punctuation_is_a_table_or_one_clear_error(tmp_path: Path, content: str, suffix: str) -> None:
    """The same for texts made of the letters that matter to the two formats."""
    path = put(tmp_path, content.encode(), suffix)
    try:
        table = read_table(path)
    except TicketRouterError:
        return
    assert all(set(record.cells) <= set(table.columns) for record in table.records)


@SAME_FOLDER
@given(st.data())
def test_a_damaged_parquet_file_is_one_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    """A Parquet file with bytes changed anywhere reads or is refused with one line."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"subject": ["a", "ü", None], "department": ["x", "y", "z"]}), sink)
    raw = bytearray(sink.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(TicketRouterError):
        read_table(put(tmp_path, bytes(raw), ".parquet"))


@SAME_FOLDER
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_what_pythons_csv_writes_is_read_back(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    """Every text comes back as it was, with quotes, line breaks of any kind and the delimiter in it."""
    found = read_table(write_csv(tmp_path / "t.csv", rows))
    assert [(row["subject"], row["department"]) for row in rows_of(found)] == rows


@SAME_FOLDER
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_the_three_formats_agree(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    """One table gives the same columns and cells as CSV, as JSONL and as Parquet."""
    dicts = [{"subject": subject, "department": department} for subject, department in rows]
    pq.write_table(pa.Table.from_pylist(dicts), tmp_path / "t.parquet")
    found = [
        read_table(path)
        for path in (
            write_csv(tmp_path / "t.csv", rows),
            write_jsonl(tmp_path / "t.jsonl", dicts),
            tmp_path / "t.parquet",
        )
    ]
    assert [rows_of(table) for table in found] == [dicts] * 3
    assert {table.columns for table in found} == {("subject", "department")}


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
@pytest.mark.parametrize("quoted", [True, False])
def test_only_line_breaks_end_a_line(tmp_path: Path, separator: str, quoted: bool) -> None:
    """A form feed or a Unicode separator inside a cell, as mails have them, is text and does not break the row."""
    cell = f'"a{separator}b"' if quoted else f"a{separator}b"
    found = read_table(put(tmp_path, f"subject,department\n{cell},x\nc,y\n".encode()))
    assert rows_of(found) == [{"subject": f"a{separator}b", "department": "x"}, {"subject": "c", "department": "y"}]
    assert [record.line for record in found.records] == [2, 3]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_what_spreadsheets_write_is_read(tmp_path: Path, end: str, mark: bytes, delimiter: str) -> None:
    """Byte order mark, Windows line ends, semicolons or tabs, blank lines: all are taken as meant."""
    lines = ["subject ,department", '"two', 'lines, and ""more""",x', "", "last,y", ""]
    text = lines[0].replace(",", delimiter) + end + end.join(lines[1:3]).replace('",x', f'"{delimiter}x')
    text += end + end + f"last{delimiter}y" + end
    found = read_table(put(tmp_path, mark + text.encode()))
    assert found.columns == ("subject", "department")
    assert rows_of(found) == [
        {"subject": f'two{end}lines, and "more"', "department": "x"},
        {"subject": "last", "department": "y"},
    ]
    assert [record.line for record in found.records] == [2, 5]


@pytest.mark.parametrize(
    ("content", "line", "why"),
    [
        (b"", None, "no column names"),
        (b"\n\n", None, "no column names"),
        (b"subject,department\n", None, "has no rows"),
        (b"subject,subject\na,b\n", 1, "stands twice"),
        (f"subject,department\na,x\n{CANARY},x,{CANARY}\n".encode(), 3, "3 cells, the header has 2"),
        (f"subject,department\na,x\n{CANARY}\n".encode(), 3, "1 cells, the header has 2"),
        (f'subject,department\na,x\n"{CANARY},x\nb,y\nc,z\n'.encode(), 3, "quote that is not closed"),
        (f'subject,department\na,x\n"{CANARY}"{CANARY},x\n'.encode(), 3, "quote"),
        (b"subject,department\nab\0c,x\n", 2, "NUL"),
        (f"subject,department\na,x\n{CANARY}".encode() + b"\xfc,x\n", 3, "not UTF-8"),
        (f"subject,department\n{CANARY},x\n".encode("utf-16"), None, "UTF-16"),
        (f"subject,department\n{CANARY},x\n".encode("utf-16-be"), 1, "NUL"),
    ],
)
def test_a_broken_csv_is_refused_by_line(tmp_path: Path, content: bytes, line: int | None, why: str) -> None:
    """What is wrong, the line where it begins, and nothing of the content."""
    message = refusal(put(tmp_path, content))
    assert why in message
    if line is not None:
        assert f": line {line}: " in message


@pytest.mark.parametrize(
    ("content", "suffix"),
    [
        (b"id,body,department\n1,a,x\n2,b\xfc,y\n", ".csv"),
        (b"id;body;department\n1;a;x\n2;\xfc;y\n", ".csv"),
        (b'id,body,department\n1,"a\n,",x\n2,"b,\xfc",y\n', ".csv"),
        (b"id,body,department\n1,a,x\n2,b\0,y\n", ".csv"),
        (b'id,body,department\n1,a,x\n2,"b,y\n3,c,z\n', ".csv"),
        (b'{"id": "1", "body": "a"}\n{"id": "2", "body": "b\xfc"}\n', ".jsonl"),
    ],
)
def test_a_broken_cell_is_refused_by_column(tmp_path: Path, content: bytes, suffix: str) -> None:
    """Bytes that are no UTF-8, a NUL or an open quote: the column is named beside the line."""
    assert " in column 'body'; " in refusal(put(tmp_path, content, suffix))


@pytest.mark.parametrize("content", [b"id,b\xfcdy\n1,a\n", b"id,body\n1,a,x,\xfc\n", b"\xfc"])
def test_a_broken_cell_of_no_column_is_refused_by_line(tmp_path: Path, content: bytes) -> None:
    """In the header itself, or behind its last column, no column is named."""
    assert ": not UTF-8; " in refusal(put(tmp_path, content))


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (f'{{"subject": "{CANARY}"'.encode(), "not valid JSON"),
        (f'"{CANARY}"'.encode(), "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (f'{{"subject": {{"text": "{CANARY}"}}}}'.encode(), "'subject' holds no plain value"),
        (f'{{"subject": ["{CANARY}"]}}'.encode(), "'subject' holds no plain value"),
        (b'{"a":' * 50_000, "not valid JSON"),
        (b'{"subject": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_a_broken_json_line_is_refused_by_line(tmp_path: Path, raw: bytes, why: str) -> None:
    """The second line's fault is named with its number, and nothing of the content."""
    message = refusal(put(tmp_path, b'{"subject": "a"}\n' + raw + b'\n{"subject": "b"}\n', ".jsonl"))
    assert why in message
    assert ": line 2: " in message


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_cell_of_fifty_megabytes_is_refused(tmp_path: Path, suffix: str) -> None:
    """A cell no mail could fill is refused with its line, quickly and without being shown."""
    huge = CANARY + "x" * 50_000_000
    rows = [{"subject": "a", "department": "x"}, {"subject": huge, "department": "y"}]
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        path.write_text(f'subject,department\na,x\n"{huge}",y\n')
    elif suffix == ".jsonl":
        write_jsonl(path, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    message = refusal(path)
    assert "over a million characters" in message
    assert f": line {2 if suffix != '.csv' else 3}: " in message
    assert len(message) < 400


def test_a_cell_just_within_the_limit_is_read(tmp_path: Path) -> None:
    """A million characters are a long mail and still one, and the process's own csv limit is left as it was."""
    before = csv.field_size_limit()
    found = read_table(write_csv(tmp_path / "t.csv", [("x" * CELL_CHARACTERS, "a")]))
    assert len(found.records[0].cells["subject"]) == CELL_CHARACTERS
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("name", ["t.xlsx", "t", "t.json", "t.csv.gz"])
def test_an_unknown_suffix_is_refused(tmp_path: Path, name: str) -> None:
    """Another kind of file is refused with the kinds that are read."""
    (tmp_path / name).write_text("x")
    assert ".csv, .jsonl, .parquet" in refusal(tmp_path / name)


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_file_that_is_not_there_is_refused(tmp_path: Path, suffix: str) -> None:
    """A missing file, or a folder in its place, is refused by its path."""
    assert "cannot be read" in refusal(tmp_path / f"missing{suffix}")
    (tmp_path / f"folder{suffix}").mkdir()
    pq.write_table(pa.table({"subject": ["a"]}), tmp_path / f"folder{suffix}" / "part-0.parquet")
    assert "cannot be read" in refusal(tmp_path / f"folder{suffix}")


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (True, "True"), (3, "3"), (2.5, "2.5"), ("", ""), (" a ", " a ")],
)
def test_plain_values_become_text(tmp_path: Path, value: Any, text: str) -> None:
    """Numbers and booleans are taken as their text; null and NaN, as data tools write a missing value, are empty."""
    path = write_jsonl(tmp_path / "t.jsonl", [{"subject": "a", "priority": value}])
    assert rows_of(read_table(path))[0]["priority"] == text
    pq.write_table(pa.table({"subject": ["a"], "priority": [value]}), tmp_path / "t.parquet")
    assert rows_of(read_table(tmp_path / "t.parquet"))[0]["priority"] == text


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    """An emoji cut in half by an export, which no UTF-8 can hold, becomes the replacement character everywhere."""
    path = put(tmp_path, rb'{"subject": "a \ud83d b \ud83d\ude00", "k\ud83d": "x"}', ".jsonl")
    found = read_table(path)
    assert rows_of(found)[0]["subject"] == "a \ufffd b \N{GRINNING FACE}"
    assert json.dumps([*found.columns, rows_of(found)], ensure_ascii=False).encode()


def test_json_lines_need_not_have_the_same_columns(tmp_path: Path) -> None:
    """Columns are those of all lines together, in the order they turn up."""
    found = read_table(put(tmp_path, b'{"b": 1}\n\n{"a": 2, "b": 3}', ".jsonl"))
    assert found.columns == ("b", "a")
    assert [record.line for record in found.records] == [1, 3]


def test_parquets_own_types_are_read(tmp_path: Path) -> None:
    """Dates to the nanosecond, categories and numbers, as data tools write them, all become text."""
    table = pa.table(
        {
            "when": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", tz="UTC")),
            "department": pa.array(["x"]).dictionary_encode(),
            "id": pa.array([7], pa.int64()),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    found = rows_of(read_table(tmp_path / "t.parquet"))[0]
    assert (found["department"], found["id"]) == ("x", "7")
    assert found["when"].startswith("2023-11-14 22:13:20")


def test_a_binary_parquet_column_is_refused_by_name(tmp_path: Path) -> None:
    """Bytes are no text: the column is named, the content not."""
    pq.write_table(pa.table({"subject": ["a"], "raw": [CANARY.encode()]}), tmp_path / "t.parquet")
    assert "'raw' holds no plain value" in refusal(tmp_path / "t.parquet")
