"""Where the marks of a plot lie, in the units of its view box; `templates/plots.html` draws them.

The page's policy forbids style attributes: the shape of a mark is in its own attributes, the rest in classes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from service.records.live import Share

WIDTH, HEIGHT = 640, 260
LEFT, RIGHT, TOP, BOTTOM = 48, 16, 12, 32
TICKS = 5


class Point(NamedTuple):
    """`x` and `y` in 0…1 of the axes. `low` and `high`: an interval of `y`."""

    x: float
    y: float
    low: float | None = None
    high: float | None = None


class Tick(NamedTuple):
    at: float
    text: str


class Mark(NamedTuple):
    """Of a point. `top` and `bottom`: of the interval's line."""

    x: float
    y: float
    top: float | None
    bottom: float | None


@dataclass(frozen=True, slots=True)
class Series:
    """`number`: chooses colour and shape. `line`: of an SVG polyline; "" draws none."""

    number: int
    name: str
    line: str
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Plot:
    """`rule`: where the promise's line lies. `diagonal`: draw x = y."""

    title: str
    x_ticks: tuple[Tick, ...]
    y_ticks: tuple[Tick, ...]
    series: tuple[Series, ...]
    rule: Tick | None = None
    diagonal: bool = False
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    top: int = TOP
    bottom: int = HEIGHT - BOTTOM


def x_at(part: float) -> float:
    return round(LEFT + part * (WIDTH - LEFT - RIGHT), 1)


def y_at(part: float) -> float:
    return round(HEIGHT - BOTTOM - part * (HEIGHT - TOP - BOTTOM), 1)


def share_axis(values: Sequence[float]) -> float:
    """Where an axis of shares begins: below all values, with round ticks."""
    return next(start for start in (0.75, 0.5, 0.0) if start <= min(values, default=0.0) or not start)


def share_plot(
    title: str,
    x_labels: Sequence[tuple[float, str]],
    series: Sequence[tuple[str, Sequence[Point]]],
    *,
    start: float = 0.0,
    promise: float | None = None,
    diagonal: bool = False,
) -> Plot:
    """A plot of shares from `start` up to 1."""

    def scaled(value: float) -> float:
        return y_at(max(0.0, (value - start) / (1 - start)))

    def mark(point: Point) -> Mark:
        top = None if point.high is None else scaled(point.high)
        return Mark(x_at(point.x), scaled(point.y), top, None if point.low is None else scaled(point.low))

    ticks = tuple(
        Tick(y_at(number / TICKS), f"{start + (1 - start) * number / TICKS:.0%}") for number in range(TICKS + 1)
    )
    drawn = []
    for number, (name, points) in enumerate(series):
        marks = tuple(map(mark, points))
        line = " ".join(f"{each.x},{each.y}" for each in marks) if len(marks) > 1 else ""
        drawn.append(Series(number, name, line, marks))
    return Plot(
        title,
        tuple(Tick(x_at(at), text) for at, text in x_labels),
        ticks,
        tuple(drawn),
        None if promise is None else Tick(scaled(promise), f"promise {promise:.1%}"),
        diagonal,
    )


def point(x: float, value: Share) -> Point:
    return Point(x, value.value, value.low, value.high)
