"""Error budgets: the notation is explained in `tests/monitoring/cases/case.py`."""

from tests.monitoring.cases.case import POD, Case, counter


def _answers(code: int, route: str = "/v1/route", method: str = "POST") -> str:
    return f'ticket_router_http_requests_total{{{POD}, route="{route}", method="{method}", code="{code}"}}'


def _took(below: str) -> str:
    name, le = ("bucket", f', le="{below}"') if below else ("count", "")
    return f'ticket_router_http_request_duration_seconds_{name}{{{POD}, route="/v1/route"{le}}}'


def _slow(hour: int, slow: int, of: int) -> dict[str, str]:
    """`slow` of `of` requests a minute, for half an hour from that hour of the day."""
    return {
        _took(""): counter((of, 780)),
        _took("0.5"): counter((of, 60 * hour), (of - slow, 30), (of, 750 - 60 * hour)),
    }


FAST, SLOW, SLOWEST = 'long="1h"', 'long="6h"', 'long="3d"'
A, L = "TicketRouterAvailabilityBurn", "TicketRouterLatencyBurn"


def _bad(alert: str, night: int, *parts: tuple[float, float, int], every: int = 1) -> dict[str, str]:
    """Requests in a minute, those of them that fail or are slow, and for how many minutes; from `night` minutes on."""

    def counted(*steps: tuple[float, int]) -> str:
        return (f"_x{night} " if night else "") + counter(
            *((step * every, minutes // every) for step, minutes in steps)
        )

    good = counted(*((of - bad, minutes) for of, bad, minutes in parts))
    if alert == A:
        return {_answers(200): good, _answers(500): counted(*((bad, minutes) for _, bad, minutes in parts))}
    return {_took(""): counted(*((of, minutes) for of, _, minutes in parts)), _took("0.5"): good}


_BOUNDS = tuple(
    case
    for alert, budget in ((A, 0.001), (L, 0.01))
    for only, times, every, good, until, wait, beyond, below in (
        # 1.9 times the bound: the long window is beyond it after 60 / 1.9 and 360 / 1.9 minutes, that of three days, of
        # which all minutes count, after 400 / 0.9; a short one is below it 47 % of its minutes after the end.
        (FAST, 14.4, 1, 60, 60, 2, 32, 3),
        (SLOW, 6, 5, 360, 300, 15, 190, 15),
        (SLOWEST, 1, 5, 400, 2200, 60, 445, 175),
    )
    for share in (1.9 * times * budget,)
    for bad in (10 if (alert, only) == (L, FAST) else 1,)
    for night in (500 if (alert, only) == (L, FAST) else 0,)
    for case in (
        Case(
            alert,
            f"{share:.2%} for {until} minutes",
            _bad(alert, night, (1000, 0, good), (1000, 1000 * share, until), (1000, 0, 200), every=every),
            fires=(night + good + beyond + wait, night + good + until + below - every),
            quiet=(night + good + beyond + wait - every, night + good + until + below),
            only=only,
            every=every,
        ),
        Case(
            alert,
            f"all of {bad} in a minute: {10 * bad} after ten minutes",
            _bad(alert, night, (bad / 8, 0, 60), (bad, bad, 90)),
            fires=(night + 70 + wait,),
            quiet=(night + 70 + wait - 1,),
            only=only,
        ),
    )
)

SERVICE_LEVELS = (
    Case(
        A,
        "a tenth fails for half an hour, then none",
        {_answers(200): "0+100x180", _answers(500): "0x60 10+10x29 300x90"},
        fires=(80, 90),
        quiet=(60, 62, 70, 100, 170),
        only=FAST,
    ),
    Case(
        A,
        "one in a hundred fails: too little for the fast alert, too much for six hours",
        {_answers(200): "0+500x80", _answers(503): "0+5x24 120x56"},
        fires=(60, 120),
        quiet=(5, 20, 155, 390),
        only=SLOW,
        every=5,
    ),
    Case(
        A,
        "one in a hundred fails: no fast alert",
        {_answers(200): "0+100x120", _answers(503): "0+1x120"},
        quiet=(60, 120),
        only=FAST,
    ),
    Case(
        A,
        "one in five hundred fails for ten hours: a ticket, no page",
        {_answers(200): "0+500x240", _answers(504): "0+1x120 120x120"},
        fires=(180, 600),
        quiet=(30, 100, 1000),
        only=SLOWEST,
        every=5,
    ),
    Case(
        A,
        "one in five hundred fails for ten hours: no page",
        {_answers(200): "0+500x240", _answers(504): "0+1x120 120x120"},
        quiet=(180, 600),
        only='severity="page"',
        every=5,
    ),
    Case(
        A,
        "five of few requests at night",
        {_answers(200): "0+1x180", _answers(500): "0x60 1+1x4 5x120"},
        quiet=(61, 66, 70, 90, 150),
    ),
    Case(
        A,
        "two bad minutes in a good hour",
        {_answers(200): "0+100x80", _answers(500): "0x60 10+10x1 20x18"},
        quiet=(62, 64, 66),
        only=FAST,
    ),
    Case(
        A,
        "ten bad minutes in six good hours",
        {_answers(200): "0+500x90", _answers(500): "0x75 15+15x1 30x13"},
        quiet=(400, 410),
        only=SLOW,
        every=5,
    ),
    Case(
        A,
        "a bad evening after two good days",
        {_answers(200): "0+1000x330", _answers(500): "0x300 2+2x29"},
        quiet=(3290,),
        only=SLOWEST,
        every=10,
    ),
    Case(
        A,
        "all of a small helpdesk's ten tickets an hour fail",
        {_answers(200): "0+1x20 20x40", _answers(500): "0x20 1+1x40"},
        fires=(240,),
        quiet=(120,),
        only=SLOW,
        every=6,
    ),
    Case(
        A,
        "refusals, clients' faults and scanners are not failures, and do not hide any",
        {_answers(200): "0+100x60", _answers(429): "0+100x60", _answers(422): "0+100x60", _answers(500): "0x60"},
        quiet=(10, 30, 60),
    ),
    Case(
        A,
        "a flood of other answers does not lower the share of failures",
        {_answers(200): "0+100x60", _answers(500): "0+3x60", _answers(404, "unmatched"): "0+9000x60"},
        fires=(30,),
        only=FAST,
    ),
    *(
        Case(
            A,
            why,
            {_answers(200): "0+100x180", _answers(code, "unmatched", "other"): "0x60 10+10x29 300x90"},
            fires=(80, 90),
            quiet=(60, 62, 70, 100, 170),
            only=FAST,
        )
        for why, code in (
            ("a connection refused at the limit is counted without a route", 503),
            ("an error before the request was read is counted without a route", 500),
        )
    ),
    Case(
        L,
        "half is slow for half an hour of business hours, then none",
        _slow(10, 45, of=90),
        fires=(625, 630),
        quiet=(600, 602, 619, 640, 710),
        only=FAST,
    ),
    Case(
        L,
        "half is slow for half an hour of the night: no page",
        _slow(1, 45, of=90),
        quiet=(65, 85, 90),
        only='severity="page"',
    ),
    Case(
        L,
        "half of a small helpdesk's tickets is slow for half an hour: no page",
        _slow(10, 3, of=6),
        quiet=(605, 625, 640),
        only='severity="page"',
    ),
    Case(
        L,
        "one slow mail a minute at night is a ticket",
        {_took(""): counter((1, 400)), _took("0.5"): counter((0, 400))},
        fires=(180,),
        only='severity="ticket"',
    ),
    Case(
        L,
        "one slow mail a minute at night: no page",
        {_took(""): counter((1, 400)), _took("0.5"): counter((0, 400))},
        quiet=(30, 180, 400),
        only='severity="page"',
    ),
    Case(
        L,
        "sixty quick tickets an hour, and fifteen that the client never finished sending",
        {_answers(200): "0+1x240", _answers(408): "0+1x240", _took(""): "0+1x240", _took("0.5"): "0+1x240"},
        quiet=(30, 60, 120, 240),
    ),
    Case(
        L,
        "many client errors do not lower the share of slow tickets",
        {_answers(422): counter((9000, 640))} | _slow(10, 5, of=10),
        fires=(630,),
        only=FAST,
    ),
    Case(
        L,
        "one in ten is slow: too little for the fast alert, too much for six hours",
        {_took(""): "0+500x80", _took("0.5"): "0+450x24 11300+500x55"},
        fires=(60, 120),
        quiet=(5, 160, 390),
        only=SLOW,
        every=5,
    ),
    Case(
        L,
        "one in fifty is slow for ten hours: a ticket, no page",
        {_took(""): "0+500x240", _took("0.5"): "0+490x120 59300+500x119"},
        fires=(180, 600),
        quiet=(30, 1000),
        only=SLOWEST,
        every=5,
    ),
    Case(
        L,
        "one in fifty is slow for ten hours: no page",
        {_took(""): "0+500x240", _took("0.5"): "0+490x240"},
        quiet=(180, 600),
        only='severity="page"',
        every=5,
    ),
    Case(
        L,
        "nine of few tickets at night",
        {_took(""): "0+1x180", _took("0.5"): "0+1x60 60x8 61+1x110"},
        quiet=(61, 66, 72, 90, 150),
    ),
    Case(
        L,
        "two slow minutes in a good hour",
        {_took(""): counter((90, 680)), _took("0.5"): counter((90, 600), (50, 2), (90, 78))},
        quiet=(602, 604, 606),
        only=FAST,
    ),
    Case(
        L,
        "ten slow minutes in six good hours",
        {_took(""): "0+500x90", _took("0.5"): "0+500x75 37850+350x1 38700+500x13"},
        quiet=(400, 410),
        only=SLOW,
        every=5,
    ),
    Case(
        L,
        "a slow evening after two good days",
        {_took(""): "0+1000x330", _took("0.5"): "0+1000x300 300980+980x29"},
        quiet=(3290,),
        only=SLOWEST,
        every=10,
    ),
    *_BOUNDS,
)
