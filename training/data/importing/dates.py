"""A column of dates → moments. Each cell is read by its own form; whether day or month stands first is decided for the
whole column, and asked if the column does not show it. Dates without a time zone are UTC."""

import re
import tomllib
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError

DAY_FIRST, MONTH_FIRST = "DD/MM/YYYY", "MM/DD/YYYY"
_CLOCK = re.compile(
    r"(?:^|[T ,]\s*|\s)(?:(?:at|um|a las|a|à|as|às)\s+)?"
    r"(?P<hour>[01]?\d|2[0-3])[:h](?P<minute>[0-5]\d)(?::(?P<second>[0-5]\d)(?:[.,]\d+)?)?"
    r"(?:\s?(?P<half>[AaPp])\.?\s?[Mm]\b\.?)?(?:\s*uhr\b)?"
    r"(?:\s*(?P<zone>(?:(?:GMT|UTC)?(?P<sign>[+-])(?P<ahead>\d\d?):?(?P<more>[0-5]\d)?(?!\d|[-/]))|Z\b|(?!Uhr)[A-Z]{2,5}(?![a-zA-Z])))?"
    r"(?:\s*[(\[][^()\[\]]{0,60}[)\]]|\s+UTC\b)?",
)
_NUMBERS = re.compile(r"(?P<first>\d{1,4})(?P<mark>[-/.])(?P<second>\d{1,2})(?P=mark)(?P<third>\d{1,4})", re.ASCII)
_EPOCH = re.compile(r"(?P<seconds>\d{9,10})(?P<fraction>\d{3}|\d{6}|\d{9})?(?:\.\d*)?", re.ASCII)
_SERIAL = re.compile(r"(?P<days>[2-7]\d{4})(?P<fraction>[.,]\d+)?", re.ASCII)
_COMPACT = re.compile(
    r"(?P<year>(?:19|20)\d\d)(?P<month>0[1-9]|1[0-2])(?P<day>[0-3]\d)(?:T?(?P<clock>\d{4}(?:\d\d)?))?Z?"
)
_CHINESE = str.maketrans({"年": "-", "月": "-", "日": " "})
_WORD = re.compile(r"[^\W\d_]+|\d+")
_SERIAL_START = datetime(1899, 12, 30, tzinfo=UTC)
_LONGEST = 100
_FEW = 0.01
"""Of an ambiguous column: contradicting cells up to this share are faults of their own, not doubts about all."""


@dataclass(frozen=True, slots=True)
class Moment:
    """A parsed cell: the moment (None: empty, or faulty), and the fault."""

    at: datetime | None = None
    fault: str = ""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A cell that looks like a date. `open`: which number is the day is not shown; written as if the day came first."""

    form: str
    year: int = 0
    month: int = 0
    day: int = 0
    clock: tuple[int, int, int] = (0, 0, 0)
    ahead: timedelta = timedelta(0)
    open: bool = False
    short: bool = False
    """All three numbers have two digits: the year may stand first."""
    at: datetime | None = None

    def moment(self, month_first: bool, year_first: bool = False) -> datetime | None:
        if self.at is not None:
            return self.at
        if self.short and year_first:
            return replace(self, year=2000 + self.day, day=self.year - 2000, open=False).moment(False)
        month, day = (self.day, self.month) if self.open and month_first else (self.month, self.day)
        try:
            return datetime(self.year, month, day, *self.clock, tzinfo=timezone(self.ahead)).astimezone(UTC)
        except (ValueError, OverflowError):  # a 30th of February, a zone a day ahead, the first day of year 1
            return None


@dataclass(slots=True)
class DateEvidence:
    """What a column's cells show, gathered one by one: their forms, and whether day or month stands first."""

    forms: Counter[str] = field(default_factory=Counter)
    unreadable: int = 0
    first_over: int = 0
    """Ambiguous forms whose first number is over twelve, so it is the day."""
    second_over: int = 0
    no_years: int = 0
    """Cells of short numbers whose last one is a year to come, and the first one is not."""
    shorts: int = 0
    first_open: tuple[int, str] | None = None
    """The first cell that could be read both ways: its line and text."""

    def see(self, cell: str, line: int) -> None:
        cell = cell.strip()
        if not cell:
            return
        shape = shape_of(cell)
        if shape is None:
            self.unreadable += 1
            return
        self.forms[shape.form] += 1
        if shape.short:
            self.shorts += 1
            self.no_years += shape.day <= _newest_year() < shape.year - 2000
        if shape.open:
            self.first_over += shape.day > 12
            self.second_over += shape.month > 12
            if self.first_open is None and shape.day <= 12 and shape.month <= 12 and shape.day != shape.month:
                self.first_open = (line, cell)

    @property
    def filled(self) -> int:
        return self.forms.total() + self.unreadable

    def year_first(self) -> bool:
        """Whether short dates begin with the year: days of a month are years to come in a tenth of a column, or so."""
        return self.no_years > self.shorts * _FEW

    def month_first(self) -> bool | None:
        """Whether the month stands first where both could; None: the column does not show it."""
        if self.first_open is None or (self.year_first() and self.shorts == self.forms.total()):
            return self.second_over > self.first_over
        most, least = max(self.first_over, self.second_over), min(self.first_over, self.second_over)
        if not most or least > most * _FEW:
            return None
        return self.second_over > self.first_over


@dataclass(frozen=True, slots=True)
class DateReader:
    """Reads a column's cells. `pattern` is a strptime pattern, which replaces everything else."""

    name: str
    month_first: bool = False
    pattern: str = ""
    year_first: bool = False

    def read(self, cell: str) -> Moment:
        cell = cell.strip()
        if not cell:
            return Moment()
        if self.pattern:
            at = _matching(cell, self.pattern)
            return Moment(at) if at else Moment(fault=f"{self.name} does not read as --date-format says")
        shape = shape_of(cell)
        if shape is None:
            return Moment(fault=f"{self.name} is no date of a known form")
        at = shape.moment(self.month_first, self.year_first)
        if at is None:
            order = (MONTH_FIRST if self.month_first else DAY_FIRST) if shape.open else shape.form
            return Moment(fault=f"{self.name} is no day that exists, read as {order}")
        return Moment(at)


def checked_format(date_format: str | None) -> str | None:
    """
    Raises:
        TicketRouterError: neither DD/MM/YYYY nor MM/DD/YYYY nor a strptime pattern.
    """
    if date_format in (None, DAY_FIRST, MONTH_FIRST):
        return date_format
    if "%" not in date_format or _matching("", date_format) or not _shows_itself(date_format):
        raise TicketRouterError(
            f"--date-format {date_format!a}: give {DAY_FIRST}, {MONTH_FIRST} or a pattern such as '%d %b %Y %H:%M'"
        )
    return date_format


def date_reader(evidence: DateEvidence, name: str, date_format: str | None) -> DateReader | None:
    """The column's reader; None: the column does not show whether day or month stands first."""
    if date_format and date_format not in (DAY_FIRST, MONTH_FIRST):
        return DateReader(name, pattern=date_format)
    month_first = evidence.month_first() if date_format is None else date_format == MONTH_FIRST
    year_first = date_format is None and evidence.year_first()
    return None if month_first is None else DateReader(name, month_first, year_first=year_first)


def read_dates(cells: Iterable[str], name: str, date_format: str | None = None) -> list[Moment] | None:
    """A whole column at once; None: ambiguous."""
    cells, evidence = list(cells), DateEvidence()
    for line, cell in enumerate(cells, start=1):
        evidence.see(cell, line)
    reader = date_reader(evidence, name, checked_format(date_format))
    return None if reader is None else [reader.read(cell) for cell in cells]


def shape_of(cell: str) -> _Shape | None:
    """A cell's date in one of the forms that tools write; None: it is none."""
    if len(cell) > _LONGEST or not any(letter.isdigit() for letter in cell):
        return None
    if "年" in cell:
        cell = cell.translate(_CHINESE)
    if cell[0].isdigit():
        if cell[4:5] == "-" and (at := _iso(cell)):
            return _Shape("YYYY-MM-DD", at=at)
        if found := _EPOCH.fullmatch(cell):
            kind = {0: "seconds", 3: "milliseconds", 6: "microseconds", 9: "nanoseconds"}[len(found["fraction"] or "")]
            return _Shape(f"{kind} since 1970", at=datetime.fromtimestamp(int(found["seconds"]), UTC))
        if found := _SERIAL.fullmatch(cell):
            return _Shape("Excel serial", at=_SERIAL_START + timedelta(days=float(cell.replace(",", "."))))
        if found := _COMPACT.fullmatch(cell):
            return _compact(found)
    clock = _CLOCK.search(cell)
    rest = cell if clock is None else f"{cell[: clock.start()]} {cell[clock.end() :]}"
    parts = _clock_parts(clock)
    return None if parts is None else _numbers(rest, *parts) or _words(rest, *parts)


def _iso(cell: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(cell)
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def _compact(found: re.Match[str]) -> _Shape:
    clock = found["clock"] or ""
    hour, minute, second = (int(clock[at : at + 2] or 0) for at in (0, 2, 4))
    return _Shape("YYYYMMDD", int(found["year"]), int(found["month"]), int(found["day"]), (hour, minute, second))


def _clock_parts(found: re.Match[str] | None) -> tuple[tuple[int, int, int], timedelta] | None:
    if found is None:
        return (0, 0, 0), timedelta(0)
    hour = int(found["hour"])
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + 12 * (found["half"] in "pP")
    ahead = timedelta(hours=_zones().get((found["zone"] or "").casefold(), 0))
    if found["sign"]:
        ahead = timedelta(hours=int(found["ahead"]), minutes=int(found["more"] or 0)) * (
            -1 if found["sign"] == "-" else 1
        )
    if abs(ahead) >= timedelta(days=1):
        return None
    return (hour, int(found["minute"]), int(found["second"] or 0)), ahead


def _numbers(rest: str, clock: tuple[int, int, int], ahead: timedelta) -> _Shape | None:
    """Three numbers, perhaps after the day of the week."""
    found = _NUMBERS.search(rest)
    if found is None:
        return None
    around = _WORD.findall(_plain(rest[: found.start()] + " " + rest[found.end() :]))
    if any(word not in _fillers() for word in around):
        return None
    first, second, third = int(found["first"]), int(found["second"]), int(found["third"])
    mark = found["mark"]
    if len(found["first"]) == 4:
        return _Shape(f"YYYY{mark}MM{mark}DD", first, second, third, clock, ahead)
    if len(found["first"]) > 2 or len(found["third"]) not in (2, 4):
        return None
    short = len(found["first"]) == len(found["third"]) == 2
    # With dots the day comes first everywhere.
    return _Shape(f"DD{mark}MM{mark}YYYY", _year(found["third"]), second, first, clock, ahead, mark != ".", short)


def _words(rest: str, clock: tuple[int, int, int], ahead: timedelta) -> _Shape | None:
    """A month's name, a day and a year, in any order: RFC 2822, asctime, `01/Jan/24`, `1 de enero de 2024`."""
    words = _WORD.findall(_plain(rest))
    months = [place for place, word in enumerate(words) if word in _month_names()]
    # "mar" is also the day of the week in French, Spanish and Italian.
    months = [place for place in months if words[place] != "mar" or len(months) == 1]
    numbers = [place for place, word in enumerate(words) if word.isdigit()]
    # In asctime a zone may stand between the time and the year, apart from the time.
    others = [word for word in words if not word.isdigit() and word not in _month_names() and word not in _fillers()]
    if len(months) != 1 or len(numbers) != 2 or any(word not in _zones() for word in others):
        return None
    first, second = (words[place] for place in numbers)
    if len(first) == 4:
        first, second = second, first
    if len(first) > 2 or len(second) not in (2, 4):
        return None
    return _Shape("month by name", _year(second), _month_names()[words[months[0]]], int(first), clock, ahead)


def _year(digits: str) -> int:
    return int(digits) + (2000 if len(digits) == 2 else 0)


@cache
def _newest_year() -> int:
    return datetime.now(UTC).year - 2000


def _plain(text: str) -> str:
    return "".join(
        letter for letter in unicodedata.normalize("NFKD", text.casefold()) if not unicodedata.combining(letter)
    )


@cache
def _words_of() -> Mapping[str, Any]:
    return tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8"))


@cache
def _month_names() -> Mapping[str, int]:
    return {name: month for month, names in enumerate(_words_of()["months"], start=1) for name in names.split()}


@cache
def _fillers() -> frozenset[str]:
    return frozenset(_words_of()["fillers"].split())


@cache
def _zones() -> Mapping[str, float]:
    return {zone.casefold(): hours for zone, hours in _words_of()["zones"].items()}


def _shows_itself(pattern: str) -> bool:
    try:
        return _matching(datetime(2026, 1, 2).strftime(pattern), pattern) is not None
    except (ValueError, UnicodeError):
        return False


def _matching(cell: str, pattern: str) -> datetime | None:
    try:
        read = datetime.strptime(cell, pattern)
        return (read if read.tzinfo else read.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError, re.error):
        return None
