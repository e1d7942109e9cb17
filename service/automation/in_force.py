"""`InForce`: the switches in force, in memory, and their effect on a verdict."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import structlog

from models.fields import DEPARTMENT
from models.scoring import FieldVerdict, Outcome, Reason, Verdict
from models.ticket import Ticket
from service.automation.switches import MODES, Mode, Switch

_log = structlog.get_logger()


class InForce:
    """`switches`: None: not yet read; then nothing is routed. Use from one event loop only."""

    def __init__(self) -> None:
        self._matched: Counter[tuple[str, str]] = Counter()
        self.switches: tuple[Switch, ...] | None = None

    def apply(self, ticket: Ticket, verdict: Verdict, caller: str | None, *, count: bool = True) -> Verdict:
        """The verdict with what the switches leave of it. The strictest switch of a field wins; an outcome that is as
        strict already keeps its reason. `caller`: of the request. `count`: not for a ticket that was counted before."""
        if self.switches is None:
            return _limited(verdict, dict.fromkeys((DEPARTMENT, *verdict.fields), Mode.SUGGEST))
        if not self.switches:
            return verdict
        modes: dict[str, Mode] = {}
        for switch in self.switches:
            if switch.matches(ticket, verdict, caller):
                self._matched[switch.key] += count
                modes[switch.field] = max(modes.get(switch.field, Mode.ROUTE), switch.mode, key=MODES.index)
        return _limited(verdict, modes) if modes else verdict

    def matched(self, switch: Switch) -> int:
        """The number of tickets that this process has found it to match, while it was in force."""
        return self._matched[switch.key]

    def use(self, found: Sequence[Switch]) -> None:
        """Put these in force, in place of all others."""
        known = {switch.id for switch in self.switches or ()}
        self.switches = tuple(found)
        self._matched = Counter({switch.key: self._matched[switch.key] for switch in found})
        if known != {switch.id for switch in found}:
            _log.info("automation", switches=len(found))


def _limited(verdict: Verdict, modes: dict[str, Mode]) -> Verdict:
    return Verdict(
        _limited_field(verdict.department, modes.get(DEPARTMENT)),
        {name: _limited_field(field, modes.get(name)) for name, field in verdict.fields.items()},
    )


def _limited_field(field: FieldVerdict, mode: Mode | None) -> FieldVerdict:
    if mode is Mode.OFF and field.outcome is not Outcome.REVIEW:
        return replace(field, outcome=Outcome.REVIEW, reason=Reason.AUTOMATION_OFF)
    if mode is Mode.SUGGEST and field.outcome is Outcome.ROUTE:
        return replace(field, outcome=Outcome.SUGGEST, reason=Reason.AUTOMATION_OFF)
    return field
