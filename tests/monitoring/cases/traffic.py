"""Refusals, queues, and no traffic at all."""

import random

from tests.monitoring.cases.case import OTHER, Case, counter, decided, pod, rejected


def _refused(refusals: str, decisions: str, reason: str = "overloaded") -> dict[str, str]:
    return {rejected(reason): refusals, decided(): decisions}


def _locked_out(reason: str) -> dict[str, str]:
    """Ten requests a minute; from ten o'clock of the second day they are refused for three hours. A sample every
    three minutes."""
    return {
        rejected(reason): counter((0, 680), (30, 60), (0, 60)),
        decided(): counter((30, 680), (0, 60), (30, 60)),
    }


_NEXT_WEEK = 7 * 1440
"""The minute at which the second Thursday begins."""


def _none_between(start: float, end: float, usual: float = 20) -> str:
    """`usual` requests every ten minutes, except in these hours of the second Thursday; a sample every ten minutes."""
    return counter((usual, int(_NEXT_WEEK / 10 + 6 * start)), (0, int(6 * (end - start))), (usual, 150))


def _by_chance(an_hour: float, minutes: int) -> str:
    """A running count of independent random tickets, every ten minutes."""
    drawn, count, counts = random.Random(4), 0, []
    for _ in range(minutes // 10):
        count += sum(drawn.random() < an_hour / 60 for _ in range(10))
        counts.append(str(count))
    return " ".join(counts)


_FIVE_AN_HOUR = _by_chance(5, _NEXT_WEEK + 1440)

TRAFFIC = (
    Case(
        "TicketRouterRefusing",
        "most are refused, then none",
        _refused(counter((60, 40), (0, 40)), counter((40, 80))),
        fires=(18, 40),
        quiet=(14, 50),
        only='window="5m"',
    ),
    Case(
        "TicketRouterRefusing",
        "nearly half is refused for two hours, then none",
        _refused(counter((0, 60), (45, 120), (0, 120)), counter((100, 60), (55, 240))),
        fires=(150, 180),
        quiet=(60, 130, 215),
        only='window="30m"',
    ),
    Case(
        "TicketRouterRefusing",
        "half of a small helpdesk's mail, twelve an hour, is refused",
        _refused(counter((0, 12), (1, 24), (0, 24)), counter((2, 12), (1, 48))),
        fires=(150, 180),
        quiet=(60, 100, 270),
        only='window="30m"',
        every=5,
    ),
    Case(
        "TicketRouterRefusing",
        "a third is refused for half an hour",
        _refused(counter((0, 60), (40, 30), (0, 90)), counter((60, 180))),
        quiet=(90, 120, 150),
        only='severity="page"',
    ),
    Case(
        "TicketRouterRefusing",
        "one in four for hours: a ticket",
        _refused(counter((25, 240)), counter((75, 240))),
        quiet=(90, 239),
        only='severity="page"',
    ),
    Case(
        "TicketRouterRefusing",
        "one in ten of a small helpdesk's tickets: a ticket",
        _refused(counter((0, 12), (1, 24), (0, 24)), counter((9, 60))),
        fires=(120, 180),
        quiet=(60, 72, 270),
        only='severity="ticket"',
        every=5,
    ),
    Case(
        "TicketRouterRefusing",
        "one in ten is refused: a ticket",
        _refused(counter((10, 40), (0, 60)), counter((90, 100))),
        fires=(18, 40),
        quiet=(14, 75),
        only='severity="ticket"',
    ),
    *(
        Case(
            "TicketRouterRefusing",
            f"{share} in a hundred are refused",
            _refused(counter((share, 60)), counter((100 - share, 60))),
            fires=(40,) if share > 5 else (),
            quiet=() if share > 5 else (40,),
            only='severity="ticket"',
        )
        for share in (4, 6)
    ),
    Case(
        "TicketRouterRefusing",
        "most are refused: only the page fires",
        _refused("0+90x40", "0+10x40"),
        quiet=(14, 18, 30, 40),
        only='severity="ticket"',
    ),
    Case(
        "TicketRouterRefusing",
        "now less, now more than half is refused: a ticket, for the first hour",
        _refused("0+30x9 300+80x9 1100+30x9 1400+80x9 2200+30x9", "0+50x60"),
        fires=(18, 24, 30, 40, 49),
        only='severity="ticket"',
    ),
    Case(
        "TicketRouterRefusing",
        "one in ten is refused: no page",
        _refused("0+10x40", "0+90x40"),
        quiet=(18, 40),
        only='severity="page"',
    ),
    Case(
        "TicketRouterRefusing",
        "most refusals are large bodies",
        _refused("0+90x40 3600x40", "0+10x80", "too_many_bodies"),
        fires=(18, 40),
        quiet=(14, 50),
        only='window="5m"',
    ),
    Case(
        "TicketRouterRefusing",
        "refusals by a key's own rate do not count",
        _refused("0+90x40", "0+10x40", "rate_limited"),
        quiet=(18, 40),
    ),
    *(
        Case(
            "TicketRouterRefusing",
            f"{refused:g} of {of:g} in {window}, half of them large bodies",
            {
                rejected("overloaded"): counter((refused / minutes / 2, 180)),
                rejected("too_many_bodies"): counter((refused / minutes / 2, 180)),
                decided(): counter(((of - refused) / minutes, 180)),
            },
            fires=(170,) if fires else (),
            quiet=() if fires else (170,),
            only=f'window="{window}"',
        )
        for window, minutes, refused, of, fires in (
            ("5m", 5, 8, 12, False),
            ("5m", 5, 12, 18, True),
            ("5m", 5, 45, 100, False),
            ("30m", 30, 4, 8, False),
            ("30m", 30, 6, 12, True),
            ("30m", 30, 30, 100, False),
        )
    ),
    Case(
        "TicketRouterLockedOut",
        "a helpdesk's key expires at night, and is replaced after three hours",
        _locked_out("unauthenticated"),
        fires=(2070, 2160, 2220),
        quiet=(2040, 2052, 2255),
        every=3,
    ),
    Case(
        "TicketRouterLockedOut",
        "fires twenty minutes after the beginning",
        {rejected("unauthenticated"): counter((0, 180), (10, 60)), decided(): counter((10, 180), (0, 60))},
        fires=(201,),
        quiet=(196,),
    ),
    Case(
        "TicketRouterLockedOut",
        "a client's requests are no longer accepted",
        _locked_out("invalid_request"),
        fires=(2070,),
        quiet=(2040,),
        every=3,
    ),
    *(
        Case(
            "TicketRouterLockedOut",
            f"{reason} is the service's own error, with its own alerts",
            _locked_out(reason),
            quiet=(2070, 2160),
            every=3,
        )
        for reason in (
            *("overloaded", "too_many_bodies", "internal_error", "inference_failed"),
            *("not_ready", "shutting_down", "too_many_connections", "deadline_passed"),
            *("records_unavailable", "records_failed"),
        )
    ),
    Case(
        "TicketRouterLockedOut",
        "an intruder tries keys beside the usual traffic",
        {rejected("unauthenticated"): counter((0, 200), (100, 100)), decided(): counter((3, 300))},
        quiet=(630, 720, 840),
        every=3,
    ),
    Case(
        "TicketRouterLockedOut",
        "an intruder tries keys in a night without mail",
        {rejected("unauthenticated"): counter((0, 200), (100, 100)), decided(): counter((0, 170), (0.1, 130))},
        quiet=(630, 720, 840),
        every=3,
    ),
    *(
        Case(
            "TicketRouterLockedOut",
            why,
            {
                rejected("unauthenticated"): counter((0, 200), (refused, 100)),
                decided(): counter((usual, 200), (then, 100)),
            },
            fires=(630,) if fires else (),
            quiet=() if fires else (630, 660, 720, 840),
            every=3,
        )
        for why, usual, then, refused, fires in (
            ("eight in a quarter of an hour", 3, 0, 1.6, False),
            ("twelve in a quarter of an hour", 3, 0, 2.4, True),
            ("none of thirty an hour is accepted", 1.5, 0, 10, False),
            ("none of fifty an hour is accepted", 2.5, 0, 10, True),
            ("an eighth of the usual is accepted", 30, 3.75, 60, False),
            ("a twelfth of the usual is accepted", 30, 2.5, 60, True),
        )
    ),
    Case(
        "TicketRouterLockedOut",
        "three refused of four for a key, one for its body",
        {
            rejected("unauthenticated"): counter((0, 200), (30, 100)),
            rejected("invalid_request"): counter((0, 200), (10, 100)),
            decided(): counter((40, 200), (0, 100)),
        },
        quiet=(630, 720),
        every=3,
    ),
    *(
        Case(
            "TicketRouterLockedOut",
            f"for three hours, of {usual * 12:g} an hour {ago} days ago",
            {
                rejected("unauthenticated"): counter((0, 288 * ago), (10, 48)),
                decided(): counter((usual, 288), (0, 288 * ago - 240)),
            },
            fires=(1440 * ago + 180,) if fires else (),
            quiet=() if fires else (1440 * ago + 180,),
            every=5,
        )
        for ago in (1, 7)
        for usual, fires in ((2.5, False), (4, True))
    ),
    Case(
        "TicketRouterQueueFilling",
        "two thirds full, then empty",
        {pod("queue_tokens"): "66x9 0x9", pod("queue_tokens_limit"): "100x20"},
        fires=(6, 9),
        quiet=(4, 11),
    ),
    Case(
        "TicketRouterQueueFilling",
        "two fifths full",
        {pod("queue_tokens"): "40x20", pod("queue_tokens_limit"): "100x20"},
        quiet=(9, 20),
    ),
    Case(
        "TicketRouterConnectionsFull",
        "all connections are busy for half an hour, then none",
        {rejected("too_many_connections"): counter((0, 9), (2.4, 30), (0, 30))},
        fires=(30, 38),
        quiet=(9, 15, 50),
    ),
    Case(
        "TicketRouterConnectionsFull",
        "two evictions a second for half an hour, then none",
        {pod("connections_evicted_total"): "0x9 120+120x29 3600x30"},
        fires=(25, 40),
        quiet=(9, 15, 50),
    ),
    Case(
        "TicketRouterConnectionsFull",
        "a flood of idle connections, then none",
        {pod("connections_evicted_total"): "0x9 4000x30"},
        quiet=(10, 15, 25),
    ),
    Case(
        "TicketRouterConnectionsFull",
        "a few refusals and a few evictions",
        {
            rejected("too_many_connections"): counter((0, 9), (1.6, 60)),
            pod("connections_evicted_total"): "0+10x60",
        },
        quiet=(15, 30, 60),
    ),
    Case(
        "TicketRouterSaturated",
        "both runners always busy, then idle",
        {
            pod("stage_duration_seconds_sum", labels=', stage="infer"'): "0+115x60 6900x20",
            pod("stage_duration_seconds_sum", OTHER, labels=', stage="infer"'): "0+115x60 6900x20",
            pod("runners"): "2x80",
            pod("runners", OTHER): "2x80",
        },
        fires=(35, 60),
        quiet=(25, 65),
    ),
    Case(
        "TicketRouterSaturated",
        "busy for four fifths of the time",
        {pod("stage_duration_seconds_sum", labels=', stage="infer"'): "0+96x60", pod("runners"): "2x60"},
        quiet=(40, 60),
    ),
    Case(
        "TicketRouterNoDecisions",
        "none from 9:30 on, after a week of traffic; clears in the evening",
        {decided(): _none_between(9.5, 24)},
        fires=(_NEXT_WEEK + 630, _NEXT_WEEK + 680),
        quiet=(_NEXT_WEEK + 620, _NEXT_WEEK + 720, _NEXT_WEEK + 1030),
        only='severity="ticket"',
        every=10,
    ),
    Case(
        "TicketRouterNoDecisions",
        "none from 9:30 on: a page after two hours",
        {decided(): _none_between(9.5, 24)},
        fires=(_NEXT_WEEK + 690, _NEXT_WEEK + 1010),
        quiet=(_NEXT_WEEK + 680, _NEXT_WEEK + 1030),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterNoDecisions",
        "none from 9:30 to 11:00",
        {decided(): _none_between(9.5, 11)},
        quiet=(_NEXT_WEEK + 640, _NEXT_WEEK + 700),
        only='severity="page"',
        every=10,
    ),
    *(
        Case(
            "TicketRouterNoDecisions",
            f"none from 9:30 on, of {usual * 6:g} an hour: {severity}",  # in eighths, which add up exactly
            {decided(): _none_between(9.5, 24, usual)},
            fires=(_NEXT_WEEK + 60 * hours + 570,) if fires else (),
            quiet=() if fires else (_NEXT_WEEK + 60 * hours + 570,),
            only=f'severity="{severity}"',
            every=10,
        )
        for severity, hours, usual, fires in (
            ("ticket", 1, 2, True),
            ("ticket", 1, 1.375, False),
            ("page", 2, 1, True),
            ("page", 2, 0.75, False),
        )
    ),
    Case(
        "TicketRouterNoDecisions",
        "none from 9:30 on, and none a week ago, which was a holiday",
        {decided(): counter((20, 48), (0, 24), (20, _NEXT_WEEK // 10 + 57 - 72), (0, 30))},
        quiet=(_NEXT_WEEK + 630, _NEXT_WEEK + 690),
        every=10,
    ),
    Case(
        "TicketRouterNoDecisions",
        "one since 8:00, and none for an hour after that",
        {decided(): counter((2, _NEXT_WEEK // 10 + 48), (0, 6), (1, 1), (0, 30))},
        fires=(_NEXT_WEEK + 610,),
        quiet=(_NEXT_WEEK + 600,),
        only='severity="ticket"',
        every=10,
    ),
    Case(
        "TicketRouterNoDecisions",
        "none at night, none on Saturday",
        {decided(): _none_between(20, 24 + 24 + 18)},
        quiet=tuple(_NEXT_WEEK + 60 * hour for hour in (23, 26, 30, 48 + 10, 48 + 16)),
        every=10,
    ),
    Case(
        "TicketRouterNoDecisions",
        "five an hour at random, with gaps of an hour and more",
        {decided(): _FIVE_AN_HOUR},
        quiet=tuple(_NEXT_WEEK + minute for minute in range(480, 1020, 10)),
        every=10,
    ),
    Case(
        "TicketRouterNoDecisions",
        "a day's tickets are imported at once, an hour later than a week ago",
        {decided(): f"0x53 500x{_NEXT_WEEK // 10 + 5} 1000x60"},
        quiet=tuple(_NEXT_WEEK + minute for minute in range(610, 1020, 30)),
        every=10,
    ),
    Case(
        "TicketRouterNoDecisions",
        "the first week, without anything to compare with",
        {decided(): "0+2x570 1140x700"},
        quiet=(640, 1000),
    ),
)
