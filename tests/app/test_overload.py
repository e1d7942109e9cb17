"""Full queues, deadlines, clients that leave, and models that fail, over real HTTP."""

import asyncio
import json
import socket
from collections import Counter
from pathlib import Path

import httpx

from tests.support import spoiled
from tests.support.process import Service, post_head, serving
from tests.support.tiny import SAMPLES
from tests.support.waiting import wait_until

LONG = {"body": " ".join(body for _, body in SAMPLES)}


async def _ask_all(service: Service, count: int, **headers: str) -> list[httpx.Response]:
    limits = httpx.Limits(max_connections=count)
    async with httpx.AsyncClient(base_url=service.url, timeout=30, limits=limits, headers=headers) as client:
        return list(await asyncio.gather(*(client.post("/v1/route", json=LONG) for _ in range(count))))


def ask_all(service: Service, count: int, **headers: str) -> list[httpx.Response]:
    return asyncio.run(_ask_all(service, count, **headers))


def ask_in_one_piece(service: Service, path: str, content: object) -> bytes:
    """Head and body in one packet with a very short timeout: the body is complete, so only the queue is too slow."""
    body = json.dumps(content).encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=10) as connection:
        connection.sendall(post_head(path, len(body), "X-Request-Timeout: 0.000001", "Connection: close") + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))


def test_a_full_queue_is_429_with_retry_after_and_recovers(tiny_bundle_path: Path) -> None:
    """Under overload each request gets 200 or an immediate 429; afterwards requests get 200 again."""
    with serving(
        tiny_bundle_path, "--queue-tokens", "64", "--runners", "1", "--max-batch-tokens", "64", "--cache-entries", "0"
    ) as service:
        answers = ask_all(service, 150)
        codes = Counter(answer.status_code for answer in answers)
        assert set(codes) == {200, 429}
        refusals = [answer for answer in answers if answer.status_code == 429]
        assert all(int(answer.headers["retry-after"]) >= 1 for answer in refusals)
        assert {answer.json()["code"] for answer in refusals} == {"overloaded"}
        assert service.counts('rejected_total{reason="overloaded"}') == codes[429]
        assert service.management("/readyz").status_code == 200
        assert ask_all(service, 1)[0].status_code == 200


def test_a_deadline_that_passes_in_the_queue_is_504_and_never_run(service: Service) -> None:
    """The client's own X-Request-Timeout counts; late tickets are not in the batches."""
    before = service.counts("batch_size_sum")
    answer = ask_in_one_piece(service, "/v1/route", LONG)
    assert b" 504 " in answer
    assert b"deadline_passed" in answer
    assert service.counts("batch_size_sum") == before


def test_batch_with_only_late_tickets_is_504(service: Service) -> None:
    """If no ticket was run, the request itself has the status."""
    assert b" 504 " in ask_in_one_piece(service, "/v1/route/batch", {"tickets": [LONG] * 3})


def test_disconnected_client_removes_its_tickets_from_the_queue(tiny_bundle_path: Path) -> None:
    """Its waiting tickets are not run and are counted as 499; other clients are answered."""
    with serving(
        tiny_bundle_path, "--runners", "1", "--max-batch-tokens", "64", "--cache-entries", "0", "--queue-seconds", "60"
    ) as service:
        tickets = b'{"tickets":[' + b",".join([b'{"body":"' + b"some words to read " * 40 + b'"}'] * 256) + b"]}"
        head = b"POST /v1/route/batch HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        leaving = [socket.create_connection(("127.0.0.1", service.port)) for _ in range(8)]
        for each in leaving:
            each.sendall(head + b"Content-Length: %d\r\n\r\n" % len(tickets) + tickets)
        wait_until(lambda: service.counts("queue_depth") > 100)
        for each in leaving:
            each.close()
        wait_until(lambda: service.counts('http_requests_total{code="499"') > 0 == service.counts("queue_depth"))
        assert service.counts("queue_depth") == 0
        assert service.counts("batch_size_sum") < 8 * 256
        assert ask_all(service, 1)[0].status_code == 200


def test_failed_model_run_is_500_and_later_tickets_are_answered(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A graph with too few positions fails for long tickets only: these get a problem, short ones a decision."""
    with serving(spoiled.too_few_positions(tiny_bundle_path, tmp_path)) as service:
        answers = ask_all(service, 5)
        assert {(answer.status_code, answer.json()["code"]) for answer in answers} == {(500, "inference_failed")}
        assert httpx.post(service.url + "/v1/route", json={"body": "hello"}).status_code == 200
        assert any(event["event"] == "model run failed" for event in service.events)


def test_non_finite_scores_go_to_review(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A NaN for one ticket is a review with its reason; other tickets of its batch are not affected."""
    with serving(spoiled.no_number_at_tilde(tiny_bundle_path, tmp_path), "--runners", "1") as service:
        tickets = [{"body": "~~~" if number % 2 else "hello"} for number in range(20)]
        results = httpx.post(service.url + "/v1/route/batch", json={"tickets": tickets}, timeout=30).json()["results"]
        reasons = [result["decision"]["reason"] for result in results]
        assert set(reasons[1::2]) == {"invalid_scores"}
        assert "invalid_scores" not in reasons[0::2]
