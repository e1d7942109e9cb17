"""The same route on stock FastAPI and uvicorn, to compare the service with.

Mails are read by the standard library's `email`, HTML by its `html.parser`: the usual choice. Its metrics count by
path, as examples do.

`python -m tests.faults.servers.stock PORT httptools|h11 LOG_LEVEL`
"""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from html.parser import HTMLParser

from tests.support.process import ROOT
from tests.support.waiting import refused, wait_until


@dataclass(frozen=True, slots=True)
class Stock:
    """A stock application that listens, in its own process."""

    process: "subprocess.Popen[bytes]"
    port: int


@contextlib.contextmanager
def started(http: str = "httptools", *, log: int = subprocess.DEVNULL) -> Iterator[Stock]:
    """`log`: the file for its access log; None: no access log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    level = "critical" if log == subprocess.DEVNULL else "info"
    command = [sys.executable, "-m", "tests.faults.servers.stock", str(port), http, level]
    process = subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: not refused(port), 30)
        yield Stock(process, port)
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()


@contextlib.contextmanager
def stock(http: str) -> Iterator[int]:
    """The port of a running stock application."""
    with started(http) as running:
        yield running.port


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_data(self, data: str) -> None:
        self.found.append(data)


def text_of_html(source: str) -> str:
    parser = _Text()
    parser.feed(source)
    parser.close()
    return " ".join(" ".join(parser.found).split())


def text_of_mail(raw: bytes) -> str:
    message = message_from_bytes(raw, policy=policy.default)
    body = message.get_body(("plain", "html"))
    names = [part.get_filename() for part in message.iter_attachments()]
    people = [str(message[name]) for name in ("from", "to", "cc", "subject")]
    text = body.get_content() if body is not None else ""
    if body is not None and body.get_content_type() == "text/html":
        text = text_of_html(text)
    return " ".join([*people, *map(str, names), text])


def main() -> None:
    from typing import Annotated

    import uvicorn
    from fastapi import Body, FastAPI, Request, Response
    from prometheus_client import Counter, generate_latest
    from pydantic import BaseModel, ConfigDict

    class Ticket(BaseModel):
        model_config = ConfigDict(extra="forbid")
        body: str
        content_type: str = "text/plain"

    app = FastAPI()
    counted = Counter("http_requests", "Requests.", ("method", "path", "status"))

    @app.middleware("http")
    async def count(request: Request, call_next: Callable[[Request], Awaitable[Response]]) -> Response:
        response = await call_next(request)
        counted.labels(request.method, request.url.path, response.status_code).inc()
        return response

    @app.get("/metrics")
    async def metrics() -> Response:
        return Response(generate_latest())

    @app.post("/v1/route")
    async def route(ticket: Ticket) -> dict[str, object]:
        text = text_of_html(ticket.body) if ticket.content_type == "text/html" else ticket.body
        return {"outcome": "review", "length": len(text)}

    @app.post("/v1/mail")
    def mail(raw: Annotated[bytes, Body(media_type="message/rfc822")]) -> dict[str, object]:
        return {"outcome": "review", "length": len(text_of_mail(raw))}

    @app.get("/v1/model")
    async def model() -> dict[str, str]:
        return {"version": "1"}

    http = "h11" if sys.argv[2] == "h11" else "httptools"
    uvicorn.run(app, port=int(sys.argv[1]), http=http, log_level=sys.argv[3])


if __name__ == "__main__":
    main()
