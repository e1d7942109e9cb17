"""Series that this machine cannot produce: kube-state-metrics, as recorded in a cluster, and a pod with a GPU and a
CPU limit."""

import contextlib
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

from tests.support.local_server import answering

RECORDED = b"""\
# TYPE kube_deployment_spec_replicas gauge
kube_deployment_spec_replicas{namespace="test",deployment="ticket-router"} 2
# TYPE kube_deployment_status_replicas_available gauge
kube_deployment_status_replicas_available{namespace="test",deployment="ticket-router"} 2
# TYPE kube_horizontalpodautoscaler_status_current_replicas gauge
kube_horizontalpodautoscaler_status_current_replicas{namespace="test",horizontalpodautoscaler="ticket-router"} 2
# TYPE kube_horizontalpodautoscaler_spec_max_replicas gauge
kube_horizontalpodautoscaler_spec_max_replicas{namespace="test",horizontalpodautoscaler="ticket-router"} 12
# TYPE kube_cronjob_next_schedule_time gauge
kube_cronjob_next_schedule_time{namespace="test",cronjob="ticket-router-retraining"} 4.1e+09
# TYPE kube_job_owner gauge
kube_job_owner{namespace="test",job_name="ticket-router-retraining-29392020",owner_kind="CronJob",\
owner_name="ticket-router-retraining",owner_is_controller="true"} 1
# TYPE kube_job_failed gauge
kube_job_failed{namespace="test",job_name="ticket-router-retraining-29392020",condition="true"} 0
kube_job_failed{namespace="test",job_name="ticket-router-retraining-29392020",condition="false"} 1
"""
POD = """\
# TYPE ticket_router_gpu_memory_used_bytes gauge
ticket_router_gpu_memory_used_bytes{{{labels},gpu="0"}} 3e+09
# TYPE ticket_router_gpu_memory_total_bytes gauge
ticket_router_gpu_memory_total_bytes{{{labels},gpu="0"}} 8e+10
# TYPE ticket_router_gpu_utilization_ratio gauge
ticket_router_gpu_utilization_ratio{{{labels},gpu="0"}} 0.4
# TYPE ticket_router_cpu_periods_total counter
ticket_router_cpu_periods_total{{{labels}}} {periods}
# TYPE ticket_router_cpu_throttled_periods_total counter
ticket_router_cpu_throttled_periods_total{{{labels}}} {throttled}
"""
LABELS = 'namespace="test",job="ticket-router",instance="made-up"'


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/plain; version=0.0.4")
        self.end_headers()
        with contextlib.suppress(BrokenPipeError):  # a scrape that took too long
            periods = int(10 * time.monotonic())
            made_up = POD.format(labels=LABELS, periods=periods, throttled=periods // 10)
            self.wfile.write(RECORDED + made_up.encode())

    def log_message(self, *_arguments: object) -> None:
        """Keeps the test output free of request lines."""


@contextlib.contextmanager
def kube_state_metrics() -> Iterator[str]:
    """Served on loopback until the end of the block; yields `host:port`."""
    with answering(HTTPServer(("127.0.0.1", 0), _Handler)) as port:
        yield f"127.0.0.1:{port}"
