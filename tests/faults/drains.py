"""SIGTERM at a random moment under load: `python -m tests.faults.drains --count 100`.

Fourteen clients: six send tickets, four send batches of 64, four send mails with a connection for each. A client sends
its next request up to 20 ms after a response, over a new connection after `Connection: close`, until its connection is
refused. Each request ends in one of three ways:

- answered: the whole response came, with any status; 5xx are counted apart;
- refused: the port was closed. Nothing was sent, so nothing is lost;
- lost: the request was sent on an open connection, and no whole response came. None may be lost: neither accepted
  requests, nor those waiting in the port's queue, nor those sent on a kept connection that was closed without an
  announcement.

`--proxy`: two services behind haproxy with deploy/haproxy.cfg, stopped and started again in turn; the clients see only
the proxy, and continue for a second after the stop.
"""

import contextlib
import itertools
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from statistics import median

from tests.benchmarks.rollout.members import members
from tests.benchmarks.rollout.proxy import haproxy
from tests.faults.clients.load import LOST, MIXED, REFUSED, Load, Tally
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.faults.servers.stock import started
from tests.support.process import serving
from tests.support.waiting import wait_until

SLOWLY = ("--runners", "1", "--max-batch-tokens", "64", "--cache-entries", "0")
"""So that requests always wait behind the batch that runs."""
LOAD_SECONDS = (0.05, 0.6)
STOP_SECONDS = 30
AFTER_SECONDS = 1.0
"""How long the load continues after one of two services has stopped."""


@dataclass(frozen=True, slots=True)
class Drained:
    """`under_way`: requests sent and not answered at the moment of the signal."""

    tally: Tally
    under_way: int
    exit_status: int
    seconds: float

    @property
    def passed(self) -> bool:
        return not self.tally.ends[LOST] and not self.tally.server_errors and not self.exit_status


def drain(bundle: Path, random: Random, flags: Sequence[str] = ()) -> Drained:
    with serving(bundle, *SLOWLY, *flags) as service, Load(service.port, MIXED) as load:
        wait_until(lambda: load.tally.answered >= len(MIXED))
        time.sleep(random.uniform(*LOAD_SECONDS))
        under_way, began = load.tally.under_way, time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        load.join()
        return Drained(load.tally, under_way, service.process.wait(STOP_SECONDS), time.monotonic() - began)


@contextlib.contextmanager
def proxied(bundle: Path) -> Iterator[Callable[[Random], Drained]]:
    """Two services behind the proxy: each call stops one under load, alternately, and starts it again."""
    with (
        tempfile.TemporaryDirectory() as name,
        members(bundle, Path(name), 2, SLOWLY) as services,
        haproxy(services, Path(name)) as proxy,
    ):
        turns = itertools.cycle(services)

        def drain_one(random: Random) -> Drained:
            stopping = next(turns)
            with Load(proxy.port, MIXED) as load:
                wait_until(lambda: load.tally.answered >= len(MIXED))
                time.sleep(random.uniform(*LOAD_SECONDS))
                under_way, began = load.tally.under_way, time.monotonic()
                status = stopping.stop()
                seconds = time.monotonic() - began
                time.sleep(AFTER_SECONDS)
            stopping.start(bundle)
            stopping.wait_until_ready()
            proxy.wait_until_up(stopping)
            return Drained(load.tally, under_way, status, seconds)

        yield drain_one


def drain_stock(random: Random) -> Drained:
    """The same with a stock application, which answers most requests with 4xx."""
    with started() as app, Load(app.port, MIXED) as load:
        wait_until(lambda: load.tally.answered >= len(MIXED))
        time.sleep(random.uniform(*LOAD_SECONDS))
        under_way, began = load.tally.under_way, time.monotonic()
        app.process.terminate()
        load.join()
        return Drained(load.tally, under_way, app.process.wait(STOP_SECONDS), time.monotonic() - began)


def report(found: list[Drained]) -> str:
    ends = sum((each.tally.ends for each in found), Counter[int | str]())
    refused, lost = ends.pop(REFUSED, 0), ends.pop(LOST, 0)
    codes = ", ".join(f"{count} with {code}" for code, count in sorted(ends.items(), key=str))
    seconds, under_way = [each.seconds for each in found], [each.under_way for each in found]
    return "\n".join(
        [
            f"{len(found)} drains, exit status 0 of {sum(each.exit_status == 0 for each in found)}",
            f"{ends.total()} requests answered ({codes}), {lost} lost; {refused} refused after the port had closed",
            f"under way at the signal: {median(under_way):.0f}, {min(under_way)} at least",
            f"from the signal to the end: {median(seconds):.2f} s, {max(seconds):.2f} s at most",
        ]
    )


def main() -> int:
    parser = bundle_parser(__doc__)
    parser.add_argument("--count", type=int, default=100, metavar="N")
    parser.add_argument("flags", nargs="*", help="flags for the service, after --")
    parser.add_argument("--stock", action="store_true", help="a stock application instead, to compare")
    parser.add_argument("--proxy", action="store_true", help="two services behind haproxy instead")
    arguments = parser.parse_args()
    if arguments.stock:
        print(report([drain_stock(Random(number)) for number in range(arguments.count)]))
        return 0
    with bundle_or_tiny(arguments.bundle) as bundle, contextlib.ExitStack() as stack:
        one = stack.enter_context(proxied(bundle)) if arguments.proxy else partial(drain, bundle, flags=arguments.flags)
        found = [one(Random(number)) for number in range(arguments.count)]
    print(report(found))
    return not all(each.passed for each in found)


if __name__ == "__main__":
    sys.exit(main())
