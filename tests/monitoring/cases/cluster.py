"""What kube-state-metrics tells: the retraining's jobs and the autoscaler."""

from collections.abc import Mapping

from tests.monitoring.cases.case import Case

_STATE = 'namespace="n", job="kube-state-metrics"'


def _replicas(current: str, name: str = "ticket-router") -> Mapping[str, str]:
    labels = f'{_STATE}, horizontalpodautoscaler="{name}"'
    return {
        f"kube_horizontalpodautoscaler_status_current_replicas{{{labels}}}": current,
        f"kube_horizontalpodautoscaler_spec_max_replicas{{{labels}}}": "12x60",
    }


def _failed(job_name: str, values: str) -> Mapping[str, str]:
    return {f'kube_job_failed{{{_STATE}, job_name="{job_name}", condition="true"}}': values}


CLUSTER = (
    Case(
        "TicketRouterRetrainingFailed",
        "given up, and deleted",
        _failed("ticket-router-retraining-29392020", "_x5 1x30 _x9"),
        fires=(15, 35),
        quiet=(5, 8, 42),
    ),
    Case("TicketRouterRetrainingFailed", "another's job", _failed("backup-29392020", "1x30"), quiet=(15, 30)),
    Case(
        "TicketRouterRetrainingFailed",
        "an attempt failed, and the next goes on",
        {f'kube_job_status_failed{{{_STATE}, job_name="ticket-router-retraining-29392020"}}': "1x30"},
        quiet=(15, 30),
    ),
    Case(
        "TicketRouterAtMaxReplicas", "all twelve, then fewer", _replicas("12x30 11x20"), fires=(16, 30), quiet=(10, 32)
    ),
    Case("TicketRouterAtMaxReplicas", "all twelve for a moment", _replicas("11x5 12x10 11x20"), quiet=(10, 15, 25)),
    Case("TicketRouterAtMaxReplicas", "another's autoscaler", _replicas("12x30", "shop"), quiet=(16, 30)),
)
