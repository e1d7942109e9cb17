"""Columns of dates: formats, the order of day and month, and unreadable cells."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.errors import TicketRouterError
from training.data.importing.dates import Moment, read_dates

moments = st.datetimes(datetime(1990, 1, 1), datetime(2030, 1, 1)).map(lambda at: at.replace(microsecond=0))
FORMS = ["%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%S", "%d.%m.%Y %H:%M:%S", "%d/%m/%Y %H:%M:%S", "%m/%d/%Y %I:%M:%S %p",
         "%m-%d-%Y, %H:%M:%S", "%Y/%m/%d %H:%M:%S"]  # fmt: skip


def read(*cells: str, date_format: str | None = None) -> list[datetime | None]:
    found = read_dates(cells, "created_at", date_format)
    assert found is not None
    assert not any(moment.fault for moment in found)
    return [moment.at for moment in found]


def faults(*cells: str) -> list[str]:
    return [moment.fault for moment in read_dates(cells, "created_at") or ()]


def day(year: int, month: int, number: int, *clock: int) -> datetime:
    return datetime(year, month, number, *clock, tzinfo=UTC)


@given(st.lists(moments, min_size=1), st.sampled_from(FORMS))
def test_dates_are_read_back_as_written(times: list[datetime], form: str) -> None:
    """In each of the usual formats, where a day over twelve decides the order."""
    shown = [*times, datetime(2026, 5, 31, 12, 0, 1)]
    assert read(*(at.strftime(form) for at in shown)) == [at.replace(tzinfo=UTC) for at in shown]


@given(st.lists(moments, min_size=1), st.integers(-14 * 60, 14 * 60))
def test_time_zones_are_applied(times: list[datetime], minutes: int) -> None:
    """A date with an offset is converted to UTC."""
    aware = [at.replace(tzinfo=timezone(timedelta(minutes=minutes))) for at in times]
    assert read(*(at.isoformat() for at in aware)) == aware


@given(st.lists(st.text(max_size=20)))
def test_any_cell_is_a_date_a_fault_or_undecided(cells: list[str]) -> None:
    """Each cell that isn't blank is read, or faulty, or undecided until the order is known."""
    found = read_dates(cells, "created_at") or [Moment()] * len(cells)
    assert len(found) == len(cells)
    assert not any(moment.at and moment.fault for moment in found)
    assert all(moment.fault.isprintable() for moment in found)


@given(st.lists(st.from_regex(r"\A[0-9]{1,4}[-/.][0-9]{1,2}[-/.][0-9]{1,4}( [0-9]{2}:[0-9]{2}([+-][0-9]{4})?)?\Z")))
def test_anything_like_a_date_is_read_or_faulty(cells: list[str]) -> None:
    """Days, months, hours and zones that don't exist raise no exception."""
    found = read_dates(cells, "created_at")
    assert found is None or len(found) == len(cells)


def test_seconds_and_milliseconds_since_1970() -> None:
    """As data tools write them, with a decimal point or without."""
    assert read("1700000000", "", "1700000001.0") == [
        day(2023, 11, 14, 22, 13, 20),
        None,
        day(2023, 11, 14, 22, 13, 21),
    ]
    assert read("1700000000000") == [day(2023, 11, 14, 22, 13, 20)]


def test_two_digit_years_and_am_pm_are_read() -> None:
    """As spreadsheets write them."""
    assert read("31.1.26", "1.2.26 0:05") == [day(2026, 1, 31), day(2026, 2, 1, 0, 5)]
    assert read("1/31/2026 12:30 am", "2/1/2026 12:30 p.m.") == [day(2026, 1, 31, 0, 30), day(2026, 2, 1, 12, 30)]


def test_the_order_of_day_and_month_is_decided_for_the_column() -> None:
    """One day over twelve decides for all cells; with dots the day is always first."""
    assert read("1/2/2026", "13/2/2026") == [day(2026, 2, 1), day(2026, 2, 13)]
    assert read("1/2/2026", "2/13/2026") == [day(2026, 1, 2), day(2026, 2, 13)]
    assert read("1.2.2026") == [day(2026, 2, 1)]


def test_an_undecided_column_is_not_guessed() -> None:
    """Without a day over twelve, or with two contradicting ones; the option decides."""
    assert read_dates(["", "1/2/2026", "3/4/2026"], "created_at") is None
    assert read_dates(["13/1/2026", "1/13/2026", "1/2/2026"], "created_at") is None
    assert read("1/2/2026", date_format="MM/DD/YYYY") == [day(2026, 1, 2)]
    assert read("1-2-2026", date_format="DD/MM/YYYY") == [day(2026, 2, 1)]


def test_each_cell_is_read_in_its_own_format() -> None:
    """Formats may be mixed; a cell that is no date, or no existing day, is a fault."""
    assert read("2026-01-02", "03.01.2026", "2026-01-04T10:00Z") == [
        day(2026, 1, 2), day(2026, 1, 3), day(2026, 1, 4, 10)
    ]  # fmt: skip
    assert "no date of a known form" in faults("2026-01-02", "soon")[1]
    assert "no day that exists, read as YYYY/MM/DD" in faults("2026/02/30")[0]


@pytest.mark.parametrize(
    ("cell", "at"),
    [
        ("Mon, 05 Jan 2026 06:30:53 +0100", day(2026, 1, 5, 5, 30, 53)),
        ("Mon Jan  5 06:30:53 2026", day(2026, 1, 5, 6, 30, 53)),
        ("Mon Jan  5 06:30:53 CET 2026", day(2026, 1, 5, 5, 30, 53)),
        ("Mon Jan 05 2026 06:30:53 GMT+0100 (Central European Standard Time)", day(2026, 1, 5, 5, 30, 53)),
        ("2026-01-05 06:30:53 CEST", day(2026, 1, 5, 4, 30, 53)),
        ("2026-01-05 06:30:53 EST", day(2026, 1, 5, 11, 30, 53)),
        ("05/Jan/26 06:30 PM", day(2026, 1, 5, 18, 30)),
        ("Monday, January 05, 2026 12:30 AM", day(2026, 1, 5, 0, 30)),
        ("Jan 5, 2026, 3:04:05 PM", day(2026, 1, 5, 15, 4, 5)),
        ("5. März 2026 um 10:30 Uhr", day(2026, 3, 5, 10, 30)),
        ("Mo, 05.01.2026 06:30", day(2026, 1, 5, 6, 30)),
        ("mar. 3 mars 2026", day(2026, 3, 3)),
        ("1er août 2026", day(2026, 8, 1)),
        ("5 de enero de 2026 a las 10:30", day(2026, 1, 5, 10, 30)),
        ("quinta-feira, 5 de março de 2026", day(2026, 3, 5)),
        ("20260105T063053Z", day(2026, 1, 5, 6, 30, 53)),
        ("20260105", day(2026, 1, 5)),
        ("46027", day(2026, 1, 5)),
        ("46027.5", day(2026, 1, 5, 12)),
        ("1767594653000", day(2026, 1, 5, 6, 30, 53)),
    ],
)
def test_the_formats_of_helpdesk_tools_are_read(cell: str, at: datetime) -> None:
    """RFC 2822, asctime, browsers, trackers, spreadsheets; months by name in five languages; zones by name."""
    assert read(cell) == [at]


@pytest.mark.parametrize("cell", ["soon", "12", "2 days ago", "May", "5 / 6", "Maybe 5 2026 7", "v1.2.3 beta", "10:30"])
def test_similar_numbers_and_words_are_not_read_as_dates(cell: str) -> None:
    assert faults(cell)[0]


def test_a_pattern_reads_any_other_format() -> None:
    """strptime's patterns; a cell that does not match is a fault."""
    assert read("1 Feb 2026", "", date_format="%d %b %Y") == [day(2026, 2, 1), None]
    (found,) = read_dates(["2026"], "created_at", "%d %b %Y") or ()
    assert "as --date-format says" in found.fault


@pytest.mark.parametrize("pattern", ["DD.MM.YYYY", "%Q", "%", "yyyy\x1b[31m"])
def test_an_invalid_pattern_is_refused(pattern: str) -> None:
    """With one line that shows a valid one."""
    with pytest.raises(TicketRouterError, match=r"--date-format .*: give DD/MM/YYYY") as caught:
        read_dates(["1.2.2026"], "created_at", pattern)
    assert str(caught.value).isprintable()


def test_short_dates_with_the_year_first_are_recognised_by_their_days() -> None:
    """Read day first, the last numbers would be future years, so the year comes first; otherwise the last number is
    the year."""
    cells = [f"24-01-{day:02d} 06:30" for day in range(1, 32)]
    assert [moment.at.day for moment in read_dates(cells, "created_at") or () if moment.at] == [*range(1, 32)]
    (moment,) = read_dates(["13-01-24"], "created_at") or ()
    assert moment.at == datetime(2024, 1, 13, tzinfo=UTC)
