"""All kinds of requests for a long time: `python -m tests.faults.soak --count 300000`.

Tickets of 1 to 2,000 words, nine of ten short; mails; batches; raw bytes of the corpus; clients that disconnect before
their response; clients that send slowly; and in the last fifth a reload every half minute. Printed: errors of valid
requests; the slope of the resident memory (least squares over twenty stretches, with its 95 % interval); the peak; and
open files, threads and connections after two fifths and at the end. A short run has a wide interval: it fails only if
the whole interval lies above the target.

In the first two fifths the cache, Python's free lists and the C library's fill up; in the next two the slope is
measured. Neither has a reload, as a service has none for days. A reload collects garbage, returns free memory and
empties the cache: it would hide a leak, and memory that grows again for minutes afterwards would look like one.
"""

import asyncio
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil

from service.server.limits import PUBLIC
from tests.benchmarks.memory import Slope, Watch, resident_megabytes, slope
from tests.benchmarks.serving.connection import post
from tests.benchmarks.serving.processes import Family
from tests.benchmarks.soak import texts
from tests.benchmarks.start import ready
from tests.faults.clients.client import Client, Lost
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.faults.http.cases import head
from tests.faults.http.corpus import corpus
from tests.support.process import Service, post_head
from tests.support.reloading import two_bundles

CALLERS = 24
DRIPPING = 8
TEXTS = 8000
BATCH = 8
SHORT_WORDS = 60
SHORT = 0.9
"""Share of tickets with at most that many words, as helpdesks see them; the others cost many times as much."""
MEGABYTES_PER_HOUR = 1.0
SAMPLE_SECONDS = 0.5
RELOAD_SECONDS = 30.0
RAW_SECONDS = 0.2
"""How long a client waits for a response to raw bytes: many get none before their time limit."""
SETTLE_SECONDS = 3
CACHE_FLAGS = ("--cache-entries", "1000")
"""A cache of this size is full within seconds. The default of 10,000 entries fills only after some 200,000 requests,
since each text comes as a ticket and as a mail; and a cache that still fills looks like a leak."""
SHARES = {"ticket": 80, "mail": 5, "batch": 3, "raw": 8, "leave": 4}


@dataclass(frozen=True, slots=True)
class Open:
    """Resources that a process holds at one moment."""

    files: int
    threads: int
    megabytes: float

    @classmethod
    def of(cls, pid: int) -> "Open":
        process = psutil.Process(pid)
        return cls(process.num_fds(), process.num_threads(), resident_megabytes(pid))

    def __str__(self) -> str:
        return f"{self.files} files, {self.threads} threads, {self.megabytes:.0f} MB"


@dataclass
class Soak:
    """One run against a port."""

    port: int
    sent: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    """Statuses of valid requests other than 200 and 429, and every 5xx."""

    def __post_init__(self) -> None:
        self._texts = texts(TEXTS)
        self._short = [text for text in self._texts if text.count(" ") < SHORT_WORDS]
        self._raw = [b"".join(part for part in case.script if isinstance(part, bytes)) for case in corpus(PUBLIC)]

    async def play(self, count: int) -> None:
        """Send `count` more requests."""
        until = self.sent.total() + count
        dripping = [asyncio.create_task(self._drip()) for _ in range(DRIPPING)]
        await asyncio.gather(*(self._call(random.Random(f"{until} {number}"), until) for number in range(CALLERS)))
        for task in dripping:
            task.cancel()
        await asyncio.gather(*dripping, return_exceptions=True)

    async def _call(self, drawn: random.Random, until: int) -> None:
        client = Client(self.port)
        kinds, weights = list(SHARES), list(SHARES.values())
        while self.sent.total() < until:
            (kind,) = drawn.choices(kinds, weights)
            self.sent[kind] += 1
            if kind in ("raw", "leave"):
                await self._once(drawn, leave=kind == "leave")
            else:
                await self._ask(client, self._sound(kind, drawn))
        client.close()

    def _text(self, drawn: random.Random) -> str:
        return drawn.choice(self._short if drawn.random() < SHORT else self._texts)

    def _sound(self, kind: str, drawn: random.Random) -> bytes:
        if kind == "ticket":
            return post("/v1/route", {"body": self._text(drawn)})
        if kind == "batch":
            return post("/v1/route/batch", {"tickets": [{"body": self._text(drawn)} for _ in range(BATCH)]})
        mail = f"From: a@example.org\r\nSubject: Order\r\n\r\n{self._text(drawn)}".encode()
        return post_head("/v1/route", len(mail), kind="message/rfc822") + mail

    async def _ask(self, client: Client, request: bytes) -> None:
        try:
            status = (await client.ask(request)).status
        except Lost:
            status = 0
        if status not in (200, 429):
            self.faults[f"{status}" if status else "lost"] += 1

    async def _once(self, drawn: random.Random, *, leave: bool) -> None:
        """Raw bytes, or a valid request whose client does not wait."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(self._sound("ticket", drawn) if leave else drawn.choice(self._raw))
        try:
            async with asyncio.timeout(0 if leave else RAW_SECONDS):
                received = await reader.read(64)
                if received[9:10] == b"5":
                    self.faults[received[9:12].decode()] += 1
        except (TimeoutError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _drip(self) -> None:
        """A body sent byte by byte until the server closes the connection, and again."""
        while True:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
            try:
                writer.write(head("Content-Length: 900"))
                while not writer.transport.is_closing():
                    writer.write(b" ")
                    await asyncio.sleep(0.5)
            finally:
                writer.transport.abort()
            self.sent["dripped"] += 1


async def reload_now_and_then(service: Service, versions: tuple[str, str], soak: Soak) -> None:
    async with httpx.AsyncClient(base_url=service.management_url, timeout=60) as client:
        while True:
            for version in versions:
                await asyncio.sleep(RELOAD_SECONDS)
                answer = await client.post("/admin/reload", json={"bundle": version})
                soak.sent["reload"] += 1
                if answer.status_code != 200:
                    soak.faults[f"reload {answer.status_code}"] += 1


async def beside(work: Coroutine[Any, Any, None], other: Coroutine[Any, Any, None]) -> None:
    """Run `work` to its end, and `other` until then."""
    task = asyncio.create_task(other)
    try:
        await work
    finally:
        task.cancel()


@dataclass(frozen=True, slots=True)
class Found:
    soak: Soak
    seconds: float
    growth: Slope
    peak: float
    before: Open
    after: Open

    @property
    def passed(self) -> bool:
        kept_open = self.after.files > self.before.files or self.after.threads > self.before.threads
        grows = self.growth.middle - self.growth.margin > MEGABYTES_PER_HOUR
        return not (self.soak.faults or kept_open or grows)

    def lines(self) -> Iterator[str]:
        sent = ", ".join(f"{count} {kind}" for kind, count in sorted(self.soak.sent.items()))
        rate = self.soak.sent.total() / self.seconds
        yield f"{self.soak.sent.total()} requests in {self.seconds:.0f} s, {rate:.0f}/s: {sent}"
        yield f"faults: {dict(self.soak.faults) or 'none'}"
        yield f"memory: {self.growth.middle:+.1f} ± {self.growth.margin:.1f} MB/h; peak {self.peak:.0f} MB"
        yield f"open before: {self.before}"
        yield f"open after:  {self.after}"


def run(bundle: Path, count: int) -> Found:
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        shelf = two_bundles(bundle, Path(folder) / "store")
        with ready(shelf.current, *CACHE_FLAGS) as service:
            pid, soak, fifth = service.process.pid, Soak(service.port), count // 5
            began = time.monotonic()
            asyncio.run(soak.play(2 * fifth))
            time.sleep(SETTLE_SECONDS)
            before = Open.of(pid)  # now, since threads start with the first requests that need them
            with Watch(pid, SAMPLE_SECONDS) as watch:
                asyncio.run(soak.play(2 * fifth))
            versions = (shelf.other, shelf.first)
            asyncio.run(beside(soak.play(count - 4 * fifth), reload_now_and_then(service, versions, soak)))
            seconds = time.monotonic() - began
            time.sleep(SETTLE_SECONDS)
            return Found(soak, seconds, slope(watch.samples), Family(pid).peak_megabytes(), before, Open.of(pid))


def main() -> int:
    parser = bundle_parser(__doc__)
    parser.add_argument("--count", type=int, default=300_000, metavar="N")
    arguments = parser.parse_args()
    with bundle_or_tiny(arguments.bundle) as bundle:
        found = run(bundle, arguments.count)
    print(*found.lines(), sep="\n")
    return not found.passed


if __name__ == "__main__":
    sys.exit(main())
