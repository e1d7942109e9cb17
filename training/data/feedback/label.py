"""A decided ticket → its labels: what people said, and without feedback, what the router did."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from models.fields import DEPARTMENT
from models.label_source import LabelSource
from training.data.feedback.decisions import DecidedTicket, LeftOut

QUIET_DAYS = 14


@dataclass(frozen=True, slots=True)
class Labelled:
    """A ticket's values, the source of its department, and when that was set."""

    labels: Mapping[str, str | None]
    source: LabelSource
    at: datetime


def label_ticket(
    ticket: DecidedTicket,
    fields: Iterable[str],
    closed: Mapping[str, str | None],
    newest: datetime,
    quiet: timedelta,
    aliases: Mapping[str, Mapping[str, str]],
) -> Labelled | LeftOut:
    """A ticket's values, or why there are none.

    What people said last is the truth, at close before all. Without feedback, the value at close in the helpdesk's
    export is: a person's if it is not the one that the router set. Without that, the router's own value counts as right
    once the ticket has been `quiet` for long enough.

    Args:
        ticket: the ticket.
        fields: the fields to label, `department` among them.
        closed: the ticket's values in the helpdesk's export; empty: it is not there.
        newest: the newest time of the record. Not the clock: the same files give the same rows on another day.
        quiet: time without feedback after which a route counts as right.
        aliases: of the labels file, by field: a label that was merged since is not another one.
    """

    def same(name: str, left: str | None, right: str | None) -> bool:
        merged = aliases.get(name, {})
        return left is not None and right is not None and merged.get(left, left) == merged.get(right, right)

    said, routed, at_close = ticket.said(DEPARTMENT), ticket.routed(DEPARTMENT), closed.get(DEPARTMENT)
    if said is not None:
        department, source, at = said.value, LabelSource(said.source), said.at
    elif at_close:
        is_echo = routed is not None and same(DEPARTMENT, at_close, routed[0])
        source = LabelSource.ROUTER_UNCHECKED if is_echo else LabelSource.CLOSE
        department, at = at_close, ticket.decisions[-1].created_at
    elif ticket.is_audit:
        return LeftOut.NOT_REVIEWED
    elif routed is None:
        return LeftOut.UNLABELLED
    elif newest - routed[1] < quiet:
        return LeftOut.WAITING
    else:
        (department, at), source = routed, LabelSource.ROUTER_UNCHECKED
    if ticket.is_audit and source is not LabelSource.ROUTER_UNCHECKED:
        source = LabelSource.AUDIT
    labels: dict[str, str | None] = {DEPARTMENT: department}
    for name in fields:
        if name == DEPARTMENT:
            continue
        value, own = ticket.said(name), ticket.routed(name)
        router = own[0] if own else None
        if value is not None:
            labels[name] = value.value
        elif source is LabelSource.ROUTER_UNCHECKED:
            labels[name] = closed.get(name) or router
        else:  # in a row of full weight, a value that nobody checked would be the router's own echo
            labels[name] = None if same(name, closed.get(name), router) else closed.get(name)
    return Labelled(labels, source, at)
