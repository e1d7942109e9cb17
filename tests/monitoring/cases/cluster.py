"""Series of kube-state-metrics: the retraining's jobs and the autoscaler."""

from collections.abc import Mapping

from tests.monitoring.cases.case import Case

_STATE = 'namespace="n", job="kube-state-metrics"'


def _replicas(current: str, name: str = "ticket-router") -> Mapping[str, str]:
    labels = f'{_STATE}, horizontalpodautoscaler="{name}"'
    return {
        f"kube_horizontalpodautoscaler_status_current_replicas{{{labels}}}": current,
        f"kube_horizontalpodautoscaler_spec_max_replicas{{{labels}}}": "12x60",
    }


def _failed(job_name: str, values: str, cronjob: str = "ticket-router-retraining") -> Mapping[str, str]:
    job = f'{_STATE}, job_name="{job_name}"'
    return {
        f'kube_job_failed{{{job}, condition="true"}}': values,
        f'kube_job_owner{{{job}, owner_kind="CronJob", owner_name="{cronjob}"}}': "1x60",
    }


def _deployment(wanted: str, available: str) -> Mapping[str, str]:
    deployment = f'{_STATE}, deployment="ticket-router"'
    return {
        f"kube_deployment_spec_replicas{{{deployment}}}": wanted,
        f"kube_deployment_status_replicas_available{{{deployment}}}": available,
    }


def _due(values: str, cronjob: str = "ticket-router-retraining") -> Mapping[str, str]:
    return {f'kube_cronjob_next_schedule_time{{{_STATE}, cronjob="{cronjob}"}}': values}


CLUSTER = (
    Case(
        "TicketRouterRetrainingFailed",
        "failed after all retries, then deleted",
        _failed("ticket-router-retraining-29392020", "_x5 1x30 _x9"),
        fires=(12, 35),
        quiet=(5, 8, 42),
    ),
    Case(
        "TicketRouterRetrainingFailed",
        "started manually and failed, then deleted",
        _failed("retraining-now", "_x5 1x30 _x9"),
        fires=(12, 35),
        quiet=(5, 8, 42),
    ),
    Case(
        "TicketRouterRetrainingFailed",
        "a job of another CronJob",
        _failed("backup-29392020", "1x30", "backup"),
        quiet=(15, 30),
    ),
    Case(
        "TicketRouterRetrainingOverdue",
        "more than an hour late, then started",
        _due("1800x110 604800x20"),
        fires=(108, 110),
        quiet=(29, 89, 103, 115),
    ),
    Case("TicketRouterRetrainingOverdue", "another's", _due("1800x130", "backup"), quiet=(110, 130)),
    Case(
        "TicketRouterPodsMissing",
        "one of three pods missing, then back",
        _deployment("3x60", "3x10 2x30 3x20"),
        fires=(28, 40),
        quiet=(10, 25, 43),
    ),
    Case("TicketRouterPodsMissing", "the autoscaler removes a pod", _deployment("3x10 2x50", "3x12 2x48"), quiet=(40,)),
    Case("TicketRouterPodsMissing", "a rollout has one more pod", _deployment("3x60", "3x10 4x50"), quiet=(40,)),
    Case(
        "TicketRouterRetrainingFailed",
        "an attempt failed and the next one runs",
        {f'kube_job_status_failed{{{_STATE}, job_name="ticket-router-retraining-29392020"}}': "1x30"},
        quiet=(15, 30),
    ),
    Case(
        "TicketRouterAtMaxReplicas", "all twelve, then fewer", _replicas("12x30 11x20"), fires=(16, 30), quiet=(10, 32)
    ),
    Case("TicketRouterAtMaxReplicas", "all twelve for a moment", _replicas("11x5 12x10 11x20"), quiet=(10, 15, 25)),
    Case("TicketRouterAtMaxReplicas", "an autoscaler of another workload", _replicas("12x30", "shop"), quiet=(16, 30)),
)
