"""The yardstick: what a service must do for a ticket and no more, on plain uvicorn. None of our limits, keys or queues.

    python -m tests.benchmarks.plain BUNDLE PORT [--echo]

The same parsing, cleaning, encoding, judging, rendering, metrics and log line as the service, two runner threads that
take what waits in greedy batches. With `--echo` the body comes back as it went in: the cost of HTTP itself.
"""

import argparse
import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import structlog
import uvicorn
from prometheus_client import CollectorRegistry
from ulid import ULID

from models.bundle.bundle import Bundle, open_bundle
from models.encoding import Batch, Encoding
from models.scoring import Verdict
from models.text.prepare import prepare
from service.api.convert import decision_out, ticket_of
from service.api.parse import parse_route
from service.decision import Decision, ModelIdentity
from service.inference.onnx_session import open_runner
from service.logs import configure_logging
from service.metrics.metrics import Metrics

RUNNERS = 2
MOST_ROWS = 8
"""Of a batch: more gained nothing in the bare loop."""
_JSON = [(b"content-type", b"application/json")]

_log = structlog.get_logger()

Waiting = tuple[Encoding, "asyncio.Future[Verdict]"]
Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Runners:
    """Two threads; a free one takes the waiting tickets, at most MOST_ROWS."""

    def __init__(self, infer: Callable[[Batch], list[Verdict]], pad: Callable[[list[Encoding]], Batch]) -> None:
        self._infer = infer
        self._pad = pad
        self._waiting: deque[Waiting] = deque()
        self._free = RUNNERS
        self._threads = ThreadPoolExecutor(RUNNERS)

    def submit(self, encoding: Encoding) -> "asyncio.Future[Verdict]":
        loop = asyncio.get_running_loop()
        reply: asyncio.Future[Verdict] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._start)  # tickets of one iteration of the loop are run together
        self._waiting.append((encoding, reply))
        return reply

    def _start(self) -> None:
        while self._waiting and self._free:
            batch = [self._waiting.popleft() for _ in range(min(MOST_ROWS, len(self._waiting)))]
            self._free -= 1
            run = asyncio.get_running_loop().run_in_executor(self._threads, self._run, [each for each, _ in batch])
            run.add_done_callback(lambda done, batch=batch: self._finish(batch, done.result()))  # type: ignore[misc]

    def _run(self, encodings: list[Encoding]) -> list[Verdict]:
        return self._infer(self._pad(encodings))

    def _finish(self, batch: list[Waiting], verdicts: list[Verdict]) -> None:
        self._free += 1
        for (_, reply), verdict in zip(batch, verdicts, strict=True):
            reply.set_result(verdict)
        self._start()


class Plain:
    """The ASGI application."""

    def __init__(self, bundle: Bundle) -> None:
        runner = open_runner(bundle.read(bundle.fp32.entry.file), "cpu", 1)
        self._bundle = bundle
        self._runners = Runners(lambda batch: bundle.fp32.judge_batch(runner.run(batch)), bundle.encoder.batch)
        self._metrics = Metrics(CollectorRegistry())
        self._metrics.create_request_series([("/v1/route", "POST", 200)])
        department, *further = bundle.manifest.label_space()
        self._metrics.create_decision_series(department.labels, [field.name for field in further])
        self._model = ModelIdentity(bundle.version, "fp32", bundle.manifest.text_version)

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        loop = asyncio.get_running_loop()
        started, body = loop.time(), await _body(receive)
        ticket = ticket_of(parse_route(body))
        text = prepare(ticket)
        encoding = self._bundle.encode(text.text)
        verdict = await self._runners.submit(encoding)
        decision = Decision(str(ULID()), ticket.id, verdict, tuple(sorted(text.flags)), self._model)
        self._metrics.record_result("model", len(encoding.ids), encoding.truncated)
        self._metrics.record_decision(decision)
        await _answer(send, decision_out(decision).model_dump_json().encode())
        seconds, route = loop.time() - started, scope["path"]
        self._metrics.record_request(route, "POST", 200, seconds)
        _log.info("request", route=route, method="POST", code=200, seconds=round(seconds, 4), request_id=str(ULID()))


async def echo(_scope: dict[str, Any], receive: Receive, send: Send) -> None:
    """The body, as it came."""
    await _answer(send, await _body(receive))


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _answer(send: Send, content: bytes) -> None:
    headers = [*_JSON, (b"content-length", str(len(content)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": content})


def main() -> None:
    parser = argparse.ArgumentParser(description="The yardstick: a plain service without limits.")
    parser.add_argument("bundle", type=Path)
    parser.add_argument("port", type=int)
    parser.add_argument("--echo", action="store_true", help="send each body back, and nothing more")
    asked = parser.parse_args()
    configure_logging("info")
    app: Any = echo if asked.echo else Plain(open_bundle(asked.bundle))
    options: dict[str, Any] = {"loop": "uvloop", "http": "httptools", "lifespan": "off", "log_config": None}
    uvicorn.run(app, port=asked.port, access_log=False, **options)


if __name__ == "__main__":
    main()
