"""The Text group of the catalogue: whatever is written, it is answered or refused, in bounded time and memory."""

import asyncio
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import httpx
import psutil
import pytest

from service.context import BATCH_SECONDS
from tests.benchmarks.memory import resident_megabytes
from tests.faults.clients.wire import Case, Played, failures, play, play_all
from tests.faults.http.test_http import well
from tests.faults.servers.stock import stock
from tests.faults.text.cases import text_cases
from tests.support.cost import CPU_SECONDS
from tests.support.process import Service, serving
from tests.unit.models.text.hostile_texts import TEXTS

AT_ONCE = 4
BUSY = 4
"""Times as long, since it is four at a time and the machine may be busy; a stock application gets one by one."""
CASES = [replace(case, seconds=BUSY * case.seconds) for case in text_cases()]
OVERHEAD_SECONDS = 0.1
"""Of the protocol, the JSON and the model, for a megabyte."""
MEMORY_MB = 20
FAIL_ON_STOCK = 25
"""32 of 183, each given five seconds. At least so many, whatever the next releases mend."""
STOCK_SECONDS = 2.0
"""What the surest of them get: a fast machine does some in just below five, and the service in a quarter of one."""
SURELY_FAIL_ON_STOCK = ("HTML: comments", "mail: 1000 levels", "mail: 10k parts")


@pytest.fixture(scope="module")
def impatient(tiny_bundle_path: Path) -> Iterator[Service]:
    with serving(tiny_bundle_path, module="tests.faults.servers.no_cpu_budget") as running:
        yield running


def test_every_case_of_the_text_group_holds_while_others_are_answered(service: Service) -> None:
    """Statuses and times as the table has them, four at a time; meanwhile probes and short tickets are answered."""
    played: list[Played] = []
    hostile = threading.Thread(target=lambda: played.extend(play_all(service.port, CASES, at_once=AT_ONCE)))
    hostile.start()
    meanwhile: list[tuple[int, float]] = []
    with service.client() as client, httpx.Client(base_url=service.management_url, timeout=30) as probe:
        while hostile.is_alive():
            for ask in (lambda: probe.get("/livez"), lambda: client.post("/v1/route", json={"body": "hello"})):
                started = time.monotonic()
                meanwhile.append((ask().status_code, time.monotonic() - started))
    hostile.join()
    assert len(played) == len(CASES)
    assert failures(played) == []
    assert len(meanwhile) >= 20
    assert {status for status, _ in meanwhile} == {200}
    assert max(seconds for _, seconds in meanwhile) <= 5
    assert well(service)


@pytest.mark.slow
def test_no_case_takes_more_than_its_cpu_and_memory_comes_back(service: Service) -> None:
    """One after another, bounded CPU and the cost of a megabyte's request; then as much memory as before."""
    process = psutil.Process(service.process.pid)
    play_all(service.port, CASES, at_once=AT_ONCE)  # what is allocated once
    before = resident_megabytes(service.process.pid)
    spent = {case.name: _cpu(process, service.port, case) for case in CASES}
    limit = CPU_SECONDS + OVERHEAD_SECONDS
    assert {name: seconds for name, seconds in spent.items() if seconds > limit} == {}
    assert resident_megabytes(service.process.pid) - before <= MEMORY_MB


def _cpu(process: psutil.Process, port: int, case: Case) -> float:
    before = process.cpu_times()
    asyncio.run(play(port, case))
    after = process.cpu_times()
    return float(after.user + after.system - before.user - before.system)


@pytest.mark.parametrize(
    ("kind", "content"),
    [
        ("application/json", b'{"subject":"Parcel","body":"' + b"From: a@b\\n" * 30 + b'"}'),
        ("application/json", b'{"body":"' + b"<p>x" * 3000 + b'","content_type":"text/html"}'),
        ("message/rfc822", b"Subject: Parcel\r\n\r\nIt is lost.\r\n"),
        ("message/rfc822", b"Subject: Parcel\r\n\r\n" + b"It is lost.\r\n" * 1000),
    ],
)
def test_what_takes_too_long_to_read_is_left_to_people(impatient: Service, kind: str, content: bytes) -> None:
    """No error: 200, for review, with a reason of its own, which is counted; and the next ticket is read."""
    before = impatient.counts('reviews_total{reason="too_complex"')
    with impatient.client() as client:
        answer = client.post("/v1/route", content=content, headers={"Content-Type": kind})
        next_one = client.post("/v1/route", json={"body": "hello"})
    assert answer.status_code == 200
    decision = answer.json()
    assert (decision["outcome"], decision["reason"]) == ("review", "too_complex")
    assert (decision["department"], decision["candidates"], decision["flags"]) == (None, [], [])
    assert impatient.counts('reviews_total{reason="too_complex"') == before + 1
    assert next_one.json()["reason"] != "too_complex"


def test_one_complex_ticket_of_a_batch_is_left_to_people_alone(impatient: Service) -> None:
    """Its neighbours are decided."""
    tickets = [{"body": "hello"}, {"subject": "x", "body": "From: a@b\n" * 1000}, {"body": "hello"}]
    with impatient.client() as client:
        results = client.post("/v1/route/batch", json={"tickets": tickets}).json()["results"]
    reasons = [result["decision"]["reason"] for result in results]
    assert [reason == "too_complex" for reason in reasons] == [False, True, False]


def test_a_batch_made_to_cost_time_costs_little_more_than_its_allowance(service: Service) -> None:
    """A hundred tickets that would take some ten seconds of CPU, and an ordinary one behind them, which is decided."""
    text = TEXTS["wrapped attributions"](30_000)
    tickets = [{"subject": "Re: x", "body": f"{number} {text}"} for number in range(100)]
    process = psutil.Process(service.process.pid)
    before = sum(process.cpu_times()[:2])
    with service.client() as client:
        answer = client.post("/v1/route/batch", json={"tickets": [*tickets, {"body": "hello"}]}, timeout=60)
    spent = sum(process.cpu_times()[:2]) - before
    reasons = [result["decision"]["reason"] for result in answer.json()["results"]]
    assert reasons[99] == "too_complex"
    assert reasons[100] != "too_complex"
    assert spent <= 2 * BATCH_SECONDS


def _failed_on_stock(cases: Sequence[Case]) -> list[str]:
    """Each by itself, with a new process after one that is still busy with it."""
    failed: list[str] = []
    left = list(cases)
    while left:
        with stock("httptools") as port:
            while left:
                case = left.pop(0)
                wrong = failures([asyncio.run(play(port, case))])
                failed += wrong
                if wrong:
                    break
    return failed


def test_a_stock_application_fails_where_the_service_holds() -> None:
    """The catalogue has teeth: the standard library's readers need more than two seconds, or fall over, on these."""
    named = (case for case in text_cases("/v1/mail") if case.name in SURELY_FAIL_ON_STOCK)
    chosen = [replace(case, seconds=STOCK_SECONDS) for case in named]
    assert len(_failed_on_stock(chosen)) == len(SURELY_FAIL_ON_STOCK)


@pytest.mark.slow
def test_the_whole_group_on_a_stock_application() -> None:
    """At least so many of its cases fail there, and none here."""
    failed = _failed_on_stock(text_cases("/v1/mail"))
    assert len(failed) >= FAIL_ON_STOCK, failed
