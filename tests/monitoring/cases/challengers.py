"""Bundles beside the serving one: a shadow that disagrees, and one that does not run."""

from collections.abc import Mapping

from tests.monitoring.cases.case import OTHER, POD, Case, counter, pod


def _compared(which: str, agreement: str, *parts: tuple[float, int], outcome: str = "route") -> Mapping[str, str]:
    labels = f', field="department", outcome="{outcome}", shadow_outcome="route", agreement="{agreement}"'
    return {pod("shadow_compared_total", which, labels): counter(*parts)}


def _state(*failed: str) -> Mapping[str, str]:
    return {
        pod("challenger_state", which, ', role="canary", version="v", state="failed"'): values
        for which, values in zip((POD, OTHER), failed, strict=False)
    }


CHALLENGERS = (
    Case(
        "TicketRouterShadowDisagreement",
        "15 % of both pods for a day, then none",
        {
            **_compared(POD, "other", (3, 12), (0, 48)),
            **_compared(POD, "same", (17, 60)),
            **_compared(OTHER, "other", (3, 12), (0, 48)),
            **_compared(OTHER, "same", (17, 60)),
        },
        fires=(300, 720),
        quiet=(60, 2160, 3540),
        every=60,
    ),
    Case(
        "TicketRouterShadowDisagreement",
        "8 %",
        {**_compared(POD, "other", (8, 30)), **_compared(POD, "same", (92, 30))},
        quiet=(300, 1500),
        every=60,
    ),
    Case(
        "TicketRouterShadowDisagreement",
        "half of a few tickets",
        {**_compared(POD, "other", (1, 30)), **_compared(POD, "same", (1, 30))},
        quiet=(300, 1500),
        every=60,
    ),
    Case(
        "TicketRouterShadowDisagreement",
        "many that people decide anyway",
        {
            **_compared(POD, "other", (90, 30), outcome="review"),
            **_compared(POD, "same", (100, 30)),
        },
        quiet=(300, 1500),
        every=60,
    ),
    Case(
        "TicketRouterChallengerFailed",
        "one of two pods, and it is withdrawn",
        _state("0x4 1x14 _x10", "0x29"),
        fires=(11, 18),
        quiet=(8, 26, 28),
    ),
    Case("TicketRouterChallengerFailed", "loaded at the second attempt", _state("0x4 1x3 0x20"), quiet=(8, 12, 20)),
)
