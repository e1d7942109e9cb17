"""The spool: what was acknowledged stays readable, whatever happens to the file."""

from pathlib import Path

import pytest

from service.records.database.connections import RecordsError
from service.records.spool import SPOOL, Spool, Spooled


def entry(number: int) -> Spooled:
    return Spooled({"id": f"id-{number}", "caller": "a", "idempotency_key": f"key-{number}"}, None)


def opened(folder: Path, limit_bytes: int = 10_000) -> Spool:
    spool = Spool(folder / SPOOL, limit_bytes)
    spool.open()
    return spool


def ids(spool: Spool) -> list[str]:
    return [each.row["id"] for each in spool.next_chunk(100)[0]]


def test_entries_are_read_in_order_after_a_restart(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    assert spool.append([entry(number) for number in range(3)]) == 3
    spool.append([entry(3)])
    spool.close()
    again = opened(tmp_path)
    assert ids(again) == ["id-0", "id-1", "id-2", "id-3"]
    found = again.find("a", "key-2")
    assert found is not None
    assert found["id"] == "id-2"
    assert again.find("b", "key-2") is None
    again.close()


def test_interrupted_write_at_the_end_is_dropped(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([entry(0), entry(1)])
    spool.close()
    content = (tmp_path / SPOOL).read_bytes()
    (tmp_path / SPOOL).write_bytes(content[:-7])
    again = opened(tmp_path)
    again.append([entry(2)])
    assert ids(again) == ["id-0", "id-2"]
    again.close()


def test_damaged_line_costs_no_other_line(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([entry(number) for number in range(3)])
    spool.close()
    content = (tmp_path / SPOOL).read_bytes()
    (tmp_path / SPOOL).write_bytes(content.replace(b"id-1", b"id-9"))
    again = opened(tmp_path)
    assert ids(again) == ["id-0", "id-2"]
    assert again.rows == 2
    again.close()


def test_full_spool_takes_what_has_room(tmp_path: Path) -> None:
    spool = opened(tmp_path, limit_bytes=200)
    assert 0 < spool.append([entry(number) for number in range(10)]) < 10
    assert spool.append([entry(10)]) == 0
    assert spool.path.stat().st_size <= 200
    spool.close()


def test_drained_spool_is_empty_and_takes_new_entries(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    spool.append([entry(number) for number in range(5)])
    chunk, offset = spool.next_chunk(3)
    spool.drained_to(offset, len(chunk))
    assert (spool.rows, ids(spool)) == (2, ["id-3", "id-4"])
    chunk, offset = spool.next_chunk(3)
    spool.drained_to(offset, len(chunk))
    assert (spool.rows, spool.bytes, spool.path.stat().st_size) == (0, 0, 0)
    spool.append([entry(9)])
    assert ids(spool) == ["id-9"]
    spool.close()


def test_second_service_on_the_same_file_is_refused(tmp_path: Path) -> None:
    spool = opened(tmp_path)
    with pytest.raises(RecordsError, match="in use by another service"):
        opened(tmp_path)
    spool.close()
