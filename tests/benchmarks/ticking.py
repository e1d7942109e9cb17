"""`python -m service` that says every second how long its loop was away: CPU of its thread between two looks at it.

`serving(…, module="tests.benchmarks.ticking")` starts it. Looked at once a millisecond; what the loop waits for, be it
a processor or the interpreter, is no fault of what it does in a turn, and is not counted.
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
    """Until it is cancelled."""
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
