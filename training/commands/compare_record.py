"""`training compare --record`: what the service's record says of bundles that ran side by side.

A shadow answered the same tickets as the serving bundle, so the two are compared in pairs. A canary answered other
tickets: the difference of two shares, over the time in which both answered. One row a ticket.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.scoring import Outcome
from training.data.feedback.decisions import DecidedTicket, FieldDecision, RecordedDecision, read_decisions
from training.data.labels import load_rules
from training.evaluation.bundle_answers import NO_LABEL, Verdicts
from training.evaluation.intervals import Estimate, share
from training.evaluation.paired_bootstrap import FIGURES, Difference, pair
from training.evaluation.unpaired import difference_of_shares

SEED = 13
FEWEST_ROWS = 30
"""With fewer rows an interval says too little to call a bundle better or worse."""
MEASURED = ("accuracy", "route_precision")
"""The figures that need the truth. Of a ticket for review the record has no label, so it counts as not right."""


class Pairing(Frozen):
    """A shadow beside the bundle that served. `truths`: the rows whose truth people told; `figures` rest on them, but
    the share routed, which rests on all rows. `agreement`: of the rows that both route, the share with the same
    department; `shift`: mean of the challenger's confidence less the champion's."""

    champion: str
    challenger: str
    rows: int
    truths: int
    figures: Mapping[str, Difference]
    agreement: Estimate | None
    only_champion_routes: int
    only_challenger_routes: int
    shift: float

    @property
    def verdict(self) -> str:
        return _verdict(self.figures, self.truths)


class Trial(Frozen):
    """A canary beside the bundles that served meanwhile. Rows and truths are of the champion and of the challenger."""

    champion: str
    challenger: str
    rows: tuple[int, int]
    truths: tuple[int, int]
    figures: Mapping[str, Difference]

    @property
    def verdict(self) -> str:
        return _verdict(self.figures, min(self.truths))


class RecordComparison(Frozen):
    """Of a record: every shadow and every canary in it."""

    shadows: tuple[Pairing, ...]
    canaries: tuple[Trial, ...]


def compare_record(paths: Sequence[Path], labels: Path | None = None, skip_faulty: bool = False) -> RecordComparison:
    """Compare the bundles that ran side by side, by the exports of the record.

    `labels`: its aliases apply to answers and truths alike, so that a label that was merged since is not wrong.

    Raises:
        TicketRouterError: a file is not valid, or the record has neither a shadow nor a canary.
    """
    tickets = read_decisions(paths, skip_faulty).tickets
    aliases = load_rules(labels).of(DEPARTMENT).aliases

    def name(label: str | None) -> str | None:
        return None if label is None else aliases.get(label, label)

    found = RecordComparison(shadows=tuple(_pairings(tickets, name)), canaries=tuple(_trials(tickets, name)))
    if not found.shadows and not found.canaries:
        raise TicketRouterError(f"{paths[0]}: no ticket has a shadow's verdict or a canary's answer")
    return found


_Name = Callable[[str | None], str | None]


def _pairings(tickets: Sequence[DecidedTicket], name: _Name) -> Iterator[Pairing]:
    rows: dict[tuple[str, str], list[tuple[FieldDecision, FieldDecision, str | None]]] = {}
    for ticket in tickets:
        first = next((each for each in ticket.decisions if each.shadow is not None and each.bundle is not None), None)
        if first is None or first.shadow is None or first.bundle is None or DEPARTMENT not in first.shadow.fields:
            continue
        both = (first.fields[DEPARTMENT], first.shadow.fields[DEPARTMENT], _truth(ticket, name))
        rows.setdefault((first.bundle, first.shadow.bundle), []).append(both)
    for (champion, challenger), of_pair in rows.items():
        catalogue = sorted({label for *said, truth in of_pair for label in (truth, *_values(said, name)) if label})
        before = _verdicts([ours for ours, _, _ in of_pair], catalogue, name)
        after = _verdicts([theirs for _, theirs, _ in of_pair], catalogue, name)
        wanted = np.array([catalogue.index(row[2]) if row[2] else NO_LABEL for row in of_pair], dtype=np.int64)
        known = np.flatnonzero(wanted != NO_LABEL)
        figures = {"routed": pair(before, after, wanted, len(catalogue), SEED).differences(FIGURES["routed"])[0]}
        if len(known):
            sides = (_taken(before, known), _taken(after, known))
            paired = pair(*sides, wanted[known], len(catalogue), SEED)
            figures |= {each: paired.differences(FIGURES[each])[0] for each in MEASURED}
        both_route = before.routed & after.routed
        yield Pairing(
            champion=champion,
            challenger=challenger,
            rows=len(of_pair),
            truths=len(known),
            figures=figures,
            agreement=share(int((before.predicted == after.predicted)[both_route].sum()), int(both_route.sum())),
            only_champion_routes=int((before.routed & ~after.routed).sum()),
            only_challenger_routes=int((after.routed & ~before.routed).sum()),
            shift=float((after.confidence - before.confidence).mean()),
        )


def _trials(tickets: Sequence[DecidedTicket], name: _Name) -> Iterator[Trial]:
    of_canary: dict[str, list[RecordedDecision]] = {}
    for ticket in tickets:
        for each in ticket.decisions:
            if each.role == "canary" and each.bundle is not None:
                of_canary.setdefault(each.bundle, []).append(each)
    for challenger, answered in of_canary.items():
        start, end = min(each.created_at for each in answered), max(each.created_at for each in answered)
        counts = {
            side: dict.fromkeys(("rows", "routed", "truths", "right", "known_routed", "known_right"), 0)
            for side in (False, True)
        }
        champions: dict[str, int] = {}
        for ticket in tickets:
            first = next((each for each in ticket.decisions if start <= each.created_at <= end), None)
            if first is None or first.bundle is None or (first.role == "canary" and first.bundle != challenger):
                continue
            if first.role is None:
                champions[first.bundle] = champions.get(first.bundle, 0) + 1
            said, truth = first.fields[DEPARTMENT], _truth(ticket, name)
            routed, right = said.outcome is Outcome.ROUTE, truth is not None and name(said.value) == truth
            count = counts[first.role == "canary"]
            count["rows"] += 1
            count["routed"] += routed
            if truth is not None:
                count["truths"] += 1
                count["right"] += right
                count["known_routed"] += routed
                count["known_right"] += routed and right
        sides = (counts[False], counts[True])
        shares = {
            "routed": ("routed", "rows"),
            "accuracy": ("right", "truths"),
            "route_precision": ("known_right", "known_routed"),
        }
        yield Trial(
            champion=max(champions, key=lambda each: champions[each], default="none"),
            challenger=challenger,
            rows=(sides[0]["rows"], sides[1]["rows"]),
            truths=(sides[0]["truths"], sides[1]["truths"]),
            figures={
                figure: difference_of_shares(*((side[part], side[whole]) for side in sides))
                for figure, (part, whole) in shares.items()
            },
        )


def _truth(ticket: DecidedTicket, name: _Name) -> str | None:
    said = ticket.said(DEPARTMENT)
    return None if said is None else name(said.value)


def _values(said: Sequence[FieldDecision], name: _Name) -> list[str | None]:
    return [name(each.value) for each in said]


def _verdicts(said: Sequence[FieldDecision], catalogue: Sequence[str], name: _Name) -> Verdicts:
    numbers = {label: number for number, label in enumerate(catalogue)}
    return Verdicts(
        predicted=np.array([NO_LABEL if each is None else numbers[each] for each in _values(said, name)], np.int64),
        confidence=np.array([each.confidence for each in said], np.float64),
        outcome=np.array([each.outcome.value for each in said], np.str_),
    )


def _taken(verdicts: Verdicts, rows: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Verdicts:
    return Verdicts(verdicts.predicted[rows], verdicts.confidence[rows], verdicts.outcome[rows])


def _verdict(figures: Mapping[str, Difference], truths: int) -> str:
    """`better`, `worse`, `mixed`, or `no difference shown`, by what the truths say."""
    signs = {figures[name].sign for name in MEASURED if name in figures} - {0} if truths >= FEWEST_ROWS else set()
    if len(signs) > 1:
        return "mixed"
    return {frozenset({1}): "better", frozenset({-1}): "worse"}.get(frozenset(signs), "no difference shown")
