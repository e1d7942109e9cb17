"""Customers' mails through the proxy, at random times, on kept connections, with a check of every answer.

Open loop: latency counts from the time a request was due. Every text is new, so that no answer comes from the cache.
This client never repeats a request: requests that the proxy does not save are lost, and counted.
"""

import asyncio
import itertools
import json
import random
import threading
import time
from dataclasses import dataclass
from typing import Any, Self

import uvloop

from tests.benchmarks.serving.connection import NO_ANSWER, Connection, Target, post
from tests.benchmarks.serving.load import OK
from training.sample.tickets import make_tickets

PATIENCE_SECONDS = 30.0
TEXTS = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """One request. Times in seconds of `time.perf_counter`; `fault` is empty for a valid answer."""

    due: float
    finished: float
    version: str
    fault: str


class Reader(Connection):
    """A connection that keeps the body of its last answer."""

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.body = b""

    def on_message_begin(self) -> None:
        self.body = b""

    def on_body(self, data: bytes) -> None:
        self.body += data


class Traffic:
    """Sends requests inside a `with`, in a thread; `asked` grows as they are answered."""

    def __init__(self, target: Target, rate: float, seed: int = 0) -> None:
        self.asked: list[Asked] = []
        self._target = target
        self._rate = rate
        self._rng = random.Random(seed)
        self._tickets = itertools.cycle(make_tickets(TEXTS, seed))
        self._numbers = itertools.count()
        self._idle: list[Reader] = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Send no more, and wait for outstanding answers. Safe to call twice."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(self._send())

    async def _send(self) -> None:
        due = time.perf_counter()
        async with asyncio.TaskGroup() as requests:
            while not self._stopping.is_set():
                due += self._rng.expovariate(self._rate)
                await asyncio.sleep(max(0.0, due - time.perf_counter()))
                requests.create_task(self._ask(due))
        for connection in self._idle:
            connection.close()

    async def _ask(self, due: float) -> None:
        connection = self._idle.pop() if self._idle else Reader(self._target)
        ticket_id, request = self._next()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                status = await connection.ask(request)
        except TimeoutError:
            connection.close()
            status = NO_ANSWER
        version, fault = judged(status, connection.body, ticket_id)
        self.asked.append(Asked(due, time.perf_counter(), version, fault))
        self._idle.append(connection)

    def _next(self) -> tuple[str, bytes]:
        number, ticket = next(self._numbers), next(self._tickets)
        ticket_id = f"ticket-{number}"
        body = f"This is mail {number}. {ticket.body}"
        return ticket_id, post("/v1/route", {"id": ticket_id, "subject": ticket.subject, "body": body})


def judged(status: int, body: bytes, ticket_id: str) -> tuple[str, str]:
    """The version that answered, and the fault of the answer."""
    if status == NO_ANSWER:
        return "", "no answer"
    try:
        answer: Any = json.loads(body)
    except ValueError:
        return "", f"status {status}, no JSON"
    if status != OK:
        return "", f"status {status} {answer.get('code')}"
    fault = "" if answer["ticket_id"] == ticket_id else "another ticket's answer"
    return answer["model"]["version"], fault
