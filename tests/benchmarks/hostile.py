"""The cost of hostile mails, texts, HTML and JSON: CPU, growth, memory, and stalls of the event loop.

`python -m tests.benchmarks.hostile [BUNDLE] [--only WORD]`. With a bundle, tokenising counts too. CPU is a service
thread's time for one input of 1 MB (a batch: 4 MB), within its budgets; growth compares that size with a quarter of it,
without budgets; memory is the peak that Python allocates; stall is the most CPU between two turns of an event loop
while `CpuPool` works on four inputs.
"""

import argparse
import asyncio
import contextlib
import gc
import math
import sys
import time
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from models.bundle.bundle import Bundle, open_bundle
from models.cpu_budget import MAIL_SECONDS, TEXT_SECONDS, UNLIMITED, Budget
from models.errors import TooComplex
from models.mail.parse import MAX_MAIL_BYTES, parse_email
from models.text.prepare import prepare
from models.ticket import Ticket
from service.api.convert import ticket_of, tickets_of
from service.api.parse import BatchParser, parse_route
from service.app import SWITCH_SECONDS
from service.context import RequestContext
from service.errors import ServiceError
from service.routing.cpu_pool import CpuPool
from service.routing.read import read_mail, read_text
from tests.unit.models.mail.hostile_mails import MAILS
from tests.unit.models.text.hostile_texts import HTML, TEXTS
from tests.unit.service.api import hostile_bodies

SIZE = 1_000_000
BATCH_SIZE = 4_000_000
BATCHES = BatchParser(256)
CPU_LIMIT_MS, GROWTH_LIMIT, STALL_LIMIT_MS = 250, 6, 50
AT_ONCE = 4
TICK_SECONDS = 0.001
LEAST_SECONDS = 0.02
"""Shorter times are not compared: their growth is the timer's."""

Encode = Callable[[str], object]

PATIENT = RequestContext(math.inf)


@dataclass(frozen=True, slots=True)
class Input:
    """`read` does the work of a thread for the input, `serve` the work of the service on its loop."""

    read: Callable[[bool], object]
    """Within the budgets or without."""
    serve: Callable[[CpuPool], "asyncio.Future[object]"]


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    size: int
    build: Callable[[int], Input]


@dataclass(frozen=True, slots=True)
class Figures:
    name: str
    cpu_ms: float
    growth: float
    peak_mb: float
    stall_ms: float
    unread: bool

    @property
    def holds(self) -> bool:
        return self.cpu_ms <= CPU_LIMIT_MS and self.growth <= GROWTH_LIMIT and self.stall_ms <= STALL_LIMIT_MS


def cases(encode: Encode) -> Iterator[Case]:
    for name, text in TEXTS.items():
        for subject in ("", "Re: x", "Fwd: x"):
            yield Case(f"text: {name} {subject}", SIZE, lambda n, b=text, s=subject: _ticket(Ticket(s, b(n)), encode))
    for name, text in HTML.items():
        yield Case(f"HTML: {name}", SIZE, lambda n, b=text: _ticket(Ticket("x", b(n), "text/html"), encode))
    for name, mail in MAILS.items():
        yield Case(f"mail: {name}", MAX_MAIL_BYTES, lambda n, b=mail: _mail(b(n)[:n], encode))
    for name, body in hostile_bodies.ROUTE.items():
        yield Case(f"JSON: {name}", SIZE, lambda n, b=body: _json(b(n), lambda raw: ticket_of(parse_route(raw))))
    for name, body in hostile_bodies.BATCH.items():
        yield Case(f"batch: {name}", BATCH_SIZE, lambda n, b=body: _json(b(n), lambda r: tickets_of(BATCHES.parse(r))))


def _ticket(ticket: Ticket, encode: Encode) -> Input:
    def read(limited: bool) -> None:
        encode(prepare(ticket, Budget(TEXT_SECONDS) if limited else UNLIMITED).text)

    async def serve(cpu_pool: CpuPool) -> None:
        _, text = await read_text(cpu_pool, ticket, PATIENT)
        await cpu_pool.run(len(text.text), lambda: encode(text.text), PATIENT)

    return Input(read, serve)


def _mail(raw: bytes, encode: Encode) -> Input:
    def read(limited: bool) -> None:
        ticket = parse_email(raw, Budget(MAIL_SECONDS) if limited else UNLIMITED)
        _ticket(ticket, encode).read(limited)

    async def serve(cpu_pool: CpuPool) -> None:
        await _ticket(await read_mail(cpu_pool, raw, PATIENT), encode).serve(cpu_pool)

    return Input(read, serve)


def _json(raw: bytes, parse: Callable[[bytes], object]) -> Input:
    def read(_limited: bool) -> None:
        with contextlib.suppress(ServiceError):
            parse(raw)

    async def serve(cpu_pool: CpuPool) -> None:
        await cpu_pool.run(len(raw), lambda: read(True), PATIENT)

    return Input(read, serve)


def measure(case: Case, *, rounds: int = 3) -> Figures:
    whole, quarter = case.build(case.size), case.build(case.size // 4)
    cpu, unread = _cpu(lambda: whole.read(True), rounds)
    long, short = (_cpu(lambda each=each: each.read(False), rounds)[0] for each in (whole, quarter))
    growth = long / max(short, LEAST_SECONDS / 4)
    stall = min(uvloop.run(_stall(whole)) for _ in range(rounds))
    return Figures(case.name, 1000 * cpu, growth, _peak(whole), 1000 * stall, unread)


def _cpu(work: Callable[[], object], rounds: int) -> tuple[float, bool]:
    """The minimum of the rounds, since the machine may be busy; and whether the budget ended it."""
    best, unread = float("inf"), False
    for _ in range(rounds):
        gc.collect()
        start = time.thread_time()
        try:
            work()
            unread = False
        except TooComplex:
            unread = True
        best = min(best, time.thread_time() - start)
    return best, unread


def _peak(each: Input) -> float:
    tracemalloc.start()
    try:
        each.read(False)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()


async def _stall(each: Input) -> float:
    """CPU time of the whole process between two turns of the loop, so that other processes do not count."""
    cpu_pool, worst = CpuPool(), 0.0
    work = asyncio.gather(*(each.serve(cpu_pool) for _ in range(AT_ONCE)))
    last = time.process_time()
    while not work.done():
        await asyncio.sleep(TICK_SECONDS)
        now = time.process_time()
        worst, last = max(worst, now - last), now
    await work
    cpu_pool.close()
    return worst


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path)
    parser.add_argument("--only", default="", metavar="WORD", help="cases whose name has it")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    sys.setswitchinterval(SWITCH_SECONDS)
    bundle: Bundle | None = open_bundle(options.bundle) if options.bundle else None
    encode: Encode = bundle.encode if bundle else len
    encode("warm: ä\u0301")
    chosen = [case for case in cases(encode) if options.only in case.name]
    print(f"{'case':60} {'CPU ms':>7} {'4n/n':>5} {'MB':>6} {'stall':>6}")
    figures = []
    for case in chosen:
        figures.append(measure(case, rounds=options.rounds))
        _show(figures[-1])
    print(f"\n{len(figures)} cases, {sum(not one.holds for one in figures)} over a limit; worst:")
    for key in ("cpu_ms", "growth", "peak_mb", "stall_ms"):
        worst = max(figures, key=lambda one: getattr(one, key))
        print(f"  {key:8} {getattr(worst, key):7.1f}  {worst.name}")
    return not all(one.holds for one in figures)


def _show(one: Figures) -> None:
    mark = ("" if one.holds else " OVER") + (" unread" if one.unread else "")
    print(f"{one.name:60} {one.cpu_ms:7.1f} {one.growth:5.1f} {one.peak_mb:6.1f} {one.stall_ms:6.1f}{mark}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
