"""The record: a database that takes no decisions, and a spool that fills."""

from collections.abc import Mapping

from tests.monitoring.cases.case import OTHER, POD, Case, pod


def _pods(*up_and_ready: tuple[str, str]) -> Mapping[str, str]:
    series: dict[str, str] = {}
    for which, (up, ready) in zip((POD, OTHER), up_and_ready, strict=True):
        series |= {pod("records_up", which): up, pod("ready", which): ready}
    return series


def _spool(size: str) -> Mapping[str, str]:
    return {pod("records_spool_bytes"): size, pod("records_spool_limit_bytes"): "100x30"}


_PAGE, _TICKET = 'severity="page"', 'severity="ticket"'
_AWAY, _WORKS = "1x4 0x15 1x9", "1x29"
RECORDS = (
    Case(
        "TicketRouterRecordsUnavailable",
        "both refuse, and both are back",
        _pods((_AWAY, _AWAY), (_AWAY, _AWAY)),
        fires=(7, 19),
        quiet=(4, 6, 21, 28),
        only=_PAGE,
    ),
    Case(
        "TicketRouterRecordsUnavailable",
        "no ticket beside the page",
        _pods((_AWAY, _AWAY), (_AWAY, _AWAY)),
        quiet=(11, 19),
        only=_TICKET,
    ),
    Case(
        "TicketRouterRecordsUnavailable",
        "both spool: no page",
        _pods((_AWAY, _WORKS), (_AWAY, _WORKS)),
        quiet=(8, 19),
        only=_PAGE,
    ),
    Case(
        "TicketRouterRecordsUnavailable",
        "both spool, and are back",
        _pods((_AWAY, _WORKS), (_AWAY, _WORKS)),
        fires=(10, 19),
        quiet=(4, 9, 21, 28),
        only=_TICKET,
    ),
    Case(
        "TicketRouterRecordsUnavailable",
        "both spool until one is full and then the other",
        _pods(("0x29", "1x9 0x20"), ("0x29", "1x14 0x15")),
        fires=(17,),
        quiet=(12, 16),
        only=_PAGE,
    ),
    Case(
        "TicketRouterRecordsUnavailable",
        "one of two refuses: no page",
        _pods((_AWAY, _AWAY), (_WORKS, _WORKS)),
        quiet=(8, 19),
        only=_PAGE,
    ),
    Case(
        "TicketRouterRecordsUnavailable",
        "one of two refuses",
        _pods((_AWAY, _AWAY), (_WORKS, _WORKS)),
        fires=(10, 19),
        quiet=(9, 21),
        only=_TICKET,
    ),
    Case(
        "TicketRouterRecordsUnavailable",
        "not ready for another reason",
        _pods((_WORKS, _AWAY), (_WORKS, _AWAY)),
        quiet=(8, 19),
    ),
    Case(
        "TicketRouterRecordsUnavailable",
        "the database restarts within a minute",
        _pods(("1x4 0x1 1x9", "1x4 0x1 1x9"), ("1x4 0x1 1x9", "1x4 0x1 1x9")),
        quiet=(5, 6, 7, 12),
    ),
    Case("TicketRouterRecordsUnavailable", "nothing is recorded", {pod("ready"): "0x20"}, quiet=(5, 20)),
    Case(
        "TicketRouterRecordsSpoolFilling",
        "51 %, and drained",
        _spool("0x4 49x4 51x10 0x9"),
        fires=(10, 20),
        quiet=(4, 9, 22),
    ),
    Case("TicketRouterRecordsSpoolFilling", "half", _spool("50x29"), quiet=(5, 29)),
)
