"""`python -m service` that logs every second the longest stall of its loop: CPU of its thread between two checks.

`serving(…, module="tests.benchmarks.ticking")` starts it. It checks once a millisecond; time in which the loop waits
for a processor or the interpreter is not the loop's own work, and is not counted.
"""

import asyncio
import sys
import time
from typing import Any

import structlog

from service.cli.main import main
from service.server import serve

EVENT = "loop away"
LOOK_SECONDS = 0.001
SAY_SECONDS = 1.0

_log = structlog.get_logger()
_serve_public = serve.serve_public


async def tick() -> None:
    """Runs until it is cancelled."""
    last, worst, said = time.thread_time(), 0.0, time.monotonic()
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        now = time.thread_time()
        worst, last = max(worst, now - last), now
        if time.monotonic() - said >= SAY_SECONDS:
            _log.info(EVENT, milliseconds=round(1000 * worst, 1))
            worst, said = 0.0, time.monotonic()


async def serve_ticking(*arguments: Any, **options: Any) -> None:
    ticking = asyncio.create_task(tick())
    try:
        await _serve_public(*arguments, **options)
    finally:
        ticking.cancel()


if __name__ == "__main__":
    serve.serve_public = serve_ticking
    sys.exit(main(sys.argv[1:]))
