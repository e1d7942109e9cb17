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


def _disk(free: str, size: str) -> Mapping[str, str]:
    return {pod("state_disk_free_bytes"): free, pod("state_disk_size_bytes"): size}


def _live(share: str, values: str, measure: str, basis: str, rows: str) -> Mapping[str, str]:
    """Of one department, as both of two pods have it; the bundle promises 95 %."""
    series: dict[str, str] = {}
    for which in (POD, OTHER):
        labels = f'{which}, department="d"'
        series["ticket_router_live_" + share % labels] = values
        series[f'ticket_router_live_rows{{{labels}, measure="{measure}", basis="{basis}"}}'] = rows
        series[pod("promised_precision", which, ', field="department"')] = "0.95x60"
    return series


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
    Case(
        "TicketRouterDiskNearlyFull",
        "4 of 50 GB, and enlarged",
        _disk("10e9x4 4e9x30 30e9x9", "50e9x43"),
        fires=(22, 34),
        quiet=(4, 18, 37),
    ),
    Case("TicketRouterDiskNearlyFull", "90 GB of 1 TB", _disk("90e9x40", "1e12x40"), quiet=(20, 40)),
    Case("TicketRouterDiskNearlyFull", "half of a small one", _disk("1e9x40", "2e9x40"), quiet=(20, 40)),
    Case(
        "TicketRouterPromiseBroken",
        "6 % moved at least, then fewer",
        _live('override_ratio{%s, bound="low"}', "0.04x9 0.06x40 0.04x9", "override_ratio", "routed", "50x60"),
        fires=(41, 49),
        quiet=(9, 38, 51),
    ),
    Case(
        "TicketRouterPromiseBroken",
        "at most 94 % of the random share right, then more",
        _live('precision{%s, basis="audit", bound="high"}', "0.96x9 0.94x40 0.96x9", "precision", "audit", "50x60")
        | _live('override_ratio{%s, bound="low"}', "0.01x60", "override_ratio", "routed", "50x60"),
        fires=(41, 49),
        quiet=(9, 38, 51),
    ),
    Case(
        "TicketRouterPromiseBroken",
        "one moved of one",
        _live('override_ratio{%s, bound="low"}', "0.2x60", "override_ratio", "routed", "49x60"),
        quiet=(41, 60),
    ),
    Case(
        "TicketRouterPromiseBroken",
        "feedback on moved tickets alone",
        _live('precision{%s, basis="feedback", bound="high"}', "0.1x60", "precision", "feedback", "500x60"),
        quiet=(41, 60),
    ),
    Case("TicketRouterRecordsSpoolFilling", "half", _spool("50x29"), quiet=(5, 29)),
)
