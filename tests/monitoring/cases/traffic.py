"""Refusals, queues, and no traffic at all."""

from tests.monitoring.cases.case import OTHER, Case, decided, pod


def _refused(refusals: str, decisions: str) -> dict[str, str]:
    return {pod("rejected_total", labels=', reason="overloaded"'): refusals, decided(): decisions}


TRAFFIC = (
    Case(
        "TicketRouterRefusing",
        "most are refused, then none",
        _refused("0+90x40 3600x40", "0+10x80"),
        fires=(18, 40),
        quiet=(14, 50),
        only='severity="page"',
    ),
    Case(
        "TicketRouterRefusing",
        "one in ten is refused: a ticket",
        _refused("0+10x40 400x40", "0+90x80"),
        fires=(18, 40),
        quiet=(14, 50),
        only='severity="ticket"',
    ),
    Case(
        "TicketRouterRefusing",
        "one in ten is refused: nobody is woken",
        _refused("0+10x40", "0+90x40"),
        quiet=(18, 40),
        only='severity="page"',
    ),
    Case("TicketRouterRefusing", "one in a hundred is refused", _refused("0+10x40", "0+990x40"), quiet=(18, 40)),
    Case("TicketRouterRefusing", "one a minute at night", _refused("0+1x40", "0x40"), quiet=(18, 40)),
    Case(
        "TicketRouterQueueFilling",
        "two thirds full, and empty again",
        {pod("queue_tokens"): "66x9 0x9", pod("queue_tokens_limit"): "100x20"},
        fires=(6, 9),
        quiet=(4, 11),
    ),
    Case(
        "TicketRouterSaturated",
        "both always busy, and no more",
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
        "half busy",
        {pod("stage_duration_seconds_sum", labels=', stage="infer"'): "0+60x60", pod("runners"): "2x60"},
        quiet=(40, 60),
    ),
    Case(
        "TicketRouterNoDecisions",
        "none from 9:30 on; evening ends it",
        {decided(): "0+2x570 1140x700"},
        fires=(640, 1000),
        quiet=(600, 1025),
    ),
    Case(
        "TicketRouterNoDecisions",
        "none from 9:30 to 11:00",
        {decided(): "0+2x570 1140x90 1142+2x100"},
        fires=(640,),
        quiet=(700,),
    ),
    Case("TicketRouterNoDecisions", "none at night", {decided(): "0+10x100 1000x400"}, quiet=(200, 400, 470)),
    Case(
        "TicketRouterNoDecisions",
        "none on Saturday",
        {decided(): "0+100x100 10000x400"},
        quiet=(2 * 1440 + 600, 3 * 1440 + 600),
        every=10,
    ),
    Case("TicketRouterNoDecisions", "a service that is hardly used", {decided(): "0+1x400 400x400"}, quiet=(560, 700)),
)
