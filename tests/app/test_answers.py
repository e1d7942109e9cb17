"""The cache, shared runs, and tickets without a model run: less computation with the same decisions."""

import itertools
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import spoiled
from tests.support.process import Service, post_head, serving
from tests.support.tiny import SAMPLES
from tests.support.waiting import wait_until

LONG = " ".join(body for _, body in SAMPLES)
_numbers = itertools.count()


@pytest.fixture(scope="module")
def slow(tiny_bundle_path: Path) -> Iterator[Service]:
    """A service that runs one long ticket at a time, so that a queue builds up. Shared."""
    with serving(tiny_bundle_path, "--runners", "1", "--max-batch-tokens", "64", "--queue-seconds", "60") as running:
        yield running


def fresh() -> str:
    """A long text that was not sent before."""
    return f"{next(_numbers)} {LONG}"


@dataclass(frozen=True)
class Work:
    """The work of a service: tickets run, texts encoded, and the sources of results."""

    run: float
    encoded: float
    model: float
    cache: float
    shared: float

    @classmethod
    def of(cls, service: Service) -> "Work":
        samples = service.samples()
        sources = [samples[f'ticket_router_answers_total{{source="{name}"}}'] for name in ("model", "cache", "shared")]
        encoded = samples['ticket_router_stage_duration_seconds_count{stage="encode"}']
        return cls(samples["ticket_router_batch_size_sum"], encoded, *sources)

    def since(self, before: "Work") -> "Work":
        return Work(
            self.run - before.run,
            self.encoded - before.encoded,
            self.model - before.model,
            self.cache - before.cache,
            self.shared - before.shared,
        )


def route(service: Service, **ticket: Any) -> dict[str, Any]:
    answer = httpx.post(service.url + "/v1/route", json=ticket, timeout=30)
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json()
    return decision


def batch(service: Service, tickets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Each ticket's decision or error."""
    answer = httpx.post(service.url + "/v1/route/batch", json={"tickets": tickets}, timeout=60)
    assert answer.status_code == 200, answer.text
    return [next(iter(result.values())) for result in answer.json()["results"]]


def comparable(decision: dict[str, Any]) -> dict[str, Any]:
    """A decision without the fields that differ every time."""
    return {name: value for name, value in decision.items() if name not in ("decision_id", "ticket_id")}


def test_a_cached_text_needs_no_model_run(service: Service) -> None:
    """The second ticket gets the verdict and flags of the first and its own id, without run and encoding."""
    text, before = fresh(), Work.of(service)
    first, second = (route(service, id=name, subject="Offer", body=text) for name in ("a", "b"))
    assert Work.of(service).since(before) == Work(run=1, encoded=1, model=1, cache=1, shared=0)
    assert comparable(first) == comparable(second)
    assert first["flags"] == ["truncated"]
    assert (first["ticket_id"], second["ticket_id"]) == ("a", "b")
    assert first["decision_id"] != second["decision_id"]


def test_tokens_of_cached_results_are_counted(service: Service) -> None:
    """`input_tokens` and `truncated_inputs_total` count tickets, computed or not."""
    names = ("input_tokens_count", "input_tokens_sum", "truncated_inputs_total")
    text, before = fresh(), [service.counts(name) for name in names]
    for _ in range(2):
        route(service, body=text)
    count, tokens, truncated = (service.counts(name) - had for name, had in zip(names, before, strict=True))
    assert (count, tokens, truncated) == (2, 128, 2)


@pytest.mark.parametrize("change", [{"subject": "Another"}, {"body": "another text than that"}])
def test_a_changed_subject_or_body_is_computed_anew(service: Service, change: dict[str, str]) -> None:
    ticket = {"subject": "One", "body": f"a text of some words {next(_numbers)}"}
    first, before = route(service, **ticket), Work.of(service)
    second = route(service, **(ticket | change))
    assert Work.of(service).since(before).run == 1
    assert first["candidates"] != second["candidates"]


def test_texts_equal_after_cleaning_share_a_result(service: Service) -> None:
    """Quoted history and signature are removed before the look-up: a reply to all costs one run."""
    text = f"The lamp number {next(_numbers)} is broken, what now?"
    route(service, body=text)
    before = Work.of(service)
    route(service, body=text + "\n\nOn Mon, 3 Feb 2025 at 10:01, Support wrote:\n> How can we help?\n")
    assert Work.of(service).since(before).run == 0


def test_cache_entries_0_switches_off_the_cache_and_shared_runs(tiny_bundle_path: Path) -> None:
    """Each ticket is computed, one after the other and at once, with the same verdict."""
    with serving(tiny_bundle_path, "--cache-entries", "0") as service:
        text, before = fresh(), Work.of(service)
        route(service, body=text)
        assert len({str(comparable(decision)["outcome"]) for decision in batch(service, [{"body": text}] * 20)}) == 1
        assert Work.of(service).since(before) == Work(run=21, encoded=21, model=21, cache=0, shared=0)
        assert service.counts("cache_entries") == 0


def test_the_cache_is_bounded(tiny_bundle_path: Path) -> None:
    """The least recently used text is computed again; the gauge shows the number of entries."""
    with serving(tiny_bundle_path, "--cache-entries", "2") as service:
        for text in ("one", "two", "one", "three"):
            route(service, body=text)
        assert service.counts("cache_entries") == 2
        before = Work.of(service)
        route(service, body="one")
        assert Work.of(service).since(before).run == 0
        route(service, body="two")
        assert Work.of(service).since(before).run == 1


def test_equal_texts_in_flight_are_one_run(slow: Service) -> None:
    """Fifty tickets with one text wait together: one run, the same result for all."""
    text, before = fresh(), Work.of(slow)
    decisions = batch(slow, [{"body": fresh()} for _ in range(100)] + [{"body": text}] * 50)
    work = Work.of(slow).since(before)
    assert (work.run, work.encoded, work.model, work.cache + work.shared) == (101, 101, 101, 49)
    assert work.shared > 0
    assert len({str(comparable(decision)) for decision in decisions[100:]}) == 1


def test_equal_texts_of_many_callers_are_one_run(slow: Service) -> None:
    """The same on as many connections."""
    text, before = fresh(), Work.of(slow)
    with ThreadPoolExecutor(30) as pool:
        decisions = list(pool.map(lambda _: route(slow, body=text), range(30)))
    assert Work.of(slow).since(before).run == 1
    assert len({str(comparable(decision)) for decision in decisions}) == 1


def test_cancelled_and_late_callers_do_not_affect_other_callers_of_the_same_text(slow: Service) -> None:
    """Of four callers with one text one disconnects and one is late; the other two get their decision from one run."""
    text, before = fresh(), Work.of(slow)
    content = b'{"body":"%s"}' % text.encode()
    gone = 'http_requests_total{code="499",method="POST",route="/v1/route"}'
    with ThreadPoolExecutor(8) as pool, socket.create_connection(("127.0.0.1", slow.port)) as leaving:
        busy = [pool.submit(batch, slow, [{"body": fresh()} for _ in range(250)]) for _ in range(4)]
        wait_until(lambda: slow.counts("queue_depth") > 50)
        leaving.sendall(post_head("/v1/route", len(content)) + content)
        patient = pool.submit(route, slow, body=text)
        late = httpx.post(slow.url + "/v1/route", content=content, headers=_in_no_time(), timeout=30)
        leaving.close()
        decisions = [patient.result(), route(slow, body=text)]
        for each in busy:
            each.result()
    # At once if the wait is known to be too long; on slow machines its time may be over before the wait is estimated.
    assert late.json()["code"] in ("overloaded", "deadline_passed")
    wait_until(lambda: slow.counts(gone) == 1)
    assert comparable(decisions[0]) == comparable(decisions[1])
    assert Work.of(slow).since(before).run == 1001
    assert slow.counts("queue_depth") == 0


def _in_no_time() -> dict[str, str]:
    return {"Content-Type": "application/json", "X-Request-Timeout": "0.000001"}


UNSEEN = [
    ("automatic_mail", b"From: a@b.c\nAuto-Submitted: auto-replied\nSubject: Away\n\nI am on holiday.\n"),
    ("bounce", b"From: <>\nReturn-Path: <>\nAuto-Submitted: auto-replied\nSubject: Undeliverable\n"
               b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\n\n"
               b"--b\n\nNo such user.\n--b\nContent-Type: message/delivery-status\n\nAction: failed\n--b--\n"),
    ("spam", b"From: a@b.c\nX-Spam-Flag: YES\nSubject: Prize\n\nYou have won.\n"),
    ("unreadable", b"From: a@b.c\nSubject: Login\n\n-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n"),
    ("empty", b"From: a@b.c\nSubject:\n\n \n"),
]  # fmt: skip


@pytest.mark.parametrize(("reason", "mail"), UNSEEN, ids=[reason for reason, _ in UNSEEN])
def test_automatic_mail_costs_no_model_run(service: Service, reason: str, mail: bytes) -> None:
    """A review with its reason, without tokenizer, model and cache."""
    before, tokens = Work.of(service), service.counts("input_tokens_count")
    answer = httpx.post(service.url + "/v1/route", content=mail, headers={"Content-Type": "message/rfc822"})
    assert (answer.json()["outcome"], answer.json()["reason"]) == ("review", reason)
    assert Work.of(service).since(before) == Work(0, 0, 0, 0, 0)
    assert service.counts("input_tokens_count") == tokens


def test_spam_headers_that_are_not_trusted_are_not_read(tiny_bundle_path: Path) -> None:
    """With `trust_spam_headers` off, the model decides as for any other mail."""
    mail = dict(UNSEEN)["spam"]
    with serving(tiny_bundle_path, "--trust-spam-headers", "false") as service:
        answer = httpx.post(service.url + "/v1/route", content=mail, headers={"Content-Type": "message/rfc822"})
        assert answer.json()["reason"] not in ("spam", "automatic_mail")
        assert answer.json()["candidates"]


def test_non_finite_scores_go_to_review(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A NaN is a counted review with its reason. It is not cached and does not affect other tickets of its batch."""
    with serving(spoiled.no_number_at_tilde(tiny_bundle_path, tmp_path), "--runners", "1") as service:
        results = batch(service, [{"body": f"~~~ {n}" if n % 2 else f"hello {n}"} for n in range(20)])
        reasons = [decision["reason"] for decision in results]
        assert set(reasons[1::2]) == {"invalid_scores"}
        assert "invalid_scores" not in reasons[0::2]
        assert all(result["department"] is None and not result["candidates"] for result in results[1::2])
        assert service.counts("invalid_scores_total") == 10
        assert service.counts("cache_entries") == 10
        before = Work.of(service)
        assert route(service, body="~~~ 1")["reason"] == "invalid_scores"
        assert Work.of(service).since(before).run == 1
        assert service.management("/readyz").status_code == 200


def test_concurrent_requests_get_the_same_decisions_with_and_without_the_cache(service: Service) -> None:
    """Eight clients send a handful of texts at once: each text gets one verdict, and every ticket a decision."""
    texts = [body for _, body in SAMPLES]
    found: dict[str, set[str]] = {text: set() for text in texts}
    lock = threading.Lock()

    def ask(number: int) -> None:
        with service.client() as client:
            for turn in range(40):
                text = texts[(number + turn) % len(texts)]
                decision = client.post("/v1/route", json={"body": text}).json()
                with lock:
                    found[text].add(f"{decision['outcome']} {decision['candidates'][0]['department']}")

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
    assert {len(verdicts) for verdicts in found.values()} == {1}
