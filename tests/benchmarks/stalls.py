"""Stalls of a real service's event loop under much hostile input at once, and the wait of a probe.

    python -m tests.benchmarks.stalls [BUNDLE] [--clients 32] [--seconds 12]

Clients in threads send, as fast as they get answers, batches of small texts that each cost as much as a ticket may,
batches of 4 MB that are no JSON, or mails of 1 MB. Each request alone is within every limit (`hostile.py` measures
that); together they must not block the loop. The exit status is 1 if a turn of the loop took more than 50 ms of CPU, or
a probe waited for more than a second.
"""

import argparse
import itertools
import json
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from models.mail.parse import MAX_MAIL_BYTES
from tests.benchmarks.probing import Probing
from tests.benchmarks.ticking import EVENT
from tests.faults.command import bundle_or_tiny
from tests.support.process import Service, post_head, serving
from tests.unit.models.mail.hostile_mails import MAILS
from tests.unit.models.text.hostile_texts import TEXTS

AWAY_MILLISECONDS, PROBE_SECONDS = 50.0, 1.0
TICKETS = 64
SMALL_CHARACTERS = 3_880
LARGE_BYTES = 3_990_000
WARM_SECONDS = 2.0
ANSWER_SECONDS = 30.0
PROBE_PAUSE_SECONDS = 0.05


def small_texts(number: int) -> bytes:
    """A batch of texts that are small enough to be read on the loop, and cost a hundred times as much as others."""
    text = TEXTS["wrapped attributions"](SMALL_CHARACTERS)
    tickets = [{"subject": "Re: x", "body": f"{text} {number} {ticket}"} for ticket in range(TICKETS)]
    body = json.dumps({"tickets": tickets}).encode()
    return post_head("/v1/route/batch", len(body), "Connection: close") + body


def large_bodies(_number: int) -> bytes:
    body = b'{"tickets":[' + b" " * LARGE_BYTES + b"x"
    return post_head("/v1/route/batch", len(body), "Connection: close") + body


def large_mails(number: int) -> bytes:
    mail = list(MAILS.values())[number % len(MAILS)](MAX_MAIL_BYTES)[:MAX_MAIL_BYTES]
    return post_head("/v1/route", len(mail), "Connection: close", kind="message/rfc822") + mail


KINDS: tuple[Callable[[int], bytes], ...] = (small_texts, large_bodies, large_mails)


@dataclass
class Senders:
    """Clients of one service until a deadline, and the statuses of their answers."""

    service: Service
    until: float
    codes: Counter[str] = field(default_factory=Counter)

    def play(self, requests: list[bytes], clients: int) -> None:
        each = [itertools.cycle(requests[number:] + requests[:number]) for number in range(clients)]
        threads = [threading.Thread(target=self._send, args=(wanted,)) for wanted in each]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _send(self, requests: Iterator[bytes]) -> None:
        while time.monotonic() < self.until:
            self.codes[self._ask(next(requests))] += 1

    def _ask(self, request: bytes) -> str:
        """The status, or that there was none: a slow answer is no stall."""
        answer = b""
        with suppress(OSError), socket.create_connection(("127.0.0.1", self.service.port), ANSWER_SECONDS) as client:
            client.sendall(request)
            answer = client.recv(65536)
            while client.recv(65536):
                pass
        return answer[9:12].decode() or "none"


def measure(bundle: Path, make: Callable[[int], bytes], clients: int, seconds: float) -> bool:
    """Print the result of one kind, and return whether it is within the limits."""
    requests = [make(number) for number in range(clients)]
    with serving(bundle, module="tests.benchmarks.ticking") as service:
        time.sleep(WARM_SECONDS)
        begun = len(service.events)
        senders = Senders(service, time.monotonic() + seconds)
        with Probing(service, ("/livez",), PROBE_PAUSE_SECONDS) as probing:
            senders.play(requests, clients)
        away = max(event["milliseconds"] for event in service.events[begun:] if event["event"] == EVENT)
    slowest = max(probing.seconds)
    print(
        f"{make.__name__:14} away {away:6.1f} ms, probe {1000 * slowest:6.0f} ms; {dict(senders.codes)}",
        flush=True,
    )
    return away <= AWAY_MILLISECONDS and slowest <= PROBE_SECONDS


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, help="a tiny one is made if absent")
    parser.add_argument("--clients", type=int, default=32, metavar="N")
    parser.add_argument("--seconds", type=float, default=12, metavar="S")
    options = parser.parse_args()
    with bundle_or_tiny(options.bundle) as bundle:
        held = [measure(bundle, make, options.clients, options.seconds) for make in KINDS]
    return not all(held)


if __name__ == "__main__":
    sys.exit(main())
