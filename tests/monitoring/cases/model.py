"""What the model decides, what becomes of runs, reloads and versions, and lost log lines."""

from tests.monitoring.cases.case import OTHER, Case, counter, decided, pod, rejected

_HOUR, _DAY, _WEEK = 6, 6 * 24, 6 * 24 * 7
"""In samples, one every ten minutes."""
_HISTORY = _DAY + 10 * _HOUR
"""The Friday at ten."""
_SINCE = 10 * _HISTORY
"""The same in minutes."""


def _outcomes(
    history: int, usual: dict[str, float], then: dict[str, float], samples: int = 5 * _HOUR
) -> dict[str, str]:
    """Decisions in ten minutes by outcome, as usual, then otherwise for five hours, then as usual again."""
    return {
        decided(outcome): counter((rate, history), (then.get(outcome, 0), samples), (rate, _DAY))
        for outcome, rate in usual.items()
    }


def _departments(of: dict[str, float], then: dict[str, float], left: str = "") -> dict[str, str]:
    """The same by department for eight hours. `left`: the one whose tickets are left to people."""
    counters = {name: counter((rate, _HISTORY), (then[name], 8 * _HOUR), (rate, _DAY)) for name, rate in of.items()}
    together = counter((sum(of.values()), _HISTORY), (sum(then.values()), 8 * _HOUR), (sum(of.values()), _DAY))
    return {
        pod("review_candidates_total", labels=f', department="{name}"')
        if name == left
        else decided(department=name): values
        for name, values in counters.items()
    } | {pod("confidence_count", labels=', outcome="route"'): together}


def _confidence(then: float, a_sample: float = 20) -> dict[str, str]:
    """A mean of 0.8, then another for eight hours."""
    return {
        pod("confidence_count", labels=', outcome="route"'): counter((a_sample, _HISTORY + 8 * _HOUR + _DAY)),
        pod("confidence_sum", labels=', outcome="route"'): counter(
            (0.8 * a_sample, _HISTORY), (then * a_sample, 8 * _HOUR), (0.8 * a_sample, _DAY)
        ),
    }


def _of_field(share: float, field: str = "department") -> dict[str, str]:
    """A day in which this share of a field is routed, and the bundle expects six tenths; ten every ten minutes."""
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


_USUAL = {"route": 70.0, "suggest": 10.0, "review": 20.0}
_SMALL = {"route": 7.0, "suggest": 1.0, "review": 2.0}
_MIX = {"a": 20.0, "b": 40.0, "c": 40.0}

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
        "from four tenths to one and a half",
        _outcomes(_HISTORY, {"route": 60, "review": 40}, {"route": 85, "review": 15}),
        fires=(_SINCE + 180,),
        quiet=(_SINCE + 60,),
        every=10,
    ),
    Case(
        "TicketRouterReviewFall",
        "none of a small helpdesk's, of which 17 were to be expected",
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
        "a tenth less, and a bundle that never routed much",
        _outcomes(_HISTORY, {"route": 8, "suggest": 92}, {"route": 0, "suggest": 100}),
        quiet=(_SINCE + 180, _SINCE + 300),
        every=10,
    ),
    Case(
        "TicketRouterAutomationFall",
        "what is left to people has an alert of its own",
        _outcomes(_HISTORY, _USUAL, {"review": 100}),
        quiet=(_SINCE + 180, _SINCE + 300),
        every=10,
    ),
    *(
        Case(
            "TicketRouterRouteShareUnexpected",
            f"{why}, of {field}, then what was expected",
            _of_field(share, field),
            fires=(1440,),
            quiet=(100, 2800),
            every=10,
        )
        for field in ("department", "priority")
        for why, share in (("a quarter", 0.25), ("nine tenths", 0.9))
    ),
    *(
        Case(
            "TicketRouterRouteShareUnexpected",
            f"{share:.0%} of an expected 60 %",
            _of_field(share),
            quiet=(1440,),
            every=10,
        )
        for share in (0.35, 0.75)
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
            ("double, all left to people", 2.0, "a"),
            ("halve", 0.5, ""),
        )
    ),
    Case(
        "TicketRouterDepartmentShift",
        "a third more",
        _departments(_MIX, _MIX | {"a": 27}),
        quiet=(_SINCE + 400,),
        every=10,
    ),
    Case(
        "TicketRouterDepartmentShift",
        "a department of two in a hundred doubles",
        _departments({"a": 2, "b": 98}, {"a": 4, "b": 98}),
        quiet=(_SINCE + 400,),
        every=10,
    ),
    Case(
        "TicketRouterDepartmentShift",
        "of few tickets, as chance has it",
        _departments({"a": 0.7, "b": 8.3}, {"a": 1.2, "b": 7.8}),
        quiet=(_SINCE + 400,),
        every=10,
    ),
    *(
        Case(
            "TicketRouterConfidenceShift",
            f"from 0.80 to {mean:.2f} and back",
            _confidence(mean),
            fires=(_SINCE + 400, _SINCE + 480),
            quiet=(_SINCE, _SINCE + 60, _SINCE + 900),
            every=10,
        )
        for mean in (0.7, 0.9)
    ),
    Case("TicketRouterConfidenceShift", "a little less sure", _confidence(0.76), quiet=(_SINCE + 400,), every=10),
    Case("TicketRouterConfidenceShift", "of few", _confidence(0.5, 8), quiet=(_SINCE + 400,), every=10),
    Case(
        "TicketRouterLogLinesLost",
        "a reader that stopped, and reads again",
        {pod("log_lines_lost_total", labels=', kind="audit"'): "0x9 3x40"},
        fires=(11, 20),
        quiet=(9, 30),
    ),
    *(
        Case(
            "TicketRouterModelRunFailed",
            why,
            {pod(counter, labels=labels): "0x9 1x30"},
            fires=(11, 15),
            quiet=(9, 25),
        )
        for why, counter, labels in (
            ("a run, once", "rejected_total", ', reason="inference_failed"'),
            ("a model loaded anew", "model_reloads_total", ', outcome="repaired"'),
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
    Case("TicketRouterInvalidScores", "one", {pod("invalid_scores_total"): "0x9 1x90"}, fires=(11, 60), quiet=(9, 80)),
    Case(
        "TicketRouterReloadFailed",
        "refused, and mended",
        {pod("model_last_reload_successful"): "1x4 0x5 1x9"},
        fires=(7, 9),
        quiet=(4, 5, 12),
    ),
    Case(
        "TicketRouterVersionSkew",
        "one pod stays behind, and follows",
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
    Case(
        "TicketRouterStrangeMail",
        "an eighth in another language for eight hours",
        {
            decided(): counter((100, _HISTORY + 8 * _HOUR + _DAY)),
            pod("reviews_total", labels=', reason="language"'): counter((2, _HISTORY), (12.5, 8 * _HOUR), (2, _DAY)),
            pod("reviews_total", labels=', reason="below_threshold"'): counter((30, _HISTORY + 8 * _HOUR + _DAY)),
        },
        fires=(_SINCE + 420, _SINCE + 480),
        quiet=(_SINCE, _SINCE + 60, _SINCE + 480 + 420),
        every=10,
    ),
    Case(
        "TicketRouterStrangeMail",
        "a twelfth out of scope is no news",
        {
            decided(): counter((100, _HISTORY + 8 * _HOUR)),
            pod("reviews_total", labels=', reason="out_of_scope"'): counter((2, _HISTORY), (8, 8 * _HOUR)),
        },
        quiet=(_SINCE + 420, _SINCE + 480),
        every=10,
    ),
    Case(
        "TicketRouterStrangeMail",
        "half of a few tickets says nothing",
        {
            decided(): counter((8, _HISTORY + 8 * _HOUR)),
            pod("reviews_total", labels=', reason="language"'): counter((0, _HISTORY), (4, 8 * _HOUR)),
        },
        quiet=(_SINCE + 420, _SINCE + 480),
        every=10,
    ),
    Case(
        "TicketRouterOldModel",
        "made 180 days ago, then replaced",
        {pod("model_created_timestamp_seconds"): "-15552000x90 0x60"},
        fires=(65, 90),
        quiet=(50, 95),
    ),
)
