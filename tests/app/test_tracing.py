"""Spans of a real service, as a real collector receives them."""

import itertools
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from service.tracing.spans import MAX_TICKET_SPANS
from tests.app.test_logs import pipelined
from tests.app.test_overload import LONG, ask_all, ask_in_one_piece
from tests.support import spoiled
from tests.support.collector import Collector, Seen, collecting
from tests.support.process import Service, serving
from tests.support.waiting import wait_until

COMPUTED = ["parse", "prepare", "encode", "queue", "infer"]
SLOWED = ("--runners", "1", "--max-batch-tokens", "64")
"""One long ticket runs at a time, so that the others of a batch wait."""
_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    """A collector that accepts everything. Shared: tests find their traces by id."""
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(tiny_bundle_path: Path, collector: Collector) -> Iterator[Service]:
    """A service that sends its spans to the collector. Shared."""
    with serving(tiny_bundle_path, *SLOWED, env=collector.env()) as running:
        yield running


def parent(flags: str = "01") -> dict[str, str]:
    """The header of a caller with its own trace."""
    return {"traceparent": f"00-{next(_numbers):032x}-00000000000000aa-{flags}"}


def trace_id(headers: dict[str, str]) -> str:
    return headers["traceparent"].split("-")[1]


def traced_post(
    service: Service, collector: Collector, path: str, content: object
) -> tuple[httpx.Response, list[Seen]]:
    """The response, and all spans of its trace."""
    headers = parent()
    answer = httpx.post(service.url + path, json=content, headers=headers, timeout=30)
    return answer, collector.trace(trace_id(headers))


def root_of(spans: list[Seen]) -> Seen:
    return next(span for span in spans if span.kind == "SERVER")


def within(spans: list[Seen], outer: Seen) -> list[Seen]:
    """The direct children of a span, in the order of their starts."""
    return sorted((span for span in spans if span.parent_id == outer.span_id), key=lambda span: span.started)


def names(spans: list[Seen]) -> list[str]:
    return [span.name for span in spans]


def test_a_ticket_is_one_span_with_a_span_for_each_stage(traced: Service, collector: Collector) -> None:
    """In order and within the request, with the attributes of the decision and of its batch."""
    answer, spans = traced_post(traced, collector, "/v1/route", {"body": "a text of its own"})
    root, decision = root_of(spans), answer.json()
    stages = within(spans, root)
    assert names(stages) == COMPUTED
    moments = [root.started, *(moment for stage in stages for moment in (stage.started, stage.ended)), root.ended]
    assert moments == sorted(moments)
    assert (root.name, root.failed, len(spans)) == ("POST /v1/route", False, 6)
    tokens = root.attributes["ticket_router.tokens"]
    assert root.attributes == {
        "http.request.method": "POST",
        "http.route": "/v1/route",
        "http.response.status_code": 200,
        "ticket_router.decision.id": decision["decision_id"],
        "ticket_router.outcome": decision["outcome"],
        "ticket_router.reason": decision["reason"],
        "ticket_router.department": decision["department"] or "none",
        "ticket_router.model.version": decision["model"]["version"],
        "ticket_router.model.variant": decision["model"]["variant"],
        "ticket_router.answer.source": "model",
        "ticket_router.tokens": tokens,
        "ticket_router.truncated": False,
    }
    run = stages[names(stages).index("infer")].attributes
    assert run["ticket_router.batch.rows"] == 1
    assert run["ticket_router.batch.tokens"] >= tokens


def test_a_recorded_request_is_an_exemplar(traced: Service, collector: Collector) -> None:
    """Of its bucket, if the scraper accepts OpenMetrics: only that format has exemplars."""
    _, spans = traced_post(traced, collector, "/v1/route", {"body": "a text for its exemplar"})
    url = traced.management_url + "/metrics"
    found = httpx.get(url, headers={"Accept": "application/openmetrics-text; version=1.0.0"})
    assert found.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    assert f'trace_id="{root_of(spans).trace_id}"' in found.text
    plain = httpx.get(url)
    assert plain.headers["content-type"].startswith("text/plain")
    assert "trace_id" not in plain.text


def test_cached_result_has_neither_queue_nor_infer_span(traced: Service, collector: Collector) -> None:
    traced_post(traced, collector, "/v1/route", {"body": "said twice"})
    _, spans = traced_post(traced, collector, "/v1/route", {"body": "said twice"})
    assert names(within(spans, root_of(spans))) == ["parse", "prepare"]
    assert root_of(spans).attributes["ticket_router.answer.source"] == "cache"


def test_shared_run_is_in_the_span_of_each_waiting_request(traced: Service, collector: Collector) -> None:
    """The second request of a text is not encoded; its infer span is that of the first, to the nanosecond."""
    tickets = [{"body": f"{number} {LONG['body']}"} for number in range(20)]
    _, spans = traced_post(traced, collector, "/v1/route/batch", {"tickets": [*tickets, tickets[-1]]})
    *_, first, second = [span for span in within(spans, root_of(spans)) if span.name == "decide ticket"]
    sources = [span.attributes["ticket_router.answer.source"] for span in (first, second)]
    assert sources == ["model", "shared"]
    assert names(within(spans, second)) == ["prepare", "queue", "infer"]
    runs = [next(span for span in within(spans, each) if span.name == "infer") for each in (first, second)]
    assert abs(runs[0].started - runs[1].started) <= 1
    assert abs(runs[0].ended - runs[1].ended) <= 1


def test_each_ticket_of_a_batch_has_a_span_up_to_a_limit(traced: Service, collector: Collector) -> None:
    """Invalid tickets have no span; tickets beyond the limit are only counted."""
    tickets = [{"x": 1}, *({"body": f"number {number}"} for number in range(MAX_TICKET_SPANS + 5))]
    answer, spans = traced_post(traced, collector, "/v1/route/batch", {"tickets": tickets})
    root = root_of(spans)
    parse, *own = within(spans, root)
    assert (root.name, root.attributes["ticket_router.tickets"]) == ("POST /v1/route/batch", len(tickets))
    assert (parse.name, names(own)) == ("parse", ["decide ticket"] * MAX_TICKET_SPANS)
    assert all(names(within(spans, each)) == COMPUTED[1:] for each in own)
    decided = [result["decision"]["decision_id"] for result in answer.json()["results"][1 : MAX_TICKET_SPANS + 1]]
    assert [each.attributes["ticket_router.decision.id"] for each in own] == decided


def test_the_trace_of_the_caller_is_continued(traced: Service, collector: Collector) -> None:
    """Its trace id, its span as the parent, its tracestate; the log lines have the ids."""
    headers = parent() | {"tracestate": "vendor=value"}
    httpx.post(traced.url + "/v1/route", json={"body": "x"}, headers=headers)
    root = root_of(collector.trace(trace_id(headers)))
    assert (root.parent_id, root.trace_state) == ("00000000000000aa", "vendor=value")
    line = next(event for event in traced.events if event.get("trace_id") == root.trace_id)
    assert (line["event"], line["span_id"], line["trace_flags"]) == ("request", root.span_id, "01")
    assert line["decision_id"] == root.attributes["ticket_router.decision.id"]


@pytest.mark.parametrize(
    "headers",
    [
        [("traceparent", "canary-9")],
        [("traceparent", f"00-{'0' * 32}-00000000000000aa-01")],
        [("traceparent", f"ff-{'c' * 32}-00000000000000aa-01")],
        [("traceparent", f"00-{'c' * 32}-00000000000000aa-01-canary-9")],
        [("traceparent", "canary-9" * 500)],
        [("traceparent", f"00-{'c' * 32}-{'a' * 16}-01"), ("traceparent", f"00-{'c' * 32}-{'b' * 16}-01")],
        [("traceparent", f"00-{next(_numbers):032x}-{'a' * 16}-01"), ("tracestate", "canary-9;;=,==")],
    ],
    ids=["no parent", "zeros", "version", "longer", "huge", "two parents", "state"],
)
def test_a_malformed_trace_context_is_ignored(
    traced: Service, collector: Collector, headers: list[tuple[str, str]]
) -> None:
    """The request is answered and has a new trace; the malformed header appears nowhere, the log included."""
    given = f"of-{next(_numbers)}"
    answer = httpx.post(traced.url + "/v1/route", json={"body": "x"}, headers=[*headers, ("X-Request-ID", given)])
    assert answer.status_code == 200
    wait_until(lambda: any(event.get("request_id") == given for event in traced.events))
    line = next(event for event in traced.events if event.get("request_id") == given)
    root = root_of(collector.trace(line["trace_id"]))
    assert root.trace_id != "c" * 32
    assert root.trace_state == ""
    assert "canary-9" not in json.dumps(traced.events)


def test_a_trace_that_the_caller_does_not_record_is_not_recorded(traced: Service, collector: Collector) -> None:
    """Its log lines have the ids nevertheless, with the sampling flag."""
    unsampled = parent(flags="00")
    httpx.post(traced.url + "/v1/route", json={"body": "y"}, headers=unsampled)
    traced_post(traced, collector, "/v1/route", {"body": "z"})
    assert trace_id(unsampled) not in {span.trace_id for span in collector.spans}
    line = next(event for event in traced.events if event.get("trace_id") == trace_id(unsampled))
    assert line["trace_flags"] == "00"


def test_pipelined_requests_have_a_trace_each(traced: Service, collector: Collector) -> None:
    """The second request starts in the context of the first, and gets its own trace."""
    first, second = pipelined(traced)
    assert first["trace_id"] != second["trace_id"]
    assert names(collector.trace(second["trace_id"])) == ["GET"]


def test_unknown_paths_are_traced_without_path_and_probes_not_at_all(traced: Service, collector: Collector) -> None:
    """An unknown path or method has the name of all unknown ones."""
    for path in ("/livez", "/readyz", "/metrics"):
        traced.management(path)
    headers = parent()
    httpx.put(traced.url + "/canary-path?canary-query=1", headers=headers)
    (root,) = collector.trace(trace_id(headers))
    assert (root.name, root.failed) == ("HTTP", False)
    assert root.attributes == {
        "http.request.method": "_OTHER",
        "http.response.status_code": 404,
        "ticket_router.problem": "not_found",
    }
    assert {span.name for span in collector.spans if span.kind == "SERVER"} <= {
        "HTTP",
        "GET",
        "POST /v1/route",
        "POST /v1/route/batch",
    }


def test_a_passed_deadline_is_an_error_of_the_span(traced: Service, collector: Collector) -> None:
    """With status and error type, without message and event."""
    assert b" 504 " in ask_in_one_piece(traced, "/v1/route", LONG)
    wait_until(lambda: any(span.attributes.get("error.type") == "deadline_passed" for span in collector.spans))
    root = next(span for span in collector.spans if span.attributes.get("error.type") == "deadline_passed")
    assert (root.failed, root.status_message, root.events) == (True, "", 0)
    assert root.attributes["http.response.status_code"] == 504
    assert "infer" not in names(collector.trace(root.trace_id))


def test_a_failed_run_is_in_its_trace_and_logged_with_the_request_id(
    tiny_bundle_path: Path, tmp_path: Path, collector: Collector
) -> None:
    """The log line about the model run leads to the request and its trace."""
    with serving(spoiled.too_few_positions(tiny_bundle_path, tmp_path), env=collector.env()) as service:
        answer, spans = traced_post(service, collector, "/v1/route", LONG)
        root = root_of(spans)
        assert (answer.status_code, root.failed, root.attributes["error.type"]) == (500, True, "inference_failed")
        assert names(within(spans, root)) == COMPUTED
        line = next(event for event in service.events if event["event"] == "model run failed")
        assert (line["request_id"], line["trace_id"]) == (answer.json()["request_id"], root.trace_id)


def test_a_full_queue_is_no_error_of_the_span(tiny_bundle_path: Path, collector: Collector) -> None:
    """The client gets 429."""
    small = ("--queue-tokens", "64", "--cache-entries", "0")
    with serving(tiny_bundle_path, *SLOWED, *small, env=collector.env(OTEL_SERVICE_NAME="small")) as service:
        answers = Counter(answer.status_code for answer in ask_all(service, 150))
        assert answers[429]
        assert service.stop() == 0
    roots = [span for span in collector.spans if span.resource["service.name"] == "small" and span.kind == "SERVER"]
    assert Counter(root.attributes["http.response.status_code"] for root in roots) == answers
    assert {root.attributes.get("ticket_router.problem") for root in roots} == {None, "overloaded"}
    assert not any(root.failed for root in roots)


def test_spans_have_no_content_of_the_client(traced: Service, collector: Collector) -> None:
    """Text, id, addresses, header names and values, path and query are in no byte."""
    secret = "canary-span-77"
    ticket = {"id": secret, "subject": secret, "body": secret, "from": f"{secret}@x.y", "headers": {secret: secret}}
    headers = {"X-Request-ID": secret, "User-Agent": secret, "X-Other": secret, "Forwarded": f"for={secret}"}
    with traced.client(headers=headers | parent()) as client:
        client.post("/v1/route", json=ticket, params={secret: secret})
        client.post("/v1/route", json={secret: secret})
        client.post("/v1/route/batch", json={"tickets": [ticket, {secret: 1}]})
        client.get(f"/{secret}")
    _, spans = traced_post(traced, collector, "/v1/route", {"body": "the last one"})
    assert spans
    assert not any(secret.encode() in body for body in collector.raw)
