"""What the people who run it look at next: where time goes, queue, model, process. Metrics: docs/metrics.md."""

from grafana_foundation_sdk.models import units

from k8s.dashboard.charts import Chart, Query, Row
from k8s.dashboard.promql import mean, quantile, rate

STAGES = Row(
    "Where the time goes",
    (
        Chart(
            "Mean time by stage",
            "`queue` is waiting for a free runner; `infer` is one run of a whole batch.",
            units.Seconds,
            (Query(mean("ticket_router_stage_duration_seconds", "PODS", "stage"), "{{stage}}"),),
        ),
        Chart(
            "99 % of tickets pass a stage within",
            "Where the slow ones lose their time.",
            units.Seconds,
            (Query(quantile(0.99, "ticket_router_stage_duration_seconds", "PODS", "stage"), "{{stage}}"),),
        ),
        Chart(
            "Share of the time that the model runs",
            "Of what its runners could. Near 100 %, more traffic only waits longer: add pods.",
            units.PercentUnit,
            (
                Query(
                    rate("ticket_router_stage_duration_seconds_sum", 'stage="infer", PODS', "instance")
                    + " / sum by (instance) (ticket_router_runners{PODS})",
                    "{{instance}}",
                ),
            ),
            bounds=(0.7, 0.9),
        ),
    ),
)

QUEUE = Row(
    "Batching and queue",
    (
        Chart(
            "Queue, share of its limit",
            "At 100 % new tickets are refused with 429.",
            units.PercentUnit,
            (Query("ticket_router_queue_tokens{PODS} / ticket_router_queue_tokens_limit{PODS}", "{{instance}}"),),
            bounds=(0.5, 0.9),
            width=12,
        ),
        Chart(
            "Tickets waiting",
            "At the moment of each scrape.",
            units.Short,
            (Query("ticket_router_queue_depth{PODS}", "{{instance}}"),),
            width=12,
        ),
        Chart(
            "Tickets run together",
            "1 at little traffic: nothing waits for a batch to fill.",
            units.Short,
            (
                Query(mean("ticket_router_batch_size", "PODS"), "mean"),
                Query(quantile(0.95, "ticket_router_batch_size", "PODS"), "95 % are smaller"),
            ),
            width=6,
        ),
        Chart(
            "Padding",
            "Share of a batch's tokens that is filling: work done for nothing.",
            units.PercentUnit,
            (Query(mean("ticket_router_batch_padding_ratio", "PODS"), "mean"),),
            width=6,
        ),
        Chart(
            "Tokens per ticket",
            "As the model sees it, cut to its longest.",
            units.Short,
            (
                Query(quantile(0.5, "ticket_router_input_tokens", "PODS"), "half are shorter"),
                Query(quantile(0.95, "ticket_router_input_tokens", "PODS"), "95 % are shorter"),
            ),
            width=6,
        ),
        Chart(
            "Answers remembered",
            "In the cache that saves equal texts a run.",
            units.Short,
            (Query("ticket_router_cache_entries{PODS}", "{{instance}}"),),
            width=6,
        ),
    ),
)

MODEL = Row(
    "Model",
    (
        Chart(
            "What serves where",
            "Version, variant and provider of each pod.",
            units.NoUnit,
            (Query("ticket_router_model_info{PODS}", ""),),
            kind="table",
            width=12,
        ),
        Chart(
            "How it runs",
            "Variant, runners, threads and batch size of each pod.",
            units.NoUnit,
            (Query("ticket_router_plan_info{PODS}", ""),),
            kind="table",
            width=12,
        ),
        Chart(
            "Age of the model",
            "Since it was trained, the oldest that serves.",
            units.Seconds,
            (Query("max(time() - ticket_router_model_created_timestamp_seconds{PODS})", "age"),),
            kind="number",
            width=6,
        ),
        Chart(
            "Last reload succeeded",
            "0: a bundle was refused and the one before goes on. `/admin/status` says why.",
            units.BoolYesNo,
            (Query("min(ticket_router_model_last_reload_successful{PODS})", "succeeded"),),
            kind="number",
            width=6,
            bounds=(1, 0.5),
        ),
        Chart(
            "Since the last model took over",
            "A start or a reload, the most recent of all pods.",
            units.Seconds,
            (Query("min(time() - ticket_router_model_last_reload_success_timestamp_seconds{PODS})", "ago"),),
            kind="number",
            width=6,
        ),
        Chart(
            "Time to load a model",
            "Mean of all loads since the pods started: verify, load, replay the golden rows.",
            units.Seconds,
            (
                Query(
                    "sum(ticket_router_model_load_duration_seconds_sum{PODS}) "
                    "/ sum(ticket_router_model_load_duration_seconds_count{PODS})",
                    "mean",
                ),
            ),
            kind="number",
            width=6,
        ),
        Chart(
            "Ready",
            "1: takes tickets.",
            units.Short,
            (Query("ticket_router_ready{PODS}", "{{instance}}"),),
        ),
        Chart(
            "Reloads",
            "`repaired`: a run had failed, and the model was loaded anew.",
            units.Short,
            (
                Query(
                    "sum by (outcome) (increase(ticket_router_model_reloads_total{PODS}[$__rate_interval]))",
                    "{{outcome}}",
                ),
            ),
        ),
        Chart(
            "Worker processes",
            "Only where a pod runs several (`--workers`); `gone` ones are being replaced.",
            units.Short,
            (
                Query("sum by (state) (ticket_router_workers{PODS})", "{{state}}"),
                Query("sum(increase(ticket_router_worker_restarts_total{PODS}[$__rate_interval]))", "replaced"),
            ),
        ),
    ),
)

PROCESS = Row(
    "Process",
    (
        Chart(
            "CPU",
            "Cores in use, workers included.",
            "suffix: cores",
            (Query("rate(process_cpu_seconds_total{PODS}[$__rate_interval])", "{{instance}}"),),
            width=6,
        ),
        Chart(
            "Memory, share of the limit",
            "Of the whole pod. A reload holds two models for a moment. At 100 % the kernel ends the process.",
            units.PercentUnit,
            (
                Query(
                    "(ticket_router_memory_used_bytes{PODS} or on (namespace, job, instance) "
                    "process_resident_memory_bytes{PODS}) "
                    "/ on (namespace, job, instance) ticket_router_memory_limit_bytes{PODS}",
                    "{{instance}}",
                ),
            ),
            width=6,
            bounds=(0.8, 0.9),
        ),
        Chart(
            "Memory",
            "Resident, workers included; what they share is counted for each.",
            units.BytesIEC,
            (Query("process_resident_memory_bytes{PODS}", "{{instance}}"),),
            width=6,
        ),
        Chart(
            "Open files, share of the limit",
            "Every connection is one.",
            units.PercentUnit,
            (Query("process_open_fds{PODS} / process_max_fds{PODS}", "{{instance}}"),),
            width=6,
        ),
        Chart(
            "Time since start",
            "A curve that keeps falling to zero is a pod that keeps dying.",
            units.Seconds,
            (Query("time() - process_start_time_seconds{PODS}", "{{instance}}"),),
            width=24,
        ),
    ),
)
