"""Many clients at once in a thread, while the caller stops or kills the service."""

import asyncio
import itertools
import json
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Self

from tests.faults.clients.client import Client, Lost, Refused
from tests.support.process import post_head

REFUSED = "refused"
LOST = "lost"

Requests = Iterator[bytes]
BATCH_TICKETS = 64
THINK_SECONDS = 0.02
"""The longest pause between a response and the next request: a kept connection is idle for a moment, and may be
closed then."""


def tickets(number: int) -> Requests:
    """Tickets one after another, each with a new text, over one connection."""
    return (_post("/v1/route", _ticket(number, turn)) for turn in itertools.count())


def batches(number: int) -> Requests:
    return (
        _post("/v1/route/batch", {"tickets": [_ticket(number, BATCH_TICKETS * turn + n) for n in range(BATCH_TICKETS)]})
        for turn in itertools.count()
    )


def mails(number: int) -> Requests:
    """Mails, each over its own connection, as a helpdesk's webhook may send them."""
    mail = b"From: a@example.org\r\nSubject: parcel\r\n\r\nWhere is parcel %d of %d?\r\n"
    for turn in itertools.count():
        body = mail % (turn, number)
        yield post_head("/v1/route", len(body), "Connection: close", kind="message/rfc822") + body


MIXED = (*[tickets] * 6, *[batches] * 4, *[mails] * 4)
"""The clients of a service: some with their own kept connection, some with batches, some with a connection per mail."""


def _ticket(number: int, turn: int) -> dict[str, str]:
    return {"subject": f"Order {number}", "body": f"Parcel {turn} of order {number} has not come. " * (1 + turn % 3)}


def _post(path: str, document: object) -> bytes:
    body = json.dumps(document).encode()
    return post_head(path, len(body)) + body


@dataclass
class Tally:
    """How requests ended: by status, REFUSED or LOST. `under_way`: sent and not answered yet."""

    ends: Counter[int | str] = field(default_factory=Counter)
    under_way: int = 0

    @property
    def answered(self) -> int:
        return self.ends.total() - self.ends[REFUSED] - self.ends[LOST]

    @property
    def server_errors(self) -> int:
        return sum(count for end, count in self.ends.items() if isinstance(end, int) and end >= 500)


class Load:
    """Inside a `with`, each of `callers` sends one request after another until its connection is refused."""

    def __init__(self, port: int, callers: Sequence[Callable[[int], Requests]]) -> None:
        self.tally = Tally()
        self._port = port
        self._callers = callers
        self._stop = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._play()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        """Wait for the requests under way to be answered."""
        self._stop.set()
        self._thread.join()

    def join(self) -> None:
        """Wait until every connection is refused."""
        self._thread.join()

    async def _play(self) -> None:
        await asyncio.gather(*(self._call(caller(number)) for number, caller in enumerate(self._callers)))

    async def _call(self, requests: Requests) -> None:
        client = Client(self._port)
        for request in requests:
            if self._stop.is_set():
                break
            end = await self._end(client, request)
            self.tally.ends[end] += 1
            if end in (REFUSED, LOST):
                break
            await asyncio.sleep(random.uniform(0, THINK_SECONDS))
        client.close()

    async def _end(self, client: Client, request: bytes) -> int | str:
        self.tally.under_way += 1
        try:
            return (await client.ask(request)).status
        except Refused:
            return REFUSED
        except Lost:
            return LOST
        finally:
            self.tally.under_way -= 1
