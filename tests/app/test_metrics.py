"""`/metrics` and the rest of the management port."""

import json
import random
import re
import string
from pathlib import Path

import httpx
import pytest

from tests.support.process import Service, serving
from tests.support.tiny import LABELS

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
        for stage in ("parse", "prepare", "encode", "queue", "infer", "decide")
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
]


def test_every_series_is_there_at_zero_before_the_first_request(tiny_bundle_path: Path) -> None:
    """A rate needs the zero before the first event; the model and the process describe themselves."""
    with serving(tiny_bundle_path) as service:
        samples = service.samples()
        assert {name: samples.get(name) for name in ZEROES} == dict.fromkeys(ZEROES, 0.0)
        assert service.counts('model_info{provider="CPUExecutionProvider",text_version="1",variant="fp32"') == 1
        assert samples["process_resident_memory_bytes"] > 0


def test_random_requests_add_no_series(service: Service) -> None:
    """Paths, methods, ids and departments a client makes up leave the number of series as it was."""
    before = set(service.samples())
    shuffled = random.Random(3)
    with service.client() as client:
        for number in range(400):
            path = "/" + "".join(shuffled.choices(string.ascii_letters + "/%.", k=12)).replace("%", "%41")
            method = shuffled.choice(["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "TRACE", "PROPFIND"])
            known = shuffled.choice([path, "/v1/route", "/v1/route/batch", "/v1/model", "/v1/" + path])
            client.request(method, known, headers={"X-Request-ID": f"r{number}", "Content-Type": path[1:]})
    assert set(service.samples()) == before


def test_a_decision_is_counted_once_everywhere(service: Service) -> None:
    """One ticket moves requests, decisions, tokens and each stage by one."""
    names = [
        r'http_requests_total{code="200",method="POST",route="/v1/route"}',
        "decisions_total",
        "input_tokens_count",
        *(
            f'stage_duration_seconds_count{{stage="{stage}"}}'
            for stage in ("parse", "prepare", "encode", "queue", "infer", "decide")
        ),
        "batch_size_count",
        r"confidence_count",
    ]
    before = [service.counts(name) for name in names]
    with service.client() as client:
        client.post("/v1/route", json={"body": "a text nobody sent before"})
    assert [service.counts(name) - had for name, had in zip(names, before, strict=True)] == [1] * len(names)


def test_refusals_are_counted_by_their_reason(service: Service) -> None:
    """A batch's bad tickets count one by one, as a bad request does."""
    before = service.counts('rejected_total{reason="invalid_request"}')
    with service.client() as client:
        client.post("/v1/route/batch", json={"tickets": [{"x": 1}, {"body": "a"}, {"y": 1}]})
        client.post("/v1/route", json={"x": 1})
    assert service.counts('rejected_total{reason="invalid_request"}') - before == 3


@pytest.mark.parametrize(
    "path", ["/livez", "/readyz", "/startupz", "/metrics", "/docs", "/openapi.json", "/admin/status"]
)
def test_the_management_port_answers_what_the_public_one_does_not(service: Service, path: str) -> None:
    """Probes, metrics and documents are apart from the API, in both directions."""
    assert service.management(path).status_code == 200
    assert httpx.get(service.url + path).status_code == 404
    assert httpx.post(service.management_url + "/v1/route", json={"body": "x"}).status_code == 404


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/startupz", "/metrics"])
def test_probes_may_ask_with_head(service: Service, path: str) -> None:
    """Load balancers do: the status of a GET, without its body."""
    answer = httpx.head(service.management_url + path)
    assert (answer.status_code, answer.content) == (200, b"")


def test_status_says_what_is_served(service: Service, tiny_bundle_path: Path) -> None:
    """The version, the provider really taken, the queue, and how exactly the golden rows came out."""
    status = service.management("/admin/status").json()
    serving_now = status["serving"]
    assert status["phase"] == "ready"
    assert serving_now["model"]["version"] == tiny_bundle_path.name
    assert serving_now["provider"] == "CPUExecutionProvider"
    assert serving_now["golden_rows"] == json.loads((tiny_bundle_path / "manifest.json").read_text())["golden_rows"]
    assert 0 <= serving_now["golden_largest_difference"] < 1e-3
    assert serving_now["queue_tokens"] == 0


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
