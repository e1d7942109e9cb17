"""Archives, workbooks and mails → records."""

import bz2
import gzip
import lzma
import zipfile
from pathlib import Path

import pytest

from models.errors import TicketRouterError
from tests.support.workbooks import write_workbook
from training.data.formats.registry import open_table

TEXT = b"subject,department\na,x\nb,y\n"
ROWS = [{"subject": "a", "department": "x"}, {"subject": "b", "department": "y"}]
MAIL = b"From: ann@a.example\nTo: help@b.example\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\nX-Team: billing\n\nIt fails.\n"


def rows_of(path: Path) -> list[dict[str, str]]:
    return [record.cells for record in open_table(path).records]


@pytest.mark.parametrize(("pack", "suffix"), [(gzip.compress, ".gz"), (bz2.compress, ".bz2"), (lzma.compress, ".xz")])
def test_packed_files_are_unpacked(tmp_path: Path, pack: object, suffix: str) -> None:
    """By their first bytes, with any file name."""
    for name in (f"t.csv{suffix}", "t.csv"):
        (tmp_path / name).write_bytes(pack(TEXT))  # type: ignore[operator]
        assert rows_of(tmp_path / name) == ROWS
    (tmp_path / "cut.gz").write_bytes(pack(TEXT * 900)[:60])  # type: ignore[operator]
    with pytest.raises(TicketRouterError, match="damaged or encrypted archive"):
        rows_of(tmp_path / "cut.gz")


def test_a_zip_of_one_file_is_unpacked(tmp_path: Path) -> None:
    """Files that macOS adds do not count; of several files the user chooses."""
    with zipfile.ZipFile(tmp_path / "t.zip", "w") as archive:
        archive.writestr("export/t.csv", TEXT)
        archive.writestr("__MACOSX/._t.csv", b"x")
    assert rows_of(tmp_path / "t.zip") == ROWS
    with zipfile.ZipFile(tmp_path / "t.zip", "a") as archive:
        archive.writestr("more.csv", TEXT)
    with pytest.raises(TicketRouterError, match="a zip of 2 files; unpack it"):
        rows_of(tmp_path / "t.zip")


def test_a_workbook_is_read(tmp_path: Path) -> None:
    """The sheet with tickets, below its title; whole numbers have no point; blank rows and other sheets are skipped."""
    rows = [["Report"], ["subject", "department", "number"], ["a", "x", 7], ["", "", ""], ["b", "y", 8.5]]
    table = open_table(write_workbook(tmp_path / "t.xlsx", {"Cover": [["hello"]], "Data": rows}))
    assert [record.cells for record in table.records] == [
        {"subject": "a", "department": "x", "number": "7"}, {"subject": "b", "department": "y", "number": "8.5"}
    ]  # fmt: skip
    assert [record.line for record in table.records] == [3, 5]
    assert "sheet 'Data' is read; not read: Cover" in table.notes


def test_two_sheets_of_tickets_are_refused_with_a_choice(tmp_path: Path) -> None:
    """The program does not guess which one is meant."""
    rows = [["subject", "department"], ["a", "x"]]
    path = write_workbook(tmp_path / "t.xlsx", {"May": rows, "June": rows})
    with pytest.raises(TicketRouterError, match="the sheets 'May' and 'June' could both be the tickets"):
        open_table(path)


def test_a_cell_merged_over_rows_counts_in_each_of_them(tmp_path: Path) -> None:
    rows = [["subject", "department"], ["a", "x"], ["b", ""], ["c", ""]]
    table = open_table(write_workbook(tmp_path / "t.xlsx", {"May": rows}, merged="B2:B3"))
    assert [record.cells["department"] for record in table.records] == ["x", "x", ""]
    assert "cells merged over several rows count in each of them" in table.notes


def test_a_hidden_sheet_is_not_read(tmp_path: Path) -> None:
    rows = [["subject", "department"], ["a", "x"]]
    table = open_table(write_workbook(tmp_path / "t.xlsx", {"May": rows, "Lists": rows}, hidden="Lists"))
    assert len(list(table.records)) == 1


def test_an_mbox_is_read(tmp_path: Path) -> None:
    """Each mail once, with its headers as columns; a quoted `From ` line in a mail begins no mail."""
    line = b"From ann@a.example Mon Jan  1 10:00:00 2024\n"
    (tmp_path / "export").write_bytes(line + MAIL + b"\n>From here on it fails\n\n" + line + MAIL)
    first, second = rows_of(tmp_path / "export")
    assert (first["subject"], first["from"], first["x-team"]) == ("Grüße", "ann@a.example", "billing")
    assert first["body"].rstrip().endswith("From here on it fails")
    assert second["body"].strip() == "It fails."


def test_a_folder_of_mails_is_read(tmp_path: Path) -> None:
    """The subfolder is a column, so that a folder per team is an export."""
    for name in ("billing/1.eml", "sales/2.EML"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_bytes(MAIL)
    assert [row["folder"] for row in rows_of(tmp_path)] == ["billing", "sales"]
    assert len(rows_of(tmp_path / "billing/1.eml")) == 1


def test_a_decompression_bomb_is_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(TEXT + b"a" * (120 << 20)))
    with pytest.raises(TicketRouterError, match="over 200 times its size"):
        rows_of(tmp_path / "t.csv.gz")


def test_a_doubly_packed_file_or_a_zip_without_files_is_named(tmp_path: Path) -> None:
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(gzip.compress(TEXT)))
    zipfile.ZipFile(tmp_path / "t.zip", "w").close()
    for name, why in (("t.csv.gz", "packed twice"), ("t.zip", "without files")):
        with pytest.raises(TicketRouterError, match=why):
            rows_of(tmp_path / name)
