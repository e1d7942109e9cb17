"""Parquet → records, batch by batch."""

from collections.abc import Iterator
from typing import Any

from models.errors import TicketRouterError
from training.data.formats.nested import plain_cells
from training.data.formats.raw import RawFile
from training.data.formats.table import CELL_CHARACTERS, Record, Rereadable, Table

_BATCH = 2_000


def open_parquet(raw: RawFile) -> Table:
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(raw.path) as file:
            columns = tuple(file.schema_arrow.names)
    except Exception as error:  # damaged files raise many types, pyarrow's own and Python's
        raise TicketRouterError(f"{raw.path}: not a readable Parquet file; export it anew") from error
    return Table(raw.path, columns, Rereadable(lambda: _records(raw)), raw.notes, "row")


def _records(raw: RawFile) -> Iterator[Record]:
    import pyarrow.parquet as pq

    row = 0
    try:
        with pq.ParquetFile(raw.path) as file:
            for batch in file.iter_batches(_BATCH):
                for values in _in_microseconds(batch).to_pylist():
                    row += 1
                    cells = plain_cells(values)
                    long = next((name for name, cell in cells.items() if len(cell) > CELL_CHARACTERS), None)
                    fault = f"column {long[:40]!a} has over a million characters; shorten it" if long else ""
                    yield Record(row, {} if fault else cells, fault)
    except Exception as error:
        raise TicketRouterError(f"{raw.path}: not a readable Parquet file after row {row}; export it anew") from error


def _in_microseconds(batch: Any) -> Any:
    """Data tools write dates in nanoseconds, which Python's dates do not support."""
    import pyarrow as pa

    table = pa.Table.from_batches([batch])
    fields = [
        field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
        for field in table.schema
    ]
    return table.cast(pa.schema(fields), safe=False)
