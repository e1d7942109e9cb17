"""A column of dates → moments. Whether day or month comes first is decided for the whole column, never per row.

The most frequent format is the column's format; a cell in another format is a fault. Dates without a time zone are UTC.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone

from models.errors import TicketRouterError

DAY_FIRST, MONTH_FIRST = "DD/MM/YYYY", "MM/DD/YYYY"
_TIME = (
    r"(?:(?:[T ]|, )\s*(?P<hour>[01]?\d|2[0-3]):(?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:[.,]\d+)?)?"
    r"(?:\s*(?P<half>[AaPp])\.?[Mm]\.?)?(?:\s*(?P<zone>Z|UTC|GMT|(?P<sign>[+-])(?P<ahead>\d\d)(?::?(?P<more>[0-5]\d))?))?)?"
)
_YEAR_FIRST = re.compile(rf"(?P<year>\d{{4}})(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<day>\d\d?){_TIME}", re.ASCII)
_YEAR_LAST = re.compile(
    rf"(?P<day>\d\d?)(?P<mark>[-/.])(?P<month>\d\d?)(?P=mark)(?P<year>\d{{4}}|\d\d){_TIME}", re.ASCII
)
_EPOCH = re.compile(r"(?P<seconds>\d{9,10})(?P<thousandths>\d{3})?(?:\.\d*)?", re.ASCII)
_SWAP = {"day": "month", "month": "day"}


@dataclass(frozen=True, slots=True)
class Moment:
    """A parsed cell: the moment (None: empty, or faulty), and the fault."""

    at: datetime | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A cell that looks like a date: its format, written as if the day came first, and its parts."""

    form: str
    parts: dict[str, str | None]

    @property
    def is_open(self) -> bool:
        """Whether the order of day and month is ambiguous. With dots, the day comes first."""
        return self.form.startswith(("DD/", "DD-"))


def read_dates(cells: Sequence[str], name: str, date_format: str | None = None) -> list[Moment]:
    """Read a column of text cells; an empty cell is no date and no fault.

    Args:
        cells: the whole column: dates, or seconds or milliseconds since 1970.
        name: the column's name in faults.
        date_format: DD/MM/YYYY or MM/DD/YYYY for an ambiguous column, or a strptime pattern.

    Raises:
        TicketRouterError: `date_format` is neither.
    """
    stripped = [cell.strip() for cell in cells]
    if date_format and date_format not in (DAY_FIRST, MONTH_FIRST):
        return _by_pattern(stripped, name, date_format)
    shapes = [_shape(cell) for cell in stripped]
    forms = Counter(shape.form for shape in shapes if shape)
    form = forms.most_common(1)[0][0] if forms else ""
    own = [shape for shape in shapes if shape and shape.form == form]
    month_first = bool(own) and own[0].is_open and _month_first(own, date_format)
    if month_first is None:
        return _undecided(shapes, own[0], name)
    read = _reader(form, month_first, name)
    return [read(shape) if shape or cell else Moment() for cell, shape in zip(stripped, shapes, strict=True)]


def _by_pattern(cells: Sequence[str], name: str, pattern: str) -> list[Moment]:
    if "%" not in pattern or _matching("", pattern) or not _matching(datetime(2026, 1, 2).strftime(pattern), pattern):
        raise TicketRouterError(
            f"--date-format {pattern!a}: give {DAY_FIRST}, {MONTH_FIRST} or a pattern such as '%d %b %Y %H:%M'"
        )
    wrong = Moment(fault=f"{name} does not read as --date-format says")
    read = (_matching(cell, pattern) if cell else None for cell in cells)
    return [Moment(at) if at else wrong if cell else Moment() for cell, at in zip(cells, read, strict=True)]


def _matching(cell: str, pattern: str) -> datetime | None:
    try:
        read = datetime.strptime(cell, pattern)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, re.error):
        return None


def _shape(cell: str) -> _Shape | None:
    if found := _YEAR_FIRST.fullmatch(cell):
        form = "YYYY{0}MM{0}DD"
    elif found := _YEAR_LAST.fullmatch(cell):
        form = "DD{0}MM{0}YYYY"
    elif found := _EPOCH.fullmatch(cell):
        return _Shape("milliseconds since 1970" if found["thousandths"] else "seconds since 1970", found.groupdict())
    else:
        return None
    return _Shape(form.format(found["mark"]) + (" with a time zone" if found["zone"] else ""), found.groupdict())


def _month_first(own: Sequence[_Shape], date_format: str | None) -> bool | None:
    """Whether the day comes first; None: ambiguous. A number over twelve can only be a day."""
    if date_format:
        return date_format == MONTH_FIRST
    first, second = (sum(int(shape.parts[part] or 0) > 12 for shape in own) for part in ("day", "month"))
    return None if first == second else second > first


def _undecided(shapes: Sequence[_Shape | None], first: _Shape, name: str) -> list[Moment]:
    """One fault for the whole column, at its first date."""
    what = f"{name}: the column does not show whether day or month stands first"
    fault = Moment(fault=f"{what}; say --date-format {DAY_FIRST} or --date-format {MONTH_FIRST}")
    return [fault if shape is first else Moment() for shape in shapes]


def _reader(form: str, month_first: bool, name: str) -> Callable[[_Shape | None], Moment]:
    """The parser for the cells of a column with a known format."""
    shown = form.replace("DD", "d").replace("MM", "DD").replace("d", "MM") if month_first else form
    unknown = Moment(fault=f"{name} is no date of a known form; mend it, or say the form with --date-format")
    other = Moment(fault=f"{name} is not written as most dates of the column, {shown}")
    no_day = Moment(fault=f"{name} is no day that exists, read as {shown} like the rest of the column")

    def read(shape: _Shape | None) -> Moment:
        if shape is None:
            return unknown
        if shape.form != form:
            return other
        at = _moment(shape.parts, month_first)
        return Moment(at) if at else no_day

    return read


def _moment(parts: dict[str, str | None], month_first: bool) -> datetime | None:
    number = {name: int(part) for name, part in parts.items() if part and part.isdigit()}
    if "seconds" in number:
        return datetime.fromtimestamp(number["seconds"], UTC)
    day, month = (_SWAP[part] if month_first else part for part in ("day", "month"))
    year = number["year"] + (2000 if len(parts["year"] or "") == 2 else 0)
    hour = number.get("hour", 0)
    if parts["half"]:
        hour = hour % 12 + 12 * (parts["half"] in "pP")
    ahead = timedelta(hours=number.get("ahead", 0), minutes=number.get("more", 0))
    try:
        zone = timezone(-ahead if parts["sign"] == "-" else ahead)
        clock = (hour, number.get("minute", 0), number.get("second", 0))
        return datetime(year, number[month], number[day], *clock, tzinfo=zone).astimezone(UTC)
    except (ValueError, OverflowError):  # a 30th of February, a zone a day ahead, the first day of year 1
        return None
