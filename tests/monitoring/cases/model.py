"""What becomes of tickets, runs, reloads and versions."""

from tests.monitoring.cases.case import OTHER, Case, decided, pod, rejected

_HOURS = 6
_DAY, _WEEK = 24 * _HOURS, 7 * 24 * _HOURS


def _reviews(history: int, then: int, of: int) -> dict[str, str]:
    """Samples every ten minutes: a tenth of `of` is left to people, then six tenths for two hours, then a tenth."""
    few, many = of // 10, 6 * of // 10
    start, end = few * history, few * history + many * 12
    return {
        pod("reviews_total", labels=', reason="below_threshold"'): f"0+{few}x{history} {start + many}+{many}x11 "
        f"{end + few}+{few}x{then}",
        decided(): f"0+{of}x{history + then + 13}",
    }


MODEL = (
    Case(
        "TicketRouterReviewJump",
        "two hours of many more than a week ago",
        _reviews(_WEEK + 12, 24, 50),
        fires=(10 * (_WEEK + 22),),
        quiet=(10 * (_WEEK + 11), 10 * (_WEEK + 16), 10 * (_WEEK + 40)),
        every=10,
    ),
    Case(
        "TicketRouterReviewJump",
        "a day's history is enough",
        _reviews(_DAY + 12, 24, 50),
        fires=(10 * (_DAY + 22),),
        quiet=(10 * (_DAY + 11), 10 * (_DAY + 40)),
        every=10,
    ),
    Case(
        "TicketRouterReviewJump",
        "many of the few that come at night",
        {
            pod("reviews_total", labels=', reason="empty"'): f"0x{_WEEK} 1+1x40",
            decided(): f"0+50x{_WEEK - 12} {50 * (_WEEK - 12)}x11 {50 * (_WEEK - 12)}+1x60",
        },
        quiet=(10 * (_WEEK + 12), 10 * (_WEEK + 20)),
        every=10,
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
        "TicketRouterOldModel",
        "made 180 days ago, then replaced",
        {pod("model_created_timestamp_seconds"): "-15552000x90 0x60"},
        fires=(65, 90),
        quiet=(50, 95),
    ),
)
