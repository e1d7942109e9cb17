"""Downloads that a spreadsheet opens without running anything."""

import csv
import io

from hypothesis import example, given
from hypothesis import strategies as st

from service.desk.quality.table_csv import csv_of

DANGEROUS = "=+-@\t\r\n\uff1d\uff0b\uff0d\uff20"


@given(st.lists(st.lists(st.text(), min_size=2, max_size=2), max_size=5))
@example([["=1+1", "+1"], ["-1", "@a"], ["\t=1", "\r=1"], [" =1", "\uff1d1"], ['"=1"', "a,b\nc"]])
def test_no_cell_begins_like_a_formula_and_no_text_is_lost(rows: list[list[str]]) -> None:
    rows = [[cell.replace("\0", "") for cell in row] for row in rows]
    read = list(csv.reader(io.StringIO(csv_of(["=a", "b"], rows), newline="")))
    assert read[0] == ["'=a", "b"]
    for before, after in zip(rows, read[1:], strict=True):
        for was, cell in zip(before, after, strict=True):
            assert cell.removeprefix("'") == was.removeprefix("'")
            assert not cell.lstrip(" ").startswith(tuple(DANGEROUS))


def test_number_is_written_as_a_number() -> None:
    assert csv_of(["a", "b", "c"], [(-1.5, 3, None)]).splitlines()[1] == "-1.5,3,"
