"""`/metrics` and the rest of the management port."""

import json
import re
import signal
import socket
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.build import build
from models.scoring import Reason
from tests.support import spoiled
from tests.support.process import Service, post_head, run_cli, serving
from tests.support.tiny import LABELS
from tests.support.waiting import wait_until

REASONS = sorted(set(Reason) - {Reason.CONFIDENT, Reason.CORRECTED})
ZEROES = [
    'ticket_router_http_requests_total{code="200",method="POST",route="/v1/route"}',
    'ticket_router_http_requests_total{code="429",method="POST",route="/v1/route"}',
    'ticket_router_http_requests_total{code="504",method="POST",route="/v1/route/batch"}',
    'ticket_router_http_requests_total{code="404",method="other",route="unmatched"}',
    'ticket_router_http_requests_total{code="400",method="other",route="unmatched"}',
    'ticket_router_http_requests_total{code="408",method="POST",route="/v1/route"}',
    'ticket_router_http_request_duration_seconds_count{route="/v1/route"}',
    *(
        f'ticket_router_stage_duration_seconds_count{{stage="{stage}"}}'
        for stage in ("parse", "prepare", "encode", "queue", "infer")
    ),
    'ticket_router_confidence_count{outcome="suggest"}',
    'ticket_router_rejected_total{reason="overloaded"}',
    'ticket_router_decisions_total{department="none",outcome="review"}',
    *(f'ticket_router_decisions_total{{department="{name}",outcome="route"}}' for name in LABELS.department.labels),
    "ticket_router_queue_depth",
    "ticket_router_queue_tokens",
    "ticket_router_batch_size_count",
    "ticket_router_batch_padding_ratio_count",
    "ticket_router_input_tokens_count",
    "ticket_router_truncated_inputs_total",
    "ticket_router_connections_evicted_total",
    "ticket_router_connections_open",
    "ticket_router_http_requests_in_flight",
    *(f'ticket_router_review_candidates_total{{department="{name}"}}' for name in LABELS.department.labels),
    *(f'ticket_router_log_lines_lost_total{{kind="{kind}"}}' for kind in ("audit", "other")),
    *(f'ticket_router_reviews_total{{reason="{reason}"}}' for reason in REASONS),
    *(f'ticket_router_model_reloads_total{{outcome="{outcome}"}}' for outcome in ("done", "refused", "repaired")),
]
ONES = [
    "ticket_router_ready",
    "ticket_router_model_last_reload_successful",
    "ticket_router_model_load_duration_seconds_count",
]


def test_every_series_exists_at_zero_before_the_first_request(tiny_bundle_path: Path) -> None:
    """A rate needs the zero before the first event; model and process have info metrics."""
    with serving(tiny_bundle_path) as service:
        samples = service.samples()
        assert {name: samples.get(name) for name in ZEROES} == dict.fromkeys(ZEROES, 0.0)
        assert {name: samples.get(name) for name in ONES} == dict.fromkeys(ONES, 1.0)
        assert service.counts('model_info{provider="CPUExecutionProvider",text_version="2",variant="fp32"') == 1
        assert samples["process_resident_memory_bytes"] > 0


def test_a_decision_is_counted_once_in_every_metric(service: Service) -> None:
    """One ticket increases requests, decisions, tokens and each stage by one."""
    names = [
        r'http_requests_total{code="200",method="POST",route="/v1/route"}',
        "router_decisions_total",
        "input_tokens_count",
        *(
            f'stage_duration_seconds_count{{stage="{stage}"}}'
            for stage in ("parse", "prepare", "encode", "queue", "infer")
        ),
        "batch_size_count",
        r"confidence_count",
    ]
    before = [service.counts(name) for name in names]
    with service.client() as client:
        client.post("/v1/route", json={"body": "a text that was not sent before"})
    assert [service.counts(name) - had for name, had in zip(names, before, strict=True)] == [1] * len(names)


def test_version_and_commit_are_the_same_everywhere(service: Service) -> None:
    """In the first log line, the metrics, the status and on the terminal."""
    code = build()
    first = service.events[0]
    assert (first["event"], first["version"], first["revision"]) == ("starting", *code)
    assert service.counts(f'build_info{{revision="{code.revision}",version="{code.version}"}}') == 1
    assert service.management("/admin/status").json()["build"] == code._asdict()
    assert run_cli("--version").stdout == f"{code.version} {code.revision}\n"


def test_open_connections_and_requests_in_flight_are_gauges(service: Service) -> None:
    """Of the public port: an open connection, and a request with an unfinished body."""
    before = service.counts("connections_open")
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(post_head("/v1/route", 100) + b"{")
        wait_until(lambda: service.counts("http_requests_in_flight") == 1)
        assert service.counts("connections_open") == before + 1
    wait_until(lambda: (service.counts("http_requests_in_flight"), service.counts("connections_open")) == (0, before))


def test_event_loop_lag_is_measured(service: Service) -> None:
    """Ten times a second."""
    before = service.counts("event_loop_lag_seconds_count")
    wait_until(lambda: service.counts("event_loop_lag_seconds_count") > before)


def test_reviews_are_counted_by_their_most_likely_department(service: Service) -> None:
    """The bundle's expected route ratios are gauges, by field."""
    before = service.counts("review_candidates_total"), service.counts('reviews_total{reason="')
    with service.client() as client:
        answers = [client.post("/v1/route", json={"body": f"ticket {each} says {each}"}).json() for each in range(20)]
    left = [answer for answer in answers if answer["outcome"] == "review"]
    assert service.counts("review_candidates_total") - before[0] == len(left)
    assert 0 <= service.counts('expected_route_ratio{field="department"}') <= 1


def test_upload_time_is_not_counted_as_response_time(service: Service) -> None:
    """A request is timed from the end of its body: a slow client does not make the service look slow."""
    body, pause = json.dumps({"body": "half of it, and later the rest"}).encode(), 2.0
    before = _timed(service)
    with socket.create_connection(("127.0.0.1", service.port)) as client:
        client.sendall(post_head("/v1/route", len(body)) + body[:10])
        time.sleep(pause)
        client.sendall(body[10:])
        assert b" 200 " in client.recv(4096)
    wait_until(lambda: _timed(service)[0] == before[0] + 1)
    assert _timed(service)[1] - before[1] < pause


def test_client_errors_are_counted_and_not_timed(service: Service) -> None:
    """Their times do not show how fast tickets are decided."""
    before = _timed(service)
    with service.client() as client:
        assert client.post("/v1/route", json={"x": 1}).status_code == 422
    with socket.create_connection(("127.0.0.1", service.port)) as unfinished:
        unfinished.sendall(post_head("/v1/route", 100, "X-Request-Timeout: 0.1"))
        assert b" 408 " in unfinished.recv(4096)
    wait_until(lambda: service.counts(r'requests_total\{code="408",.*route="/v1/route"\}') > 0)
    assert _timed(service) == before


def _timed(service: Service) -> list[float]:
    """The number of timed requests and their total seconds."""
    return [service.counts(rf'request_duration_seconds_{part}\{{route="/v1/route"') for part in ("count", "sum")]


def test_refusals_are_counted_by_their_reason(service: Service) -> None:
    """Each invalid ticket of a batch counts like an invalid request."""
    before = service.counts('rejected_total{reason="invalid_request"}')
    with service.client() as client:
        client.post("/v1/route/batch", json={"tickets": [{"x": 1}, {"body": "a"}, {"y": 1}]})
        client.post("/v1/route", json={"x": 1})
    assert service.counts('rejected_total{reason="invalid_request"}') - before == 3


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/startupz", "/metrics", "/docs", "/openapi.json", "/admin/status"]
)
def test_management_paths_do_not_exist_on_the_public_port(service: Service, path: str) -> None:
    """Probes, metrics and documents are only on the management port, the API only on the public one."""
    assert service.management(path).status_code == 200
    assert httpx.get(service.url + path).status_code == 404
    assert httpx.post(service.management_url + "/v1/route", json={"body": "x"}).status_code == 404


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/metrics"])
def test_probes_accept_head(service: Service, path: str) -> None:
    """As load balancers send it: the status of a GET, without its body."""
    answer = httpx.head(service.management_url + path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_status_describes_the_served_model(service: Service, tiny_bundle_path: Path) -> None:
    """The version, the provider in use, the queue, and the largest difference of the golden rows."""
    status = service.management("/admin/status").json()
    serving_now = status["serving"]
    assert status["phase"] == "ready"
    assert serving_now["model"]["version"] == tiny_bundle_path.name
    assert serving_now["provider"] == "CPUExecutionProvider"
    assert serving_now["golden_rows"] == json.loads((tiny_bundle_path / "manifest.json").read_text())["golden_rows"]
    assert 0 <= serving_now["golden_largest_difference"] < 1e-3
    assert serving_now["queue_tokens"] == 0


def test_reviews_are_counted_by_their_reason(service: Service) -> None:
    """An SRE sees whether the mail or the model causes them."""
    before = service.counts('reviews_total{reason="empty"}')
    with service.client() as client:
        client.post("/v1/route", json={"body": " "})
    assert service.counts('reviews_total{reason="empty"}') - before == 1
    assert service.counts("reviews_total") == service.counts('decisions_total{department="none",outcome="review"}')


def test_metrics_show_memory_and_runners(service: Service) -> None:
    samples = service.samples()
    plan = service.management("/admin/status").json()["serving"]["plan"]
    assert samples["ticket_router_runners"] == plan["runners"]
    assert 0 < samples["process_resident_memory_bytes"] < samples["ticket_router_memory_limit_bytes"]


def test_metrics_show_the_age_of_the_model(service: Service, tiny_bundle_path: Path) -> None:
    """As the manifest has it, under its version."""
    made = datetime.fromisoformat(json.loads((tiny_bundle_path / "manifest.json").read_text())["created_at"])
    name = f'ticket_router_model_created_timestamp_seconds{{version="{tiny_bundle_path.name}"}}'
    assert service.samples()[name] == made.timestamp()


def test_metrics_show_the_last_reload(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Its outcome, time and cause, for every kind of reload; a successful reload replaces a failed one."""
    current = tmp_path / "current"
    current.symlink_to(tiny_bundle_path)
    with serving(current) as service:
        assert service.management("/admin/status").json()["last_reload"] is None
        started = service.counts("model_last_reload_success_timestamp_seconds")
        missing = _reloaded_from(service, current, tmp_path / "nowhere")
        assert (missing["succeeded"], missing["cause"]) == (False, f"{current}: no bundle there; promote one first")
        foreign = _reloaded_from(service, current, spoiled.foreign(tiny_bundle_path, tmp_path / "store"))
        assert not foreign["succeeded"]
        assert "version 999" in foreign["cause"]
        assert service.counts("model_last_reload_successful") == 0
        assert service.counts("model_last_reload_success_timestamp_seconds") == started
        good = _reloaded_from(service, current, tiny_bundle_path)
        assert (good["succeeded"], good["cause"]) == (True, None)
        assert service.counts("model_last_reload_successful") == 1
        served = service.counts("model_last_reload_success_timestamp_seconds")
        assert served == started  # the bundle that serves was not loaded again


def _reloaded_from(service: Service, current: Path, bundle: Path) -> dict[str, Any]:
    """Point there, send the signal, and say how it ended."""
    before = service.management("/admin/status").json()["last_reload"]
    current.unlink()
    current.symlink_to(bundle)
    service.process.send_signal(signal.SIGHUP)
    wait_until(lambda: service.management("/admin/status").json()["last_reload"] != before)
    last: dict[str, Any] = service.management("/admin/status").json()["last_reload"]
    return last


def test_no_ticket_content_reaches_the_log(service: Service) -> None:
    """One line per request with its id, route and code; text, addresses, paths and header values stay out."""
    secret = "canary-log-51"
    with service.client() as client:
        client.post("/v1/route", json={"id": secret, "body": secret, "from": f"{secret}@x.y"})
        client.post("/v1/route", json={secret: secret})
        client.get(f"/{secret}", headers={"Authorization": secret, "X-Request-ID": "seen-in-the-log"})
    service.management("/livez")
    assert any(event.get("request_id") == "seen-in-the-log" for event in service.events)
    assert secret not in json.dumps(service.events)


def test_the_documentation_page_needs_nothing_from_elsewhere(service: Service) -> None:
    """Every file that /docs asks for comes from the service itself."""
    page = service.management("/docs").text
    wanted = re.findall(r'(?:src|href)="([^"]+)"', page)
    assert wanted
    assert '"supportedSubmitMethods": []' in page
    assert all(service.management(path).status_code == 200 for path in wanted)


@pytest.mark.parametrize("wanted", ["nonsense", "bytes=", "bytes=9-1", "bytes=0-1", "bytes=99999999-"])
def test_assets_ignore_range_headers(service: Service, wanted: str) -> None:
    """Starlette would answer a malformed one in plain text instead of a problem."""
    answer = httpx.get(service.management_url + "/docs/assets/favicon.png", headers={"Range": wanted}, timeout=30)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "image/png")
