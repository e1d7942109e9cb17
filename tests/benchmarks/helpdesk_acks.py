"""How fast deliveries are acknowledged while the helpdesk that they come from hangs.

    python -m tests.benchmarks.helpdesk_acks [--rate 50] [--seconds 60] [--bundle FOLDER]

Deliveries are sent at fixed times, whatever the answers; each is timed from its time on. The exit status is 1 if the
99th percentile exceeds 300 ms, an answer is not 200, or a ticket was written although the helpdesk hung.
"""

import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import numpy as np

from models.scoring import Outcome
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.support.helpdesks.connected import connected, samples_of, webhook_url, zendesk_table
from tests.support.helpdesks.zendesk import running_zendesk
from tests.support.waiting import wait_until

LIMIT_MILLISECONDS = 300.0
SENDERS = 64
WARM = 50


def measure(bundle: Path, folder: Path, rate: float, seconds: float) -> np.ndarray:
    """The milliseconds of each acknowledgement."""
    sample = samples_of(bundle, Outcome.ROUTE)[0]
    with (
        running_zendesk() as zendesk,
        connected(bundle, folder, zendesk_table(zendesk)) as service,
        httpx.Client(timeout=30, limits=httpx.Limits(max_connections=SENDERS)) as client,
        ThreadPoolExecutor(SENDERS) as pool,
    ):
        wait_until(lambda: service.counts("connection_up") == 1, 60)
        zendesk.set_fault("hang")
        numbers = [
            zendesk.new_ticket(sample.subject, f"{sample.body} {number}")
            for number in range(int(rate * seconds) + WARM)
        ]
        url = webhook_url(service)

        def send(number: int, moment: float) -> float:
            time.sleep(max(0.0, moment - time.perf_counter()))
            answer = zendesk.send(client, url, number)
            assert answer.status_code == 200, answer.text
            return (time.perf_counter() - moment) * 1000

        list(pool.map(send, numbers[:WARM], [0.0] * WARM))
        start = time.perf_counter() + 0.5
        moments = [start + place / rate for place in range(len(numbers) - WARM)]
        times = list(pool.map(send, numbers[WARM:], moments))
        assert not zendesk.audits, "the helpdesk did not hang"
        return np.array(times)


def main() -> int:
    parser = bundle_parser(__doc__)
    parser.add_argument("--rate", type=float, default=50, metavar="N", help="deliveries a second")
    parser.add_argument("--seconds", type=float, default=60, metavar="S")
    options = parser.parse_args()
    with bundle_or_tiny(options.bundle) as bundle, tempfile.TemporaryDirectory(prefix="acks-") as folder:
        times = measure(bundle, Path(folder), options.rate, options.seconds)
    p50, p99 = np.percentile(times, (50, 99))
    print(
        f"{len(times)} deliveries at {options.rate:.0f}/s: p50 {p50:.0f} ms, p99 {p99:.0f} ms, max {times.max():.0f} ms"
    )
    return int(p99 > LIMIT_MILLISECONDS)


if __name__ == "__main__":
    sys.exit(main())
