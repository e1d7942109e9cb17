"""Callers' keys: an unusable key file, a refused key, a key beyond its rate."""

from tests.monitoring.cases.case import OTHER, POD, Case, counter, pod, rejected


def _not_taken(values: str, reason: str = "unauthenticated") -> dict[str, str]:
    return {rejected(reason): values}


def _of_key(admitted: str, limited: str, key: str = "zendesk") -> dict[str, str]:
    return {
        pod("key_tickets_total", labels=f', key="{key}", outcome="{outcome}"'): values
        for outcome, values in (("admitted", admitted), ("rate_limited", limited))
    }


def _ends(at_hours: float, until: int, then: str = "") -> dict[str, str]:
    """A key that expires so many hours after promtool's start, a Thursday at midnight; a sample every ten minutes."""
    return {
        pod("key_expires_timestamp_seconds", which, ', key="zendesk"'): f"{at_hours * 3600:g}x{until} {then}".strip()
        for which in (POD, OTHER)
    }


_DAY = 24
KEYS = (
    Case(
        "TicketRouterKeyExpires",
        "expires in two weeks, then extended",
        _ends(15 * _DAY, 300, f"{400 * _DAY * 3600}x20"),
        fires=(24 * 60 + 30, 3000),
        quiet=(23 * 60 + 50, 3030),
        only='severity="ticket"',
        every=10,
    ),
    Case(
        "TicketRouterKeyExpires",
        "expires in two days: a page in business hours until it expires",
        _ends(3.5 * _DAY, 520),  # Sunday at noon
        fires=(60 * 37, 60 * 39),
        quiet=(60 * 10, 60 * 31, 60 * 43, 60 * 58, 60 * 82, 60 * 85),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterKeyExpires",
        "expires on Wednesday at noon: no page on Friday",
        _ends(6.5 * _DAY, 820),
        fires=(60 * (96 + 14),),
        quiet=(60 * 34, 60 * 40, 60 * 85, 60 * (96 + 9)),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterKeyExpires",
        "expires on Tuesday at eight: a page on Friday",
        _ends(5 * _DAY + 8, 620),
        fires=(60 * 34,),
        quiet=(60 * 16, 60 * 60),
        only='severity="page"',
        every=10,
    ),
    *(
        Case(
            "TicketRouterKeyExpires",
            why,
            _ends(_DAY, 500),
            fires=(begin + 7,),
            quiet=(begin + 3,),
            only=f'severity="{severity}"',
        )
        for why, begin, severity in (
            ("a ticket after five minutes", 0, "ticket"),
            ("a page five minutes after eight", 480, "page"),
        )
    ),
    Case(
        "TicketRouterKeyExpires",
        "an expired key that is still in the file",
        _ends(1, 60),
        quiet=(70, 600),
        every=10,
    ),
    Case(
        "TicketRouterKeysRefused",
        "refused by one pod, then corrected",
        {pod("keys_last_reload_successful"): "1x4 0x9 1x9", pod("keys_last_reload_successful", OTHER): "1x25"},
        fires=(11, 13),
        quiet=(4, 8, 16),
    ),
    Case(
        "TicketRouterKeysRefused",
        "read half-written, and whole a moment later",
        {pod("keys_last_reload_successful"): "1x4 0x1 1x9"},
        quiet=(5, 8, 12),
    ),
    Case("TicketRouterKeysRefused", "there are no keys", {pod("ready"): "1x20"}, quiet=(6, 20)),
    *(
        Case(
            "TicketRouterKeyNotTaken",
            why,
            _not_taken("0x9 1+1x59 60x90", reason),
            fires=(30, 60, 90),
            quiet=(9, 15, 110),
        )
        for why, reason in (
            ("a key expires, and its caller gets a new one after an hour", "unauthenticated"),
            ("a key without the role, and its caller gets a new one after an hour", "forbidden"),
        )
    ),
    Case("TicketRouterKeyNotTaken", "a few requests without a key", _not_taken("0x9 5x90"), quiet=(15, 60)),
    Case(
        "TicketRouterKeyNotTaken",
        "of two pods, six an hour each",
        _not_taken("0+1x20") | {rejected("unauthenticated", OTHER): "0+1x20"},
        fires=(120,),
        quiet=(20,),
        every=10,
    ),
    Case(
        "TicketRouterKeyLimited",
        "two of three refused for an hour, then none",
        _of_key("0+10x120", "0x9 20+20x59 1200x60"),
        fires=(50, 69),
        quiet=(9, 30, 90),
    ),
    Case(
        "TicketRouterKeyLimited",
        "another key's tickets do not lower the share",
        _of_key("0+10x60", "0+20x60") | _of_key("0+1000x60", "0x60", key="zammad"),
        fires=(40,),
        quiet=(20,),
    ),
    Case("TicketRouterKeyLimited", "an import at its limit", _of_key("0+1200x60", "0+800x60"), quiet=(40, 60)),
    Case(
        "TicketRouterKeyLimited",
        "a mass mailing's twenty minutes",
        _of_key("0+10x60", "0x9 20+20x19 400x30"),
        quiet=(28, 45),
    ),
    *(
        Case(
            "TicketRouterKeyLimited",
            f"{refused} refused of few in a quarter of an hour",
            _of_key(counter((0.1, 60)), counter((refused / 15, 60))),
            fires=(55,) if refused > 10 else (),
            quiet=() if refused > 10 else (55,),
        )
        for refused in (8, 12)
    ),
)
