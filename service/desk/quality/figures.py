"""From counts to what the page shows: shares with their 95 % intervals, by week and department."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from models.scoring import Outcome
from service.desk.quality.queries import EDGES, Decided, Judged, first_moment
from service.records.live import BASES, Share, share


@dataclass(frozen=True, slots=True)
class Week:
    """`precision`: by basis, of the routed tickets that people told of, the share that was right. `coverage`: of all
    decisions, the share that was routed; of one department, of the tickets that belong there by people."""

    start_ms: int
    decided: int
    routed: int
    suggested: int
    coverage: Share | None
    precision: Mapping[str, Share | None]


class Flow(NamedTuple):
    """Tickets that were routed to one department and that people moved to another. `share`: of all that were routed
    there and that people told of."""

    source: str
    target: str
    tickets: int
    share: Share


class Bin(NamedTuple):
    """Tickets with a confidence in this range, given a department by the model and by people."""

    low: float
    high: float
    confidence: float
    right: Share


@dataclass(frozen=True, slots=True)
class Assumptions:
    """What a ticket costs in minutes, and how often people pick the right department; as in a recipe's `[effect]`."""

    triage_minutes: float = 3.0
    suggestion_minutes: float = 1.0
    misroute_minutes: float = 20.0
    manual_precision: float = 0.9


class Saved(NamedTuple):
    """Minutes saved, and misroutes with the router and by people alone."""

    minutes: float
    misroutes: float
    misroutes_before: float


def weeks(
    all_decided: Sequence[Decided], all_judged: Sequence[Judged], numbers: Iterable[int], department: str | None
) -> list[Week]:
    """One for each number of a week. `department` None: all."""
    decided_in: defaultdict[int, list[Decided]] = defaultdict(list)
    judged_in: defaultdict[int, list[Judged]] = defaultdict(list)
    for row in all_decided:
        decided_in[row.week].append(row)
    for word in all_judged:
        judged_in[word.week].append(word)
    found = []
    for number in numbers:
        decided, here = decided_in[number], judged_in[number]
        if department is None:
            coverage = share(_routed(decided), sum(each.tickets for each in decided))
        else:
            decided = [each for each in decided if each.department == department]
            belonging = [each for each in here if each.truth == department and not each.audit]
            coverage = share(_routed(belonging), sum(each.tickets for each in belonging))
            here = [each for each in here if each.department == department]
        suggested = sum(each.tickets for each in decided if each.outcome == Outcome.SUGGEST)
        found.append(
            Week(
                first_moment(number),
                sum(each.tickets for each in decided),
                _routed(decided),
                suggested,
                coverage,
                {basis: precision([each for each in here if each.audit == bool(at)]) for at, basis in enumerate(BASES)},
            )
        )
    return found


def precision(judged: Iterable[Judged]) -> Share | None:
    """Of the routed ones."""
    routed = [each for each in judged if each.outcome == Outcome.ROUTE]
    right = sum(each.tickets for each in routed if each.department == each.truth)
    return share(right, sum(each.tickets for each in routed))


def flows(judged: Iterable[Judged]) -> list[Flow]:
    """The most frequent first."""
    routed: Counter[str] = Counter()
    moved: Counter[tuple[str, str]] = Counter()
    for each in judged:
        if each.audit or each.outcome != Outcome.ROUTE or each.department is None:
            continue
        routed[each.department] += each.tickets
        if each.department != each.truth:
            moved[each.department, each.truth] += each.tickets
    found = []
    for (source, target), tickets in moved.items():
        part = share(tickets, routed[source])
        assert part is not None
        found.append(Flow(source, target, tickets, part))
    return sorted(found, key=lambda flow: (-flow.tickets, flow.source, flow.target))


def calibration(judged: Iterable[Judged]) -> list[Bin]:
    """Of both bases: the random share has no part in what people correct, so they do not differ in calibration."""
    rows: defaultdict[int, list[Judged]] = defaultdict(list)
    for each in judged:
        if each.department is not None:
            rows[each.bin].append(each)
    bounds = (0.0, *EDGES, 1.0)
    found = []
    for number, inside in sorted(rows.items()):
        tickets = sum(each.tickets for each in inside)
        right = share(sum(each.tickets for each in inside if each.department == each.truth), tickets)
        assert right is not None
        mean = sum(each.confidence for each in inside) / tickets
        found.append(Bin(bounds[number], bounds[number + 1], mean, right))
    return found


def saved(tickets: float, routed: float, suggested: float, right: float, costs: Assumptions) -> Saved:
    """Of `tickets`, of which `routed` and `suggested` were not triaged by hand. `right`: the share of the routed ones
    that is right. A suggestion saves reading alone: whether people err less with one is not measured."""
    mistakes = 1 - costs.manual_precision
    by_hand = costs.triage_minutes + mistakes * costs.misroute_minutes
    wrong = routed * (1 - right)
    minutes = routed * by_hand - wrong * costs.misroute_minutes
    minutes += suggested * (costs.triage_minutes - costs.suggestion_minutes)
    return Saved(minutes, wrong + (tickets - routed) * mistakes, tickets * mistakes)


def _routed(counted: Iterable[Decided] | Iterable[Judged]) -> int:
    return sum(each.tickets for each in counted if each.outcome == Outcome.ROUTE)
