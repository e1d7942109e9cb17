"""`/desk/quality` and `/desk/promise`: how good the routing is, and what another promise would give."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from typing import Any

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from models.bundle.bundle import Bundle
from service.access.audit import audit
from service.access.caller import Role
from service.desk.kept import Kept
from service.desk.pages import PageError, Pages
from service.desk.quality import promise, queries
from service.desk.quality.figures import Assumptions, Bin, Flow, Week, calibration, flows, precision, saved, weeks
from service.desk.quality.plots import Plot, Point, point, share_axis, share_plot
from service.desk.quality.queries import Decided, Judged, first_moment, week_of
from service.desk.quality.requests import file_request, newest
from service.desk.quality.table_csv import Cell, csv_of
from service.desk.session import PATH
from service.drift.window import Drift
from service.records.database.schema import milliseconds_now
from service.records.live import BASES, Share
from service.records.records import Records
from service.records.rows import timestamp
from service.routing.router import Router

HERE = "/quality"
PROMISE = "/promise"
CHOICES = (4, 12, 26, 52)
"""Weeks that can be shown."""
FLOWS = 50
LIVE_WEEKS = 12
FRESH_SECONDS = 60.0
STALE_SECONDS = 600.0
"""Of the counts: see `Kept`."""


@dataclass(frozen=True, slots=True)
class Counts:
    numbers: tuple[int, ...]
    decided: Sequence[Decided]
    judged: Sequence[Judged]


class Quality:
    def __init__(self, pages: Pages, router: Router, records: Records) -> None:
        self._pages = pages
        self._router = router
        self._records = records
        self._kept = Kept(FRESH_SECONDS, STALE_SECONDS)
        self._curve: tuple[str, promise.Curve | None] | None = None

    def routes(self) -> list[Route]:
        guarded = self._pages.guarded
        return [
            Route(HERE, guarded(self.show)),
            Route(f"{HERE}/{{name}}.csv", guarded(self.download)),
            Route(PROMISE, guarded(self.simulate)),
            Route(PROMISE, guarded(self.apply, Role.ADMIN), methods=["POST"]),
        ]

    async def stop(self) -> None:
        await self._kept.stop()

    async def show(self, request: Request) -> Response:
        number, department = self._chosen(request.query_params)
        counts = await self._read(number)
        found = weeks(counts.decided, counts.judged, counts.numbers, department)
        curve = await self._read_curve()
        costs = _costs(request.query_params, Assumptions() if curve is None else curve.costs)
        entry = self._router.engine.graph.entry.fields[0]
        promised = entry.promise.route_precision if entry.promise.aim == "precision" else None
        bins, moved, drift = calibration(counts.judged), flows(counts.judged), self._router.drift()
        if department is not None:
            moved = [each for each in moved if department in (each.source, each.target)]
        basis, right = _precision_of(counts.judged)
        return self._pages.render(
            request,
            "quality.html",
            weeks=found,
            chosen=number,
            choices=CHOICES,
            department=department,
            departments=[label.name for label in entry.labels],
            promised=promised,
            precision_plot=_weekly_plot("Precision of routed tickets, by week", found, promised),
            coverage_plot=_coverage_plot("Share of the tickets that is routed, by week", found),
            calibration_plot=_calibration_plot(bins),
            bins=bins,
            flows=moved[:FLOWS],
            flows_total=len(moved),
            drift=drift,
            costs=costs,
            basis=basis,
            right=right,
            saved=_saved_by_week(counts, right, costs),
            query=_query(number, department),
            timestamp=timestamp,
            date=_date,
        )

    async def download(self, request: Request) -> Response:
        number, department = self._chosen(request.query_params)
        counts = await self._read(number)
        name = request.path_params["name"]
        if name == "weeks":
            content = weeks_csv(weeks(counts.decided, counts.judged, counts.numbers, department))
        elif name == "flows":
            content = flows_csv(flows(counts.judged))
        elif name == "calibration":
            content = calibration_csv(calibration(counts.judged))
        elif name == "drift":
            content = drift_csv(self._router.drift())
        else:
            raise PageError(404, "There is no such table.")
        headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
        return Response(content, headers=headers, media_type="text/csv")

    async def simulate(self, request: Request) -> Response:
        return await self._simulated(request, request.query_params, None)

    async def apply(self, request: Request) -> Response:
        """Put on record who wants which target, and show the commands. No threshold changes here."""
        form, who = await self._pages.form(request), request.state.session.name
        target = _number(form, "target", promise.LEAST, promise.MOST)
        if target is None:
            raise PageError(422, f"Give a target from {promise.LEAST:.0%} to {promise.MOST:.0%}.")
        bundle = self._router.engine.bundle
        commands = promise.command(bundle.path, target)
        await self._records.write(lambda database: file_request(database, bundle.version, target, commands, who))
        audit(who, "recalibration", "done", version=bundle.version, target=f"{target:.4g}")
        return RedirectResponse(f"{PATH}{PROMISE}?target={target:.4g}#requests", 303)

    async def _simulated(self, request: Request, given: Mapping[str, str], problem: str | None) -> Response:
        (steps, usual), curve = await self._read_live(), await self._read_curve()
        entry = self._router.engine.graph.entry.fields[0]
        requests = await self._records.read(newest)
        usual = usual or (1000 if curve is None else curve.tickets_per_week)
        per_week = _number(given, "tickets", 1, 10_000_000) or usual
        target = _number(given, "target", promise.LEAST, promise.MOST) or entry.promise.route_precision
        target = min(max(target, promise.LEAST), promise.MOST)
        costs = _costs(given, Assumptions() if curve is None else curve.costs)
        live = promise.live(steps, target)
        routed = per_week * live.coverage
        live_week = saved(per_week, routed, 0, live.precision.value, costs) if live.precision is not None else None
        return self._pages.render(
            request,
            "promise.html",
            curve=curve,
            least=promise.LEAST,
            most=promise.MOST,
            target=target,
            tickets=per_week,
            costs=costs,
            simulated=None if curve is None else promise.simulated(curve, target, per_week, costs),
            now=None if curve is None else promise.simulated(curve, entry.promise.route_precision, per_week, costs),
            live=live,
            live_week=live_week,
            promised=entry.promise.route_precision,
            drawn=_curve_plot(curve, steps),
            points=_curve_points(curve, steps),
            requests=requests,
            version=self._router.engine.model.version,
            problem=problem,
            timestamp=timestamp,
        )

    def _chosen(self, given: QueryParams) -> tuple[int, str | None]:
        """The number of weeks, and the department; what is not offered is not taken."""
        number = next((each for each in CHOICES if str(each) == given.get("weeks")), CHOICES[1])
        labels = self._router.engine.graph.scorings[0].field.labels
        department = given.get("department")
        return number, department if department in labels else None

    async def _read(self, number: int) -> Counts:
        """The counts of the last weeks, the current one included."""

        async def count() -> Counts:
            this_week = week_of(milliseconds_now())
            numbers = tuple(range(this_week - number + 1, this_week + 1))
            since_ms = first_moment(numbers[0])
            # One short query each: pages of decisions wait for the same connections.
            return Counts(
                numbers,
                await self._records.read(lambda database: queries.decided(database, since_ms)),
                await self._records.read(lambda database: queries.judged(database, since_ms)),
            )

        return await self._kept.get(number, count)

    async def _read_live(self) -> tuple[Sequence[promise.Step], int]:
        """The live curve of LIVE_WEEKS, and the mean number of decisions in a whole week."""

        async def count() -> tuple[Sequence[promise.Step], int]:
            this_week = week_of(milliseconds_now())
            since_ms = first_moment(this_week - LIVE_WEEKS)
            month_ms = first_moment(this_week - 4)
            decided = await self._records.read(lambda database: queries.decided(database, month_ms))
            recent = sum(each.tickets for each in decided if each.week < this_week)
            return await self._records.read(
                lambda database: promise.steps_of(queries.answers(database, since_ms))
            ), round(recent / 4)

        return await self._kept.get("live", count)

    async def _read_curve(self) -> promise.Curve | None:
        bundle: Bundle = self._router.engine.bundle
        if self._curve is None or self._curve[0] != bundle.version:
            # Some megabytes of JSON: not on the event loop.
            self._curve = (bundle.version, await asyncio.to_thread(promise.read_curve, bundle))
        return self._curve[1]


def weeks_csv(found: Sequence[Week]) -> str:
    header = ["week", "decided", "routed", "suggested", *_share_columns("coverage")]
    for basis in BASES:
        header += _share_columns(f"precision_{basis}")
    rows = [
        (
            _date(week.start_ms),
            week.decided,
            week.routed,
            week.suggested,
            *_share_cells(week.coverage),
            *(cell for basis in BASES for cell in _share_cells(week.precision[basis])),
        )
        for week in found
    ]
    return csv_of(header, rows)


def flows_csv(found: Sequence[Flow]) -> str:
    rows = [(each.source, each.target, each.tickets, *_share_cells(each.share)) for each in found]
    return csv_of(["from", "to", "tickets", *_share_columns("share")], rows)


def calibration_csv(found: Sequence[Bin]) -> str:
    rows = [(each.low, each.high, each.confidence, *_share_cells(each.right)) for each in found]
    return csv_of(["from", "to", "confidence", *_share_columns("right")], rows)


def drift_csv(drift: Drift | None) -> str:
    """A row for each bin that moved most; with too few tickets, one for the signal."""
    rows: list[tuple[Cell, ...]] = []
    for name, signal in ({} if drift is None else drift.signals).items():
        psi = None if signal.shift is None else round(signal.shift.psi, 4)
        rows += [(name, psi, each.bin, each.expected, each.found) for each in signal.moved] or [
            (name, psi) + (None,) * 3
        ]
    return csv_of(["signal", "psi", "bin", "expected", "found"], rows)


def _weekly_plot(title: str, found: Sequence[Week], promised: float | None) -> Plot:
    series = [
        (
            {"feedback": "tickets with feedback", "audit": "random share"}[basis],
            [point(_place(n, found), value) for n, week in enumerate(found) if (value := week.precision[basis])],
        )
        for basis in BASES
    ]
    values = [each.low if each.low is not None else each.y for _, points in series for each in points]
    start = share_axis([*values, *([] if promised is None else [promised])])
    drawn = [each for each in series if each[1]]
    return share_plot(title, _week_labels(found), drawn, start=start, promise=promised)


def _coverage_plot(title: str, found: Sequence[Week]) -> Plot:
    points = [point(_place(number, found), week.coverage) for number, week in enumerate(found) if week.coverage]
    return share_plot(title, _week_labels(found), [("routed", points)] if points else [])


def _calibration_plot(bins: Sequence[Bin]) -> Plot:
    labels = [(number / 5, f"{number / 5:.0%}") for number in range(6)]
    points = [point(each.confidence, each.right) for each in bins]
    return share_plot("Share right by confidence", labels, [("measured", points)] if points else [], diagonal=True)


def _curve_points(
    curve: promise.Curve | None, steps: Sequence[promise.Step]
) -> list[tuple[float, promise.Target | None, promise.Live]]:
    """By target, what training measured and what the record says."""
    targets = [each.target for each in curve.targets] if curve else [0.8, 0.85, 0.9, 0.95, 0.98, 0.99]
    measured = {each.target: each for each in curve.targets} if curve else {}
    return [(target, measured.get(target), promise.live(steps, target)) for target in targets]


def _curve_plot(curve: promise.Curve | None, steps: Sequence[promise.Step]) -> Plot:
    def place(target: float) -> float:
        return (target - promise.LEAST) / (promise.MOST - promise.LEAST)

    labels = [(place(target), f"{target:.0%}") for target in (0.8, 0.85, 0.9, 0.95, 0.99)]
    points = _curve_points(curve, steps)
    series = [
        ("training's measure", [Point(place(target), found.coverage) for target, found, _ in points if found]),
        ("on record", [Point(place(target), live.coverage) for target, _, live in points if live.rows]),
    ]
    return share_plot("Share routed by target", labels, [each for each in series if each[1]])


def _place(number: int, found: Sequence[Week]) -> float:
    return (number + 0.5) / len(found)


def _week_labels(found: Sequence[Week]) -> list[tuple[float, str]]:
    every = -(-len(found) // 6)
    return [
        (_place(number, found), _date(week.start_ms)[5:]) for number, week in enumerate(found) if number % every == 0
    ]


def _precision_of(judged: Sequence[Judged]) -> tuple[str, Share | None]:
    """Of the random share if there is one, since what people correct is more often wrong than the rest."""
    audited = precision(each for each in judged if each.audit)
    if audited is not None and audited.rows >= 100:
        return "audit", audited
    return "feedback", precision(each for each in judged if not each.audit)


def _saved_by_week(counts: Counts, right: Share | None, costs: Assumptions) -> dict[str, Any] | None:
    """Hours of all weeks shown, with the interval of the precision; None: nobody told of any routed ticket."""
    if right is None:
        return None
    tickets, routed, suggested = (
        sum(each.tickets for each in counts.decided if outcome is None or each.outcome == outcome)
        for outcome in (None, "route", "suggest")
    )
    found = [saved(tickets, routed, suggested, each, costs) for each in (right.value, right.low, right.high)]
    return {"value": found[0], "low": found[1], "high": found[2], "tickets": tickets, "routed": routed}


def _costs(given: Mapping[str, str], usual: Assumptions) -> Assumptions:
    changes = {each.name: _number(given, each.name, 0.0, 10_000.0) for each in fields(Assumptions)}
    share_right = _number(given, "manual_precision", 0.5, 1.0)
    found = asdict(usual) | {name: value for name, value in changes.items() if value is not None}
    return Assumptions(**found | {"manual_precision": usual.manual_precision if share_right is None else share_right})


def _number(given: Mapping[str, str], name: str, least: float, most: float) -> float | None:
    """None: it is missing, no number, or out of range."""
    try:
        value = float(given.get(name, ""))
    except ValueError:
        return None
    return value if least <= value <= most else None


def _query(number: int, department: str | None) -> dict[str, str]:
    return {"weeks": str(number)} | ({} if department is None else {"department": department})


def _share_columns(name: str) -> list[str]:
    return [name, f"{name}_low", f"{name}_high", f"{name}_rows"]


def _share_cells(value: Share | None) -> tuple[float | int | None, ...]:
    return (None,) * 4 if value is None else (value.value, value.low, value.high, value.rows)


def _date(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).date().isoformat()
