"""A helpdesk's day in seconds: tickets of every outcome, more at once than the queue holds, and invalid requests."""

import contextlib
import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx

from tests.support.process import Service

PAUSE_SECONDS = 0.05
"""Seconds between two requests: Prometheus runs on the same machine."""

TICKETS = 20
LONG = "and please look at it at once. " * 10


@contextlib.contextmanager
def traffic(services: Sequence[Service], headers: Mapping[str, str]) -> Iterator[None]:
    """Traffic continues in the background until the end of the block."""
    over = threading.Event()
    threads = [threading.Thread(target=_send, args=(service, headers, over)) for service in services]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        over.set()
        for thread in threads:
            thread.join()


def _send(service: Service, headers: Mapping[str, str], over: threading.Event) -> None:
    with service.client(headers=headers) as client:
        for number in itertools.count():
            if over.wait(PAUSE_SECONDS):
                return
            _one(client, number)


def _one(client: httpx.Client, number: int) -> None:
    text = f"Ticket {number}: the invoice of order {number * 7} is wrong, " + "please look. " * (number % 20)
    match number % 10:
        case 0:
            _burst(client, text)
        case 1:
            client.post("/v1/route", json={"body": "", "subject": " "})
        case 2:
            client.post("/v1/route", json={"body": text, "headers": {"Auto-Submitted": "auto-replied"}})
        case 3:
            client.post("/v1/route", content=b"{", headers={"Content-Type": "application/json"})
        case 4:
            client.get(f"/{number}")
        case 5:
            client.get("/v1/model")
        case _:
            client.post("/v1/route", json=_ticket(text, number))


def _burst(client: httpx.Client, text: str) -> None:
    """Four batches at once: each waits for its own tickets only."""
    tickets = [{"body": f"{each} {text} {LONG}"} for each in range(4 * TICKETS)]
    parts = [tickets[start : start + TICKETS] for start in range(0, len(tickets), TICKETS)]
    with ThreadPoolExecutor(len(parts)) as pool:
        list(pool.map(lambda part: client.post("/v1/route/batch", json={"tickets": part}), parts))


def _ticket(text: str, number: int) -> dict[str, Any]:
    """Every third ticket repeats an earlier text, so that the cache is used."""
    return {"subject": "Login" if number % 3 else "Offer", "body": text if number % 3 else "a quote for forty, please"}
