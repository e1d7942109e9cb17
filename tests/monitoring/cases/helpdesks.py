"""Connected helpdesks: what could not be written, and what waits too long."""

from tests.monitoring.cases.case import OTHER, POD, Case, pod

_DESK = ', connection="support"'
HELPDESKS = (
    Case(
        "TicketRouterConnectionsRefused",
        "refused by one pod, then mended",
        {
            pod("connections_last_reload_successful"): "1x4 0x9 1x9",
            pod("connections_last_reload_successful", OTHER): "1x25",
        },
        fires=(11, 13),
        quiet=(4, 8, 16),
    ),
    Case(
        "TicketRouterHelpdeskWriteDead",
        "one row, seen by both pods, and sent again",
        {pod("outbox_dead_rows", which, _DESK): "0x4 1x9 0x9" for which in (POD, OTHER)},
        fires=(5, 13),
        quiet=(4, 16),
    ),
    Case(
        "TicketRouterOutboxOld",
        "an outage of an hour",
        {pod("outbox_age_seconds", labels=_DESK): "0x4 60+60x59 0x9"},
        fires=(45, 63),
        quiet=(34, 38, 66),
    ),
    Case("TicketRouterOutboxOld", "half an hour", {pod("outbox_age_seconds", labels=_DESK): "1800x29"}, quiet=(10, 29)),
)
