"""Each HTTP case gets a response or a closed connection, in time, and never a 5xx."""

import re

import pytest

from service.server.limits import PUBLIC
from tests.faults.clients.wire import Case, failures, play_all
from tests.faults.http.cases import get, head_cases, http_cases
from tests.faults.http.corpus import corpus
from tests.faults.servers.short_limits import SHORT, SHORT_BODY_SECONDS
from tests.faults.servers.stock import stock
from tests.support.process import Service

CASES = http_cases(SHORT, SHORT_BODY_SECONDS)
HEAD_BYTES = SHORT.head_bytes
FAIL_ON_STOCK = 50
"""Of 125, with httptools; with h11 a few more. A lower bound, since a next release may fix some."""


def is_healthy(service: Service) -> bool:
    """The process runs, and a valid request is answered."""
    with service.client() as client:
        return service.process.poll() is None and client.post("/v1/route", json={"body": "hello"}).status_code == 200


def series(service: Service) -> set[str]:
    return {re.sub(r'reason="[^"]*"', "", name) for name in service.samples()}


def test_every_http_case_gets_an_allowed_result(short_limits: Service) -> None:
    """Statuses and times are those of the table; then a valid request is answered."""
    played = play_all(short_limits.port, CASES)
    assert failures(played) == []
    assert is_healthy(short_limits)


def test_the_management_port_refuses_malformed_and_slow_heads(short_limits: Service) -> None:
    """The results are those of the public port; probes are answered meanwhile."""
    assert failures(play_all(short_limits.management_port, head_cases(SHORT))) == []
    assert short_limits.management("/livez").status_code == 200


def test_a_head_of_16_kb_is_accepted_and_a_larger_one_is_not(short_limits: Service) -> None:
    """Header separators count only while the head is incomplete, so that some hundred bytes more may pass."""
    heads = [_head_of(HEAD_BYTES, 200), _head_of(HEAD_BYTES + 200, 431)]
    assert failures(play_all(short_limits.port, heads)) == []


def _head_of(size: int, status: int) -> Case:
    raw = get("X: " + "a" * (size - len(get("X: "))))
    assert len(raw) == size
    return Case(f"head of {size} bytes", (raw,), frozenset({status}), 5)


def test_a_thousand_raw_requests_give_no_5xx_and_no_new_series(short_limits: Service) -> None:
    """Hostile JSON under many heads, and damaged requests: a 4xx, a 2xx or a closed connection, and no new metric
    series."""
    cases, before = corpus(SHORT, SHORT_BODY_SECONDS), series(short_limits)
    assert len(cases) >= 1000
    assert failures(play_all(short_limits.port, cases)) == []
    assert series(short_limits) == before
    assert is_healthy(short_limits)


def test_a_stock_application_fails_http_cases() -> None:
    """Stock FastAPI and uvicorn fail this many of the HTTP cases, the service none."""
    with stock("httptools") as port:
        failed = failures(play_all(port, CASES, at_once=len(CASES)))
    assert len(failed) >= FAIL_ON_STOCK, failed


@pytest.mark.slow
@pytest.mark.parametrize("group", ["cases", "corpus"])
def test_http_cases_hold_with_the_production_limits(service: Service, group: str) -> None:
    """The long form, without the shortened limits."""
    cases: list[Case] = http_cases(PUBLIC) if group == "cases" else corpus(PUBLIC)
    assert failures(play_all(service.port, cases, at_once=len(cases))) == []
    assert is_healthy(service)
