"""The same route on a stock FastAPI and uvicorn, to show that what the catalogue asks for is not given by them.

`python -m tests.faults.stock PORT [httptools|h11]`
"""

import contextlib
import socket
import subprocess
import sys
from collections.abc import Iterator

from tests.support.process import ROOT
from tests.support.waiting import refused, wait_until


@contextlib.contextmanager
def stock(http: str) -> Iterator[int]:
    """The port of one, in a process of its own."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = int(free.getsockname()[1])
    command = [sys.executable, "-m", "tests.faults.stock", str(port), http]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: not refused(port), 30)
        yield port
    finally:
        process.kill()
        process.wait()


def main() -> None:
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel, ConfigDict

    class Ticket(BaseModel):
        model_config = ConfigDict(extra="forbid")
        body: str

    app = FastAPI()

    @app.post("/v1/route")
    async def route(ticket: Ticket) -> dict[str, object]:
        return {"outcome": "review", "length": len(ticket.body)}

    @app.get("/v1/model")
    async def model() -> dict[str, str]:
        return {"version": "1"}

    http = "h11" if sys.argv[2] == "h11" else "httptools"
    uvicorn.run(app, port=int(sys.argv[1]), http=http, log_level="critical")


if __name__ == "__main__":
    main()
