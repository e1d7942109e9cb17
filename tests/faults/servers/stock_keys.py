"""The service's routes on stock FastAPI and uvicorn, written as in their tutorials, to show what that leaks.

`python -m tests.faults.servers.stock_keys PORT`. Keys by HTTPBearer, docs at their default paths, uvicorn's own log.
"""

import contextlib
import secrets
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.support.process import ROOT
from tests.support.waiting import refused, wait_until


@dataclass(frozen=True, slots=True)
class Stock:
    """A stock application that listens, in its own process; `log` has all its output."""

    port: int
    log: Path


@contextlib.contextmanager
def stock_with_keys(folder: Path, *keys: str) -> Iterator[Stock]:
    """The first key is for tickets, the second for administrators. `folder` holds its bundles and its log."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "tests.faults.servers.stock_keys", str(port), str(folder), *keys]
    with (folder / "log").open("w") as log:
        process = _started(command, log)
        try:
            wait_until(lambda: not refused(port), 30)
            yield Stock(port, folder / "log")
        finally:
            process.terminate()
            process.wait()


def _started(command: list[str], log: IO[str]) -> "subprocess.Popen[str]":
    return subprocess.Popen(command, cwd=ROOT, stdout=log, stderr=log, text=True)


def main() -> None:
    import uvicorn
    from fastapi import Depends, FastAPI, HTTPException, Request
    from fastapi.responses import HTMLResponse
    from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
    from pydantic import BaseModel, ConfigDict, Field

    port, folder, ticket_key, admin_key = int(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]

    class Ticket(BaseModel):
        model_config = ConfigDict(extra="forbid")
        id: str | None = None
        subject: str = ""
        body: str = ""
        sender: str = Field(default="", alias="from")
        to: list[str] = []
        headers: dict[str, str] = {}
        content_type: str = "text/plain"

    class Reload(BaseModel):
        bundle: str

    app, bearer = FastAPI(), HTTPBearer()

    def needs(key: str) -> object:
        def check(given: HTTPAuthorizationCredentials = Depends(bearer)) -> None:  # noqa: B008 FastAPI's way
            if not secrets.compare_digest(given.credentials, key):
                raise HTTPException(401, "wrong key")

        return Depends(check)

    @app.post("/v1/route", dependencies=[needs(ticket_key)])
    async def route(ticket: Ticket, request: Request) -> dict[str, object]:
        seconds = float(request.headers.get("X-Request-Timeout", "10"))
        return {"outcome": "review", "ticket_id": ticket.id, "length": len(ticket.body), "seconds": seconds}

    @app.post("/v1/route/batch", dependencies=[needs(ticket_key)])
    async def batch(tickets: dict[str, list[Ticket]]) -> int:
        return len(tickets)

    @app.get("/v1/model", dependencies=[needs(ticket_key)])
    async def model() -> dict[str, str]:
        return {"version": "1"}

    @app.post("/admin/reload", dependencies=[needs(admin_key)])
    async def reload(wanted: Reload) -> str:
        if not (folder / wanted.bundle / "manifest.json").exists():
            raise HTTPException(409, f"no bundle {wanted.bundle}")
        return (folder / wanted.bundle / "manifest.json").read_text()

    @app.get("/admin/status", dependencies=[needs(admin_key)])
    async def status() -> dict[str, str]:
        return {"phase": "ready"}

    @app.get("/metrics")
    async def metrics() -> HTMLResponse:
        return HTMLResponse("up 1")

    uvicorn.run(app, port=port)


if __name__ == "__main__":
    main()
