"""Overload cases: bursts of simultaneous requests, and the results allowed for each request.

They suit any server that takes a JSON ticket by POST; the service under test has a short queue.
"""

import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.faults.clients.wire import Case, Played, Result, play_all
from tests.faults.http.cases import ROUTE, head

SECONDS = 30.0
"""Generous for a busy machine: it finds requests that hang, not slow ones."""
WORDS = "I was charged twice for the same month, please refund the second payment. "
RETRY_AFTER = re.compile(rb"\r\nretry-after: *([0-9]+)\r\n", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Burst:
    """Requests sent at once. `allowed`: the results allowed for each. `refused`: some must be refused, since there
    are too many."""

    name: str
    requests: tuple[bytes, ...]
    allowed: frozenset[Result]
    refused: bool


Document = Callable[[str], object]
"""Turns a text into the server's JSON."""


def bursts(document: Document, request: str = ROUTE) -> list[Burst]:
    def tickets(count: int, words: int, *lines: str) -> tuple[bytes, ...]:
        texts = (f"{number} " + WORDS * words for number in range(count))
        return tuple(_post(json.dumps(document(text)).encode(), request, *lines) for text in texts)

    refusing = frozenset[Result]({200, 429})
    hopeless = frozenset[Result]({429, 504})
    return [
        Burst("short tickets", tickets(400, 1), refusing, refused=True),
        Burst("long tickets", tickets(300, 20), refusing, refused=True),
        Burst("large tickets", tickets(60, 3000), refusing, refused=False),
        Burst("a second to answer", tickets(300, 20, "X-Request-Timeout: 1"), refusing | {504}, refused=True),
        Burst("no time to answer", tickets(100, 20, "X-Request-Timeout: 0.000001"), hopeless, refused=False),
        Burst("mixed lengths", (*tickets(150, 1), *tickets(100, 10), *tickets(20, 500)), refusing, refused=True),
    ]


def faults_of(port: int, burst: Burst) -> list[str]:
    """The wrong results of a server's responses to a burst."""
    cases = [
        Case(f"{burst.name} {number}", (raw,), burst.allowed, SECONDS) for number, raw in enumerate(burst.requests)
    ]
    played = play_all(port, cases, at_once=len(cases))
    faults = sorted({f"{burst.name}: {one.result}" for one in played if not one.passed})
    refused = [one for one in played if one.result == 429]
    if burst.refused and not refused:
        faults.append(f"{burst.name}: all is taken, however long it will wait")
    if not _polite(refused):
        faults.append(f"{burst.name}: refused without a Retry-After of less than a minute")
    return faults


def _post(body: bytes, request: str, *lines: str) -> bytes:
    return head(f"Content-Length: {len(body)}", *lines, request=request) + body


def _polite(refused: Sequence[Played]) -> bool:
    seconds = [RETRY_AFTER.search(one.received) for one in refused]
    return all(found is not None and 1 <= int(found[1]) < 60 for found in seconds)
