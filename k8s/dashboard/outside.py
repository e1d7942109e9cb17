"""What users of the service see: service levels, traffic, decisions. Metrics: docs/metrics.md."""

from grafana_foundation_sdk.models import units

from k8s.dashboard.charts import Chart, Query, Row
from k8s.dashboard.promql import quantile, rate

_VALID = 'code=~"[25]..", PODS'
_FAILED = 'code=~"5..", PODS'
_SINGLE = 'route="/v1/route", PODS'
TIMES = "suffix: x"
"""Times of something: Grafana shows what follows `suffix:` after the number."""

SERVICE_LEVELS = Row(
    "Service levels",
    (
        Chart(
            "Availability",
            "Share of requests that did not fail (5xx), in the time shown. Aim: 99.9 %. A client's own faults and "
            "refusals by load (429) are not counted at all.",
            units.PercentUnit,
            (
                Query(
                    "1 - sum(increase(ticket_router_http_requests_total{" + _FAILED + "}[$__range])) "
                    "/ sum(increase(ticket_router_http_requests_total{" + _VALID + "}[$__range]))",
                    "available",
                ),
            ),
            kind="number",
            width=6,
            bounds=(0.9995, 0.999),
        ),
        Chart(
            "Within 500 ms",
            "Share of single tickets answered within half a second of their coming in, in the time shown. Aim: 99 %.",
            units.PercentUnit,
            (
                Query(
                    "sum(increase(ticket_router_http_request_duration_seconds_bucket{"
                    + _SINGLE
                    + ', le="0.5"}[$__range])) '
                    "/ sum(increase(ticket_router_http_request_duration_seconds_count{" + _SINGLE + "}[$__range]))",
                    "fast enough",
                ),
            ),
            kind="number",
            width=6,
            bounds=(0.995, 0.99),
        ),
        Chart(
            "Ready pods",
            "Pods that have a checked model and take tickets.",
            units.Short,
            (Query("sum(ticket_router_ready{PODS})", "ready"),),
            kind="number",
            width=6,
            bounds=(2, 1),
        ),
        Chart(
            "Model versions",
            "How many different models serve. More than one is right only while a new one is being rolled out.",
            units.Short,
            (Query("count(count by (version) (ticket_router_model_info{PODS}))", "versions"),),
            kind="number",
            width=6,
            bounds=(2, 3),
        ),
        Chart(
            "Burn of the availability budget",
            "How many times faster than allowed failures use up the month's 0.1 %. 14.4 for an hour and 6 for six "
            "hours wake someone; 1 for three days is a ticket.",
            TIMES,
            tuple(
                Query("max(job:ticket_router_failures:ratio_rate" + window + "{JOB}) / 0.001", window)
                for window in ("1h", "6h", "3d")
            ),
            bounds=(6, 14.4),
        ),
        Chart(
            "Burn of the latency budget",
            "The same for tickets over 500 ms, of which 1 % is allowed.",
            TIMES,
            tuple(
                Query("max(job:ticket_router_slow:ratio_rate" + window + "{JOB}) / 0.01", window)
                for window in ("1h", "6h", "3d")
            ),
            bounds=(6, 14.4),
        ),
        Chart(
            "Time to answer one ticket",
            "From the end of the request to the end of its answer. Clients' own faults (4xx) are left out.",
            units.Seconds,
            tuple(
                Query(quantile(share, "ticket_router_http_request_duration_seconds", _SINGLE), name)
                for share, name in ((0.5, "half are faster"), (0.95, "95 % are faster"), (0.99, "99 % are faster"))
            ),
            bounds=(0.3, 0.5),
        ),
    ),
)

TRAFFIC = Row(
    "Traffic and refusals",
    (
        Chart(
            "Requests by route",
            "`unmatched` is what asks for paths that are not there, and what was turned away before it was read.",
            units.RequestsPerSecond,
            (Query(rate("ticket_router_http_requests_total", "PODS", "route"), "{{route}}"),),
            stacked=True,
        ),
        Chart(
            "Requests by status",
            "499 is a client that hung up, 429 a full queue.",
            units.RequestsPerSecond,
            (Query(rate("ticket_router_http_requests_total", "PODS", "code") + " > 0", "{{code}}"),),
            stacked=True,
        ),
        Chart(
            "Tickets not answered, by reason",
            "The ones inside batches too, each under the reason its sender was given.",
            units.CountsPerSecond,
            (Query(rate("ticket_router_rejected_total", "PODS", "reason") + " > 0", "{{reason}}"),),
            stacked=True,
        ),
    ),
)

DECISIONS = Row(
    "Decisions",
    (
        Chart(
            "Outcomes",
            "Shares of all decisions. More reviews than usual: the mail has changed, or the model.",
            units.PercentUnit,
            (
                Query(
                    rate("ticket_router_decisions_total", "PODS", "outcome")
                    + " / on () group_left () "
                    + rate("ticket_router_decisions_total", "PODS"),
                    "{{outcome}}",
                ),
            ),
            stacked=True,
        ),
        Chart(
            "Left to people, by reason",
            "`automatic_mail`, `bounce`, `loop` and `empty` follow the mail; the others follow the model.",
            units.CountsPerSecond,
            (Query(rate("ticket_router_reviews_total", "PODS", "reason") + " > 0", "{{reason}}"),),
            stacked=True,
        ),
        Chart(
            "Routed or suggested, by department",
            "What the model predicts now. A department that vanishes is worth a look.",
            units.CountsPerSecond,
            (
                Query(
                    rate("ticket_router_decisions_total", 'outcome=~"route|suggest", PODS', "department"),
                    "{{department}}",
                ),
            ),
            stacked=True,
        ),
        Chart(
            "Median confidence by outcome",
            "Of the best candidate. Sinking before the reviews rise, it warns first.",
            units.PercentUnit,
            (Query(quantile(0.5, "ticket_router_confidence", "PODS", "outcome"), "{{outcome}}"),),
        ),
        Chart(
            "Answers by source",
            "`cache` and `shared` cost no model run: equal texts were seen before, or at the same time.",
            units.CountsPerSecond,
            (Query(rate("ticket_router_answers_total", "PODS", "source"), "{{source}}"),),
            stacked=True,
        ),
        Chart(
            "Cut, and without numbers",
            "Share of answers on tickets too long for the model, and on scores that were no numbers (must be 0).",
            units.PercentUnit,
            tuple(
                Query(
                    rate(f"ticket_router_{counter}_total", "PODS")
                    + " / "
                    + rate("ticket_router_answers_total", "PODS"),
                    name,
                )
                for counter, name in (("truncated_inputs", "cut"), ("invalid_scores", "no numbers"))
            ),
        ),
    ),
)
