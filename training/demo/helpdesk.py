"""The tickets of a made-up helpdesk's quarter, what its people say of them, and what happens to it."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from training.sample import SampleTicket, make_tickets
from training.sample.grammar import expand, sentence, tidy

BEFORE = 500
WEEKS, WEEK = 13, 200
LAUNCH, SPLIT = 3, 8
"""The weeks in which a product is launched, and in which the team billing is split."""
LAUNCHED_SHARE = 0.4
LAUNCHED_TO = "technical_support"
SPLIT_FROM, SPLIT_TO = "billing", "cancellations"
SPLIT_TOPICS = frozenset({"duplicate_charge", "wrong_amount", "refund_request", "payment_failed", "doppelt"})
NOTICED = 0.9
"""Share of the wrong routes that people see and move."""
_SLOTS = {
    "device": ("terminal", "wall unit", "kiosk", "time clock", "handset"),
    "place": ("warehouse", "entrance", "workshop", "canteen", "second floor", "loading dock"),
    "fault": (
        "stays dark", "blinks red", "beeps three times", "reboots every hour", "shows error E{code}",
        "freezes at firmware {code}", "loses the Bluetooth link",
    ),
    "part": ("power adapter", "antenna", "touch panel", "SIM tray", "battery pack", "barcode scanner"),
}  # fmt: skip
_SUBJECTS = (
    "Plankwise Clock [in the {place}|] {fault}",
    "[New|Our] {device}: {fault}",
    "Clock {device} [broken|does not work]",
    "{part} of the {device} [broken|wobbly]",
)
_PROBLEMS = (
    "[Our new|One of the] Plankwise Clock {device}[s|] in the {place} {fault}[ since the update|].",
    "The {device} at the {place} {fault}, and the {part} [gets hot|does not respond].",
    "We mounted the {device} [yesterday|last week] and it {fault}[ when we touch the {part}|].",
    "After we swapped the {part}, the {device} in the {place} {fault}.",
)
_ENDS = (
    "[We tried|I tried] [another|a second] {part}[ and a factory reset|], [no change|same problem].",
    "Serial number {code}-{code}.",
    "It ran [without a fault|well] for a week.",
    "[Which firmware|Which {part}] do we need?",
)


def closed_before(seed: int) -> list[SampleTicket]:
    return make_tickets(BEFORE + WEEKS * WEEK, seed)[:BEFORE]


def weeks(seed: int) -> Iterator[list[SampleTicket]]:
    """The tickets of each week; `department` is where they belong in that week, but for the sample's wrong labels."""
    rng = random.Random(f"quarter:{seed}")
    tickets = make_tickets(BEFORE + WEEKS * WEEK, seed)[BEFORE:]
    for number in range(1, WEEKS + 1):
        week = tickets[WEEK * (number - 1) : WEEK * number]
        if number >= LAUNCH:
            week = [_launched(each, rng) if rng.random() < LAUNCHED_SHARE else each for each in week]
        yield [moved(each) for each in week] if number >= SPLIT else week


def moved(ticket: SampleTicket) -> SampleTicket:
    """The ticket where the split team's tickets belong now."""
    if ticket.department == SPLIT_FROM and ticket.topic in SPLIT_TOPICS:
        return replace(ticket, department=SPLIT_TO)
    return ticket


def sent(ticket: SampleTicket) -> dict[str, Any]:
    return {name: getattr(ticket, name) for name in ("id", "subject", "body", "content_type")}


def said(
    tickets: Sequence[SampleTicket], decisions: Sequence[Mapping[str, Any]], rng: random.Random
) -> Iterator[dict[str, Any]]:
    """What people say of the decisions: an agent moves the wrong routes that are noticed, and every ticket is closed;
    the router's department stays on what was overlooked."""
    for ticket, decision in zip(tickets, decisions, strict=True):
        department = ticket.department
        if decision["outcome"] == "route" and decision["department"] != department:
            if rng.random() < NOTICED:
                yield _feedback(ticket, department, "agent")
            else:
                department = decision["department"]
        yield _feedback(ticket, department, "close")


def moved_since(tickets: Sequence[SampleTicket]) -> Iterator[dict[str, Any]]:
    """The closed tickets that the helpdesk moves over to the team that has them now."""
    for ticket in tickets:
        if (now := moved(ticket).department) != ticket.department:
            yield _feedback(ticket, now, "close")


def _feedback(ticket: SampleTicket, department: str, source: str) -> dict[str, Any]:
    return {"ticket_id": ticket.id, "fields": {"department": department}, "source": source}


def _launched(ticket: SampleTicket, rng: random.Random) -> SampleTicket:
    """A ticket about the new product, in place of this one."""

    def slot(name: str) -> str:
        return str(rng.randrange(100, 1000)) if name == "code" else text(_SLOTS[name])

    def text(choice: Sequence[str]) -> str:
        return expand(rng.choice(choice), rng, slot)

    ends = rng.sample(_ENDS, rng.randrange(1, 3))
    body = " ".join([sentence(text(_PROBLEMS)), *(sentence(text((each,))) for each in ends)])
    return replace(
        ticket,
        subject=tidy(text(_SUBJECTS)),
        body=f"Hello,\n\n{body}\n\nRegards",
        content_type="text/plain",
        department=LAUNCHED_TO,
        true_department=LAUNCHED_TO,
        topic="clock",
        language="en",
        auto_reply=False,
    )
