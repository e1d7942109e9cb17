"""A label that the misroute alarm has taken back."""

from collections.abc import Mapping

from tests.monitoring.cases.case import OTHER, POD, Case, pod


def _alarm(*values: str) -> Mapping[str, str]:
    """The series of two pods, which end when the label is back."""
    names = (pod("misroute_alarm", which, ', field="department", label="d"') for which in (POD, OTHER))
    return dict(zip(names, values, strict=True))


MISROUTES = (
    Case(
        "TicketRouterMisrouteAlarm",
        "taken back, and put back",
        _alarm("_x5 1x20 _x9", "_x5 1x20 _x9"),
        fires=(7, 25),
        quiet=(4, 32),
    ),
    Case("TicketRouterMisrouteAlarm", "one of two pods restarts", _alarm("1x30", "1x9 _x9 1x10"), fires=(5, 15, 29)),
    Case("TicketRouterMisrouteAlarm", "evidence alone", {pod("misroute_evidence"): "0.9x20"}, quiet=(5, 20)),
)
