"""The model's decisions; failed runs, reloads and versions; and lost log lines."""

from tests.monitoring.cases.case import OTHER, POD, Case, counter, decided, pod, rejected

_HOUR, _DAY, _WEEK = 6, 6 * 24, 6 * 24 * 7
"""In samples, one every ten minutes."""
_HISTORY = _DAY + 10 * _HOUR
"""Friday at ten."""
_SINCE = 10 * _HISTORY
"""The same in minutes."""


def _outcomes(
    history: int, usual: dict[str, float], then: dict[str, float], samples: int = 5 * _HOUR
) -> dict[str, str]:
    """Decisions in ten minutes by outcome: usual, then different for five hours, then usual again."""
    return {
        decided(outcome): counter((rate, history), (then.get(outcome, 0), samples), (rate, _DAY))
        for outcome, rate in usual.items()
    }


def _departments(
    of: dict[str, float], then: dict[str, float], left: str = "", history: int = _HISTORY
) -> dict[str, str]:
    """The same by department for eight hours. `left`: the department whose tickets go to review."""
    counters = {name: counter((rate, history), (then[name], 8 * _HOUR), (rate, _DAY)) for name, rate in of.items()}
    together = counter((sum(of.values()), history), (sum(then.values()), 8 * _HOUR), (sum(of.values()), _DAY))
    return {
        pod("review_candidates_total", labels=f', department="{name}"')
        if name == left
        else decided(department=name): values
        for name, values in counters.items()
    } | {pod("confidence_count", labels=', outcome="route"'): together}


def _confidence(mean: float, usual: float = 20, then: float = 20, history: int = _HISTORY) -> dict[str, str]:
    """A mean of 0.8, then another for eight hours; `usual` and `then`: tickets in ten minutes."""
    return {
        pod(f"confidence_{name}", labels=', outcome="route"'): counter(
            (before * usual, history), (during * then, 8 * _HOUR), (before * usual, _DAY)
        )
        for name, before, during in (("count", 1, 1), ("sum", 0.8, mean))
    }


def _of_field(share: float, field: str = "department") -> dict[str, str]:
    """A day in which this share of a field is routed, while the bundle expects 60 %; ten tickets every ten minutes."""
    routed = {
        "department": pod("confidence_count", labels=', outcome="route"'),
        "priority": pod("field_decisions_total", labels=', field="priority", outcome="route"'),
    }
    counters = {
        pod("confidence_count", labels=f', outcome="{outcome}"'): counter((10 * part, 2 * _DAY))
        for outcome, part in (("route", 0.6), ("review", 0.4))
    }
    if field == "department":
        counters[pod("confidence_count", labels=', outcome="review"')] = counter((10 - 10 * share, _DAY), (4, _DAY))
    return counters | {
        routed[field]: counter((10 * share, _DAY), (6, _DAY)),
        pod("expected_route_ratio", labels=f', field="{field}"'): f"0.6x{2 * _DAY}",
    }


def _drift(signal: str, which: str = POD) -> str:
    return pod("drift_psi", which, f', signal="{signal}"')


_USUAL = {"route": 70.0, "suggest": 10.0, "review": 20.0}
_SMALL = {"route": 7.0, "suggest": 1.0, "review": 2.0}
_MIX = {"a": 20.0, "b": 40.0, "c": 40.0}

_SWITCH = ', field="department", scope="label", label="billing", mode="off"'
_FALL, _JUMP, _NONE = "TicketRouterAutomationFall", "TicketRouterReviewJump", "TicketRouterReviewFall"
_NEAR_A_BOUND: tuple[
    tuple[str, str, str, dict[str, float], dict[str, float], tuple[int, ...], tuple[int, ...]], ...
] = (
    (
        _JUMP,
        "page",
        "25 points more, 8 % of the routes",
        _USUAL,
        {"route": 5.6, "suggest": 49.4, "review": 45},
        (160,),
        (140,),
    ),
    (
        _JUMP,
        "page",
        "25 points more, 12 % of the routes",
        _USUAL,
        {"route": 8.4, "suggest": 46.6, "review": 45},
        (),
        (240,),
    ),
    (
        _JUMP,
        "ticket",
        "25 points more, some routes",
        _USUAL,
        {"route": 40, "suggest": 15, "review": 45},
        (140,),
        (120,),
    ),
    (_JUMP, "page", "15 points more, no route", _USUAL, {"suggest": 65, "review": 35}, (), (240,)),
    (_JUMP, "ticket", "15 points more", _USUAL, {"suggest": 65, "review": 35}, (), (240,)),
    (_JUMP, "ticket", "of 108 in two hours", {"route": 7, "review": 2}, {"route": 4, "review": 5}, (240,), ()),
    (_JUMP, "ticket", "of 84 after many", {"route": 16, "review": 4}, {"route": 2, "review": 5}, (), (240,)),
    (_JUMP, "ticket", "of many after 84", {"route": 5, "review": 2}, {"route": 8, "review": 12}, (), (240,)),
    (_JUMP, "ticket", "all tickets, of which the page tells", _USUAL, {"review": 100}, (), (200, 300)),
    (_NONE, "ticket", "25 points less", {"route": 60, "review": 40}, {"route": 85, "review": 15}, (140,), (120,)),
    (_NONE, "ticket", "15 points less", {"route": 60, "review": 40}, {"route": 75, "review": 25}, (), (240,)),
    (
        _NONE,
        "ticket",
        "a fifth of the usual tenth",
        {"route": 90, "review": 10},
        {"route": 98, "review": 2},
        (240,),
        (),
    ),
    (
        _NONE,
        "ticket",
        "a third of the usual tenth",
        {"route": 90, "review": 10},
        {"route": 97, "review": 3},
        (),
        (240,),
    ),
    (_NONE, "ticket", "none of an expected 25", {"route": 18.9, "review": 2.1}, {"route": 21}, (240,), ()),
    (
        _FALL,
        "page",
        "8 % of the routes, 15 more reviews",
        _USUAL,
        {"route": 5.6, "suggest": 59.4, "review": 35},
        (160,),
        (140,),
    ),
    (_FALL, "page", "12 % of the routes", _USUAL, {"route": 8.4, "suggest": 71.6, "review": 20}, (), (240,)),
    (_FALL, "page", "none of an eighth that was routed", {"route": 12, "suggest": 88}, {"suggest": 100}, (240,), ()),
    (_FALL, "page", "none of a twelfth", {"route": 8, "suggest": 92}, {"suggest": 100}, (), (240,)),
    (_FALL, "page", "25 more reviews", _USUAL, {"suggest": 55, "review": 45}, (), (240,)),
    (
        _FALL,
        "ticket",
        "25 points less, 15 more reviews",
        _USUAL,
        {"route": 45, "suggest": 20, "review": 35},
        (140,),
        (120,),
    ),
    (_FALL, "ticket", "no route, of which the page tells", _USUAL, {"suggest": 80, "review": 20}, (), (200, 300)),
    (_FALL, "ticket", "15 points less", _USUAL, {"route": 55, "suggest": 25, "review": 20}, (), (240,)),
    (_FALL, "ticket", "25 more reviews", _USUAL, {"suggest": 55, "review": 45}, (), (240,)),
)
"""Just above and just below a bound: usual decisions in ten minutes, decisions then, and minutes after the change."""

MODEL = (
    Case(
        "TicketRouterReviewJump",
        "half of the tickets, and some are routed: a ticket",
        _outcomes(_HISTORY, _USUAL, {"route": 45, "suggest": 5, "review": 50}),
        fires=(_SINCE + 150, _SINCE + 300),
        quiet=(_SINCE, _SINCE + 50, _SINCE + 500),
        only='severity="ticket"',
        every=10,
    ),
    Case(
        "TicketRouterReviewJump",
        "half of the tickets, and some are routed: no page",
        _outcomes(_HISTORY, _USUAL, {"route": 45, "suggest": 5, "review": 50}),
        quiet=(_SINCE + 150, _SINCE + 300),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterReviewJump",
        "all tickets: a page in business hours",
        _outcomes(_HISTORY, _USUAL, {"review": 100}),
        fires=(_SINCE + 180, _SINCE + 300),
        quiet=(_SINCE, _SINCE + 100, _SINCE + 420),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterReviewJump",
        "all tickets in the evening: a ticket",
        _outcomes(_HISTORY + 9 * _HOUR, _USUAL, {"review": 100}),
        quiet=(_SINCE + 540 + 180, _SINCE + 540 + 300),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterReviewJump",
        "of a small helpdesk's tickets, after a week",
        _outcomes(_WEEK + 10 * _HOUR, _SMALL, {"route": 4, "review": 6}),
        fires=(7 * 1440 + 600 + 200,),
        quiet=(7 * 1440 + 600,),
        only='severity="ticket"',
        every=10,
    ),
    Case(
        "TicketRouterReviewJump",
        "many of the few that come at night",
        _outcomes(_HISTORY, {"route": 4, "review": 1}, {"review": 5}),
        quiet=(_SINCE + 150, _SINCE + 300),
        every=10,
    ),
    Case(
        "TicketRouterReviewFall",
        "from a fifth to nothing",
        _outcomes(_HISTORY, _USUAL, {"route": 100}),
        fires=(_SINCE + 180, _SINCE + 300),
        quiet=(_SINCE, _SINCE + 60, _SINCE + 500),
        every=10,
    ),
    Case(
        "TicketRouterReviewFall",
        "none of a small helpdesk's tickets, where 17 were expected",
        _outcomes(_HISTORY, {"route": 7.6, "review": 1.4}, {"route": 9}),
        quiet=(_SINCE + 180, _SINCE + 300),
        every=10,
    ),
    Case(
        "TicketRouterAutomationFall",
        "all that was routed is suggested",
        _outcomes(_HISTORY, _USUAL, {"suggest": 80, "review": 20}),
        fires=(_SINCE + 180, _SINCE + 300),
        quiet=(_SINCE, _SINCE + 100, _SINCE + 420),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterAutomationFall",
        "all that was routed is suggested, in the evening",
        _outcomes(_HISTORY + 9 * _HOUR, _USUAL, {"suggest": 80, "review": 20}),
        quiet=(_SINCE + 540 + 180, _SINCE + 540 + 300),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterAutomationFall",
        "half of what was routed is suggested: a ticket",
        _outcomes(_HISTORY, _USUAL, {"route": 35, "suggest": 45, "review": 20}),
        fires=(_SINCE + 180, _SINCE + 300),
        quiet=(_SINCE, _SINCE + 50, _SINCE + 500),
        only='severity="ticket"',
        every=10,
    ),
    Case(
        "TicketRouterAutomationFall",
        "half of what was routed is suggested: no page",
        _outcomes(_HISTORY, _USUAL, {"route": 35, "suggest": 45, "review": 20}),
        quiet=(_SINCE + 180, _SINCE + 300),
        only='severity="page"',
        every=10,
    ),
    Case(
        "TicketRouterAutomationFall",
        "reviewed tickets have their own alert",
        _outcomes(_HISTORY, _USUAL, {"review": 100}),
        quiet=(_SINCE + 180, _SINCE + 300),
        every=10,
    ),
    *(
        Case(
            alert,
            f"{why}: {severity}",
            _outcomes(_HISTORY, usual, then),
            fires=tuple(_SINCE + minute for minute in fires),
            quiet=tuple(_SINCE + minute for minute in quiet),
            only=f'severity="{severity}"',
            every=10,
        )
        for alert, severity, why, usual, then, fires, quiet in _NEAR_A_BOUND
    ),
    *(
        Case(
            "TicketRouterRouteShareUnexpected",
            f"{why}, of {field}, then what was expected",
            _of_field(share, field),
            fires=(270, 1440),
            quiet=(250, 2800),
            every=10,
        )
        for field in ("department", "priority")
        for why, share in (("a quarter", 0.25), ("85 %", 0.85))
    ),
    *(
        Case(
            "TicketRouterRouteShareUnexpected",
            f"{share:.0%} of an expected 60 %",
            _of_field(share),
            quiet=(1440,),
            every=10,
        )
        for share in (0.4, 0.75)
    ),
    *(
        Case(
            "TicketRouterDepartmentShift",
            f"one department's tickets {why}",
            _departments(_MIX, _MIX | {"a": 20 * factor}, left),
            fires=(_SINCE + 400, _SINCE + 480),
            quiet=(_SINCE, _SINCE + 60, _SINCE + 900),
            every=10,
        )
        for why, factor, left in (
            ("double", 2.0, ""),
            ("double, all for review", 2.0, "a"),
            ("halve", 0.5, ""),
        )
    ),
    *(
        Case(
            "TicketRouterDepartmentShift",
            why,
            _departments({"a": usual[0], "b": usual[1]}, {"a": then[0], "b": then[1]}),
            fires=(_SINCE + 400,) if fires else (),
            quiet=() if fires else (_SINCE + 400,),
            every=10,
        )
        for why, usual, then, fires in (
            ("a fourth more", (20, 80), (25, 75), False),
            ("a fourth less", (20, 80), (15, 85), False),
            ("half as much again, 5 points", (10, 90), (15, 85), True),
            ("half as much again, 3 points", (7, 93), (10.3, 89.7), False),
            ("half as much again of 640 tickets, within chance", (1.78, 16.02), (2.58, 15.22), False),
            ("half as much again of 990 tickets", (2.74, 24.66), (3.97, 23.43), True),
            ("most of 360 tickets", (2, 8), (8, 2), True),
            ("most of 252 tickets after many", (4, 16), (5.6, 1.4), False),
            ("most of many after 252", (1.4, 5.6), (16, 4), False),
        )
    ),
    Case(
        "TicketRouterDepartmentShift",
        "doubled, for half an hour after it shows",
        _departments(_MIX, _MIX | {"a": 40}),
        fires=(_SINCE + 250,),
        quiet=(_SINCE + 220,),
        every=10,
    ),
    *(
        Case(
            "TicketRouterConfidenceShift",
            f"from 0.80 to {mean:.2f} and back",
            _confidence(mean),
            fires=(_SINCE + 350, _SINCE + 480),
            quiet=(_SINCE, _SINCE + 320, _SINCE + 900),
            every=10,
        )
        for mean in (0.74, 0.86)
    ),
    Case(
        "TicketRouterConfidenceShift", "slightly lower confidence", _confidence(0.76), quiet=(_SINCE + 400,), every=10
    ),
    *(
        Case(
            "TicketRouterConfidenceShift",
            f"{then * 36} tickets after {usual * 36}",
            _confidence(0.5, usual, then),
            fires=(_SINCE + 400,) if usual == then else (),
            quiet=() if usual == then else (_SINCE + 400,),
            every=10,
        )
        for usual, then in ((20, 7), (7, 20), (10, 10))
    ),
    Case(
        "TicketRouterLogLinesLost",
        "a log reader stops, then reads again",
        {pod("log_lines_lost_total", labels=', kind="audit"'): "0x9 1x40"},
        fires=(10, 20),
        quiet=(9, 30),
    ),
    *(
        Case(
            "TicketRouterModelRunFailed",
            why,
            {pod(counter, labels=labels): "0x9 1x30"},
            fires=(10, 15),
            quiet=(9, 25),
        )
        for why, counter, labels in (
            ("a run, once", "rejected_total", ', reason="inference_failed"'),
            ("a model is reloaded", "model_reloads_total", ', outcome="repaired"'),
        )
    ),
    Case(
        "TicketRouterModelRunFailed",
        "refusals and reloads of other kinds",
        {
            rejected("overloaded"): "0+9x30",
            pod("model_reloads_total", labels=', outcome="done"'): "0+1x30",
        },
        quiet=(11, 30),
    ),
    Case("TicketRouterInvalidScores", "one", {pod("invalid_scores_total"): "0x9 1x90"}, fires=(10, 60), quiet=(9, 80)),
    Case(
        "TicketRouterReloadFailed",
        "refused, then successful",
        {pod("model_last_reload_successful"): "1x4 0x5 1x9"},
        fires=(6, 9),
        quiet=(4, 5, 12),
    ),
    Case(
        "TicketRouterVersionSkew",
        "one pod keeps the old version, then follows",
        {
            pod("model_info", labels=', version="1"'): "1x90",
            pod("model_info", OTHER, ', version="2"'): "1x60 _x30",
            pod("model_info", OTHER, ', version="1"'): "_x61 1x30",
        },
        fires=(35, 60),
        quiet=(25, 70),
    ),
    Case(
        "TicketRouterVersionSkew",
        "two variants of one version",
        {
            pod("model_info", labels=', version="1", variant="int8"'): "1x90",
            pod("model_info", OTHER, ', version="1", variant="fp32"'): "1x90",
        },
        quiet=(35, 90),
    ),
    *(
        Case(
            alert,
            "432 tickets in the same hours a day, two days and a week ago, together",
            series,
            fires=(7 * 1440 + 1000,),
            quiet=(7 * 1440 + 600,),
            every=10,
        )
        for alert, series in (
            (
                "TicketRouterDepartmentShift",
                _departments({"a": 1, "b": 3}, {"a": 9, "b": 3}, history=_WEEK + 10 * _HOUR),
            ),
            ("TicketRouterConfidenceShift", _confidence(0.5, 4, 20, history=_WEEK + 10 * _HOUR)),
        )
    ),
    *(
        Case(
            "TicketRouterStrangeMail",
            f"an eighth {why} for eight hours",
            {
                decided(): counter((10, _HISTORY + 8 * _HOUR + _DAY)),
                pod("reviews_total", labels=f', reason="{reason}"'): counter(
                    (0.2, _HISTORY), (1.25, 8 * _HOUR), (0.2, _DAY)
                ),
                pod("reviews_total", labels=', reason="below_threshold"'): counter((3, _HISTORY + 8 * _HOUR + _DAY)),
            },
            fires=(_SINCE + 320, _SINCE + 480),
            quiet=(_SINCE, _SINCE + 300, _SINCE + 480 + 420),
            every=10,
        )
        for why, reason in (("in another language", "language"), ("from another helpdesk", "out_of_scope"))
    ),
    Case(
        "TicketRouterStrangeMail",
        "a twelfth out of scope is too few",
        {
            decided(): counter((100, _HISTORY + 8 * _HOUR)),
            pod("reviews_total", labels=', reason="out_of_scope"'): counter((2, _HISTORY), (8, 8 * _HOUR)),
        },
        quiet=(_SINCE + 420, _SINCE + 480),
        every=10,
    ),
    Case(
        "TicketRouterStrangeMail",
        "half of a few tickets is too few",
        {
            decided(): counter((8, _HISTORY + 8 * _HOUR)),
            pod("reviews_total", labels=', reason="language"'): counter((0, _HISTORY), (4, 8 * _HOUR)),
        },
        quiet=(_SINCE + 420, _SINCE + 480),
        every=10,
    ),
    Case(
        "TicketRouterAutomationOff",
        "switched six days and 23 hours ago, then taken back",
        {pod("automation_off_since_timestamp_seconds", which, _SWITCH): "-601200x90 _x60" for which in (POD, OTHER)},
        fires=(70, 90),
        quiet=(50, 100),
    ),
    Case(
        "TicketRouterAutomationOff",
        "a new switch",
        {pod("automation_off_since_timestamp_seconds", labels=_SWITCH): "0x90"},
        quiet=(10, 90),
    ),
    Case(
        "TicketRouterDrift",
        "another script from the start, then a bundle that knows it",
        {_drift("script"): "_x10 0.12x499 0x499", _drift("length"): "0.02x1000"},
        fires=(70, 500),
        quiet=(69, 900),
    ),
    Case("TicketRouterDrift", "a small shift", {_drift("script"): "0.08x300"}, quiet=(100, 300)),
    Case(
        "TicketRouterDrift",
        "a large shift that begins is seen after two hours and lasts one",
        {_drift("script"): "0x599 0.3x600"},
        fires=(785,),
        quiet=(600, 765),
    ),
    Case(
        "TicketRouterDrift",
        "a roll-out empties the windows for four hours",
        {_drift("script"): "0.2x200", _drift("script", OTHER): "_x440 0.2x200"},
        fires=(200, 320, 440, 600),
    ),
    Case(
        "TicketRouterDrift",
        "one of two pods",
        {_drift("script"): "0.15x300", _drift("script", OTHER): "0.03x300"},
        quiet=(100, 300),
    ),
    Case("TicketRouterDrift", "too few tickets", {pod("drift_tickets"): "12x300"}, quiet=(100, 300)),
    Case(
        "TicketRouterOldModel",
        "made 180 days ago, then replaced",
        {pod("model_created_timestamp_seconds"): "-15552000x90 0x60"},
        fires=(65, 90),
        quiet=(50, 95),
    ),
    Case(
        "TicketRouterOldModel",
        "made 130 days ago",
        {pod("model_created_timestamp_seconds"): "-11232000x90"},
        quiet=(65, 90),
    ),
)
