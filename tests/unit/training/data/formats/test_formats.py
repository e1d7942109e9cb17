"""Files of any format → records."""

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
from training.data.formats.registry import open_table
from training.data.formats.table import CELL_CHARACTERS, Record

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=40)
cells = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), min_size=1, max_size=30).filter(
    lambda text: text.strip() != ""
)


def put(tmp_path: Path, content: bytes, suffix: str = ".csv") -> Path:
    path = tmp_path / f"table{suffix}"
    path.write_bytes(content)
    return path


def records_of(path: Path) -> list[Record]:
    return list(open_table(path).records)


def rows_of(path: Path) -> list[dict[str, str]]:
    return [record.cells for record in records_of(path) if not record.fault]


def faults_of(path: Path) -> list[tuple[int, str]]:
    found = [(record.line, record.fault) for record in records_of(path) if record.fault]
    assert all(fault.isprintable() and CANARY not in fault for _, fault in found)
    return found


def refusal(path: Path) -> str:
    with pytest.raises(TicketRouterError) as caught:
        records_of(path)
    message = str(caught.value)
    assert message.isprintable()
    assert CANARY not in message
    assert message.startswith(str(path))
    return message


SUFFIXES = st.sampled_from([".csv", ".jsonl", ".json", ".parquet", ".xlsx", ".mbox", ".eml", ".gz", ".zip", ".txt", ""])
MAGICS = st.sampled_from(
    [b"", b"PK\x03\x04", b"PAR1", b"\x1f\x8b\x08", b"[{", b"{", b"From a 10:00\n", b"\xff\xfe", b"BZh"]
)


@SAME_FOLDER
@given(MAGICS, st.binary(max_size=300), SUFFIXES)
def test_any_bytes_are_a_table_or_one_clear_error(tmp_path: Path, magic: bytes, content: bytes, suffix: str) -> None:
    """Any file content gives records or a TicketRouterError, and no other exception."""
    with contextlib.suppress(TicketRouterError):
        records_of(put(tmp_path, magic + content, suffix))


@SAME_FOLDER
@given(st.text('"\n\r,;\t{}[]:\\aé0 \u2028\x85\x0c', max_size=60), st.sampled_from([".csv", ".jsonl", ".json"]))
def test_any_punctuation_is_a_table_or_one_clear_error(tmp_path: Path, content: str, suffix: str) -> None:
    """The same for texts made of the characters with a meaning in text formats."""
    with contextlib.suppress(TicketRouterError):
        records_of(put(tmp_path, content.encode(), suffix))


@SAME_FOLDER
@given(st.data())
def test_a_damaged_parquet_file_is_one_clear_error(tmp_path: Path, data: st.DataObject) -> None:
    """A Parquet file with bytes changed anywhere is read, or refused with one line."""
    sink = io.BytesIO()
    pq.write_table(pa.table({"subject": ["a", "ü", None], "department": ["x", "y", "z"]}), sink)
    raw = bytearray(sink.getvalue())
    for place in data.draw(st.lists(st.integers(0, len(raw) - 1), min_size=1, max_size=4)):
        raw[place] ^= data.draw(st.integers(1, 255))
    with contextlib.suppress(TicketRouterError):
        records_of(put(tmp_path, bytes(raw), ".parquet"))


@SAME_FOLDER
@given(st.lists(st.tuples(cells, cells), min_size=1, max_size=5))
def test_the_text_formats_agree(tmp_path: Path, rows: list[tuple[str, str]]) -> None:
    """One table gives the same cells as CSV, as JSON lines, as a JSON list, inside an object, and as Parquet."""
    dicts = [{"subject": subject, "department": department} for subject, department in rows]
    pq.write_table(pa.Table.from_pylist(dicts), tmp_path / "t.parquet")
    (tmp_path / "list.json").write_text(json.dumps(dicts, indent=1))
    (tmp_path / "inside.json").write_text(json.dumps({"count": len(dicts), "tickets": dicts}))
    for path in (
        write_csv(tmp_path / "t.csv", rows),
        write_jsonl(tmp_path / "t.jsonl", dicts),
        tmp_path / "t.parquet",
        tmp_path / "list.json",
        tmp_path / "inside.json",
    ):
        if path.suffix != ".csv" or ("subject", "department") not in rows:  # a repeated header is skipped
            assert rows_of(path) == dicts


@pytest.mark.parametrize("separator", ["\u2028", "\u2029", "\x85", "\x0b", "\x0c", "\x1c", "\x1e"])
@pytest.mark.parametrize("quoted", [True, False])
def test_only_line_breaks_end_a_line(tmp_path: Path, separator: str, quoted: bool) -> None:
    """A form feed or a Unicode separator inside a cell, as in mails, is text and does not split the row."""
    cell = f'"a{separator}b"' if quoted else f"a{separator}b"
    path = put(tmp_path, f"subject,department\n{cell},x\nc,y\n".encode())
    assert rows_of(path) == [{"subject": f"a{separator}b", "department": "x"}, {"subject": "c", "department": "y"}]
    assert [record.line for record in records_of(path)] == [2, 3]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_spreadsheet_exports_are_read(tmp_path: Path, end: str, mark: bytes, delimiter: str) -> None:
    """Byte order mark, Windows line ends, any separator, blank lines."""
    lines = ["subject ,department", '"two', 'lines, and ""more""",x', "", "last,y", ""]
    text = lines[0].replace(",", delimiter) + end + end.join(lines[1:3]).replace('",x', f'"{delimiter}x')
    text += end + end + f"last{delimiter}y" + end
    path = put(tmp_path, mark + text.encode())
    assert open_table(path).columns == ("subject", "department")
    assert rows_of(path) == [
        {"subject": f'two{end}lines, and "more"', "department": "x"},
        {"subject": "last", "department": "y"},
    ]
    assert [record.line for record in records_of(path)] == [2, 5]


@pytest.mark.parametrize(
    ("encoding", "note"),
    [("utf-16", "UTF-16"), ("utf-16-le", "UTF-16-LE"), ("cp1252", "cp1252"), ("utf-32", "UTF-32"), ("cp1251", "1251")],
)
def test_other_encodings_are_detected_and_reported(tmp_path: Path, encoding: str, note: str) -> None:
    """By the byte order mark, by zero bytes, or by a guess that is reported in one line."""
    text = "Замените, пожалуйста, мой компьютер" if encoding == "cp1251" else "Grüße, der Drucker für Müller ist weg"
    path = put(tmp_path, ("subject;body;department\n" + f"a;{text};x\n" * 30).encode(encoding))
    assert rows_of(path)[7] == {"subject": "a", "body": text, "department": "x"}
    assert note in " ".join(open_table(path).notes)


def test_a_title_a_sep_line_a_footer_and_blank_rows_are_no_tickets(tmp_path: Path) -> None:
    """Lines around a report's table are skipped and reported; line numbers are still those of the file."""
    text = (
        "sep=;\nTickets of 2024\n\nsubject;body;department\na;b;x\n;;\nc;d;y\nsubject;body;department\n;;\nTotal: 2\n"
    )
    table = open_table(put(tmp_path, text.encode()))
    assert [record.line for record in table.records] == [5, 7]
    assert [table.skipped.blank, table.skipped.header, table.skipped.footer] == [2, 1, (10,)]
    assert "the header is in line 4; the lines above it are a title, skipped" in table.notes


def test_all_broken_rows_are_faults_with_their_lines(tmp_path: Path) -> None:
    """Too few or too many cells, text beside a quote, invalid UTF-8: each is reported, the other rows are read."""
    text = (
        f'subject,department\nä,x\n{CANARY},x,{CANARY}\n{CANARY}\n"{CANARY}"{CANARY},x\nb,y\nü,z\né,z\nö,z\n'.encode()
    )
    path = put(tmp_path, text + CANARY.encode() + b"\xfc,x\nc,z\n")
    assert [row["subject"] for row in rows_of(path)] == ["ä", "b", "ü", "é", "ö", "c"]
    words = ("3 cells, the header has 2", "1 cells", "quote", "column 'subject' is not UTF-8")
    assert all(word in what for word, (_, what) in zip(words, faults_of(path), strict=True))
    assert [line for line, _ in faults_of(path)] == [3, 4, 5, 10]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "is empty"),
        (b"\n\n", "is empty"),
        (f'subject,department\na,x\n"{CANARY},x\nb,y\nc,z\n'.encode(), "line 3: a quote is not closed"),
        (b"subject,department\nab\0c,x\n", "line 2: a NUL byte"),
    ],
)
def test_a_file_that_cannot_be_read_to_its_end_is_refused(tmp_path: Path, content: bytes, why: str) -> None:
    """With the fault and the line where it begins, without content."""
    assert why in refusal(put(tmp_path, content))


def test_quotes_with_a_backslash_and_quotes_as_text_are_read(tmp_path: Path) -> None:
    """As databases write them: the quoting is found by trying, and reported."""
    path = put(
        tmp_path, b"subject,body,department\n" + rb'"a","say \"hi\", please","x"' + b"\n" + rb'"b","c","y"' + b"\n"
    )
    assert rows_of(path)[0]["body"] == 'say "hi", please'
    path = put(tmp_path, b'subject\tbody\tdepartment\n"5 inch\ta "big" one\tx\nb\tc\ty\n', ".tsv")
    assert rows_of(path)[0] == {"subject": '"5 inch', "body": 'a "big" one', "department": "x"}


def test_a_duplicate_column_keeps_its_first_name(tmp_path: Path) -> None:
    """Trackers write one column per comment; the first is used, and this is reported."""
    table = open_table(put(tmp_path, b"Summary,Comment,Comment,Component/s,\na,b,c,x,\n"))
    assert table.columns == ("Summary", "Comment", "Comment (2)", "Component/s")
    assert "columns that stand twice: Comment; the first one counts" in table.notes


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (f'{{"subject": "{CANARY}"'.encode(), "not valid JSON"),
        (f'"{CANARY}"'.encode(), "not a JSON object"),
        (b"[1]", "not a JSON object"),
        (b'{"a":' * 50_000, "not valid JSON"),
        (b'{"subject": ' + b"9" * 5000 + b"}", "not valid JSON"),
    ],
)
def test_a_broken_json_line_is_a_fault(tmp_path: Path, raw: bytes, why: str) -> None:
    """The second line's fault has its number, and the other lines are read."""
    path = put(tmp_path, b'{"subject": "a"}\n' + raw + b'\n{"subject": "b"}\n', ".jsonl")
    assert [(line, why in what) for line, what in faults_of(path)] == [(2, True)]
    assert len(rows_of(path)) == 2


def test_nested_values_become_cells(tmp_path: Path) -> None:
    """By their path; an object with a name also under its own key; a list as its values; a list of lists not at all."""
    ticket = {"subject": "a", "group": {"id": 7, "name": "Billing"}, "tags": ["x", "y"], "labels": [{"name": "bug"}],
              "fields": {"summary": "s"}, "log": [[1], [2]], "open": None, "votes": 3}  # fmt: skip
    (found,) = rows_of(write_jsonl(tmp_path / "t.jsonl", [ticket]))
    assert found == {"subject": "a", "group": "Billing", "group.id": "7", "group.name": "Billing", "tags": "x, y",
                     "labels": "bug", "fields.summary": "s", "open": "", "votes": "3"}  # fmt: skip


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".parquet"])
def test_a_cell_of_fifty_megabytes_is_a_fault(tmp_path: Path, suffix: str) -> None:
    """A cell longer than any mail is reported with its line, quickly and without its content."""
    huge = CANARY + "x" * 50_000_000
    rows = [{"subject": "a", "department": "x"}, {"subject": huge, "department": "y"}]
    path = tmp_path / f"t{suffix}"
    if suffix == ".csv":
        path.write_text(f'subject,department\na,x\n"{huge}",y\n')
        assert "line 3: a cell of over a million characters" in refusal(path)
        return
    if suffix == ".jsonl":
        write_jsonl(path, rows)
    else:
        pq.write_table(pa.Table.from_pylist(rows), path)
    ((line, fault),) = faults_of(path)
    assert (line, "over a million characters" in fault) == (2, True)


def test_a_cell_just_below_the_limit_is_read(tmp_path: Path) -> None:
    """A long mail has a million characters; the process's own csv limit is unchanged."""
    before = csv.field_size_limit()
    (found,) = rows_of(write_csv(tmp_path / "t.csv", [("x" * CELL_CHARACTERS, "a")]))
    assert len(found["subject"]) == CELL_CHARACTERS
    assert csv.field_size_limit() == before


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    """A missing file, or a folder without mails, is named."""
    assert "cannot be read" in refusal(tmp_path / "missing.csv")
    (tmp_path / "folder").mkdir()
    assert "cannot be read" in refusal(tmp_path / "folder")
    assert "unknown kind of file; give Parquet, Excel" in refusal(put(tmp_path, b"%PDF-1.7 ...", ".pdf"))


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (float("nan"), ""), (True, "True"), (3, "3"), (2.5, "2.5"), ("", ""), (" a ", " a ")],
)
def test_plain_values_become_text(tmp_path: Path, value: Any, text: str) -> None:
    """Numbers and booleans become their text; null and NaN, which data tools write for a missing value, are empty."""
    assert rows_of(write_jsonl(tmp_path / "t.jsonl", [{"subject": "a", "priority": value}]))[0]["priority"] == text
    pq.write_table(pa.table({"subject": ["a"], "priority": [value]}), tmp_path / "t.parquet")
    assert rows_of(tmp_path / "t.parquet")[0]["priority"] == text


def test_half_a_surrogate_pair_is_replaced(tmp_path: Path) -> None:
    """Half an emoji in an export, which UTF-8 cannot encode, becomes the replacement character."""
    (found,) = rows_of(put(tmp_path, rb'{"subject": "a \ud83d b \ud83d\ude00", "k\ud83d": "x"}', ".jsonl"))
    assert found["subject"] == "a \ufffd b \N{GRINNING FACE}"
    assert json.dumps(found, ensure_ascii=False).encode()


def test_parquets_own_types_are_read(tmp_path: Path) -> None:
    """Dates to the nanosecond, categories and numbers, as data tools write them, become text; bytes are left out."""
    table = pa.table(
        {
            "when": pa.array([1_700_000_000_123_456_789], pa.timestamp("ns", tz="UTC")),
            "department": pa.array(["x"]).dictionary_encode(),
            "id": pa.array([7], pa.int64()),
            "raw": pa.array([b"x"]),
        }
    )
    pq.write_table(table, tmp_path / "t.parquet")
    (found,) = rows_of(tmp_path / "t.parquet")
    assert (found["department"], found["id"], "raw" in found) == ("x", "7", False)
    assert found["when"].startswith("2023-11-14 22:13:20")


def test_deeply_nested_json_is_refused_without_filling_memory(tmp_path: Path) -> None:
    assert "not valid JSON" in refusal(put(tmp_path, b"[" * 100_000 + b"]" * 100_000, "deep.json"))


def test_a_json_list_in_utf_16_is_read(tmp_path: Path) -> None:
    listed = json.dumps([{"subject": "ü", "department": "x"}] * 3, ensure_ascii=False).encode("utf-16")
    assert [record.cells["subject"] for record in open_table(put(tmp_path, listed, "t.json")).records] == ["ü"] * 3


def test_of_several_json_lists_the_one_with_tickets_is_read(tmp_path: Path) -> None:
    whole = {"meta": {"fields": [{"name": "a"}]}, "data": {"tickets": [{"subject": "s", "department": "x"}]}}
    table = open_table(put(tmp_path, json.dumps(whole).encode(), "t.json"))
    assert [record.cells["subject"] for record in table.records] == ["s"]


@pytest.mark.parametrize(
    "whole", [{"subject": {"0": "s"}, "department": {"0": "x"}}, {"7": {"subject": "s", "department": "x"}}]
)
def test_a_json_object_of_columns_or_ids_is_refused_with_a_hint(tmp_path: Path, whole: dict[str, object]) -> None:
    assert "orient='records'" in refusal(put(tmp_path, json.dumps(whole).encode(), "t.json"))


def test_a_description_in_atlassians_document_format_is_text(tmp_path: Path) -> None:
    paragraph = {
        "type": "paragraph",
        "content": [{"type": "text", "text": "no paper"}, {"type": "text", "text": " left"}],
    }
    ticket = {"summary": "s", "description": {"type": "doc", "version": 1, "content": [paragraph, paragraph]}}
    (record,) = open_table(put(tmp_path, json.dumps(ticket).encode() + b"\n", "t.jsonl")).records
    assert record.cells["description"] == "no paper left\nno paper left"


def test_of_listed_messages_the_first_is_read(tmp_path: Path) -> None:
    ticket = {"subject": "s", "comments": [{"body": "the request"}, {"body": "an answer"}]}
    record, _ = rows_of(write_jsonl(tmp_path / "t.jsonl", [ticket, ticket]))
    assert record["comments.body"] == "the request"


@pytest.mark.parametrize("content", [b"<html><table><tr><td>a</td></tr></table></html>", b'<?xml version="1.0"?><a/>'])
def test_a_web_page_with_a_spreadsheets_name_is_named(tmp_path: Path, content: bytes) -> None:
    assert "web page or XML" in refusal(put(tmp_path, content, "report.xls"))
