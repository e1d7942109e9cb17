"""Two uvicorn servers on one loop, from the first bound port to the last answered request.

Order at start: both ports are bound (a taken one fails before seconds go into loading), the management port answers,
the bundle is loaded and checked, and only then does the public port listen.
"""

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_address

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI

from models.errors import TicketRouterError
from service.app import App, create_app
from service.http.protocol import ProblemProtocol, observed
from service.settings import Settings

Address = IPv4Address | IPv6Address

KEEP_ALIVE_SECONDS = 5
LAST_CALL_SECONDS = 0.1
"""After the port closed, connections stay open this long: what was sent just before is still read and answered."""
REFUSE_AFTER = 0.8
"""Share of the drain time after which what still waits gets its 503, so that the answer can still be sent."""
BODY_GRACE_SECONDS = 2
"""After the signal a body that is still being sent has this long; its client gets a 503 and tries another instance."""
MANAGEMENT_DRAIN_SECONDS = 1
POLL_SECONDS = 0.01
BACKLOG = 2048

_log = structlog.get_logger()


class PortError(TicketRouterError):
    """A port cannot be bound."""


class _Server(uvicorn.Server):
    """A uvicorn server that leaves the signals to us, since two of them share one process."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    def stop_listening(self) -> None:
        for server in self.servers:
            server.close()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        TicketRouterError: it cannot start; the message says why.
    """
    with contextlib.ExitStack() as stack:
        public = stack.enter_context(_bind(settings.host, settings.port))
        management = stack.enter_context(_bind(settings.management_host, settings.management_port))
        _refuse_one_port(public, management)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, public, management))


async def _serve(settings: Settings, public: socket.socket, management: socket.socket) -> None:
    app = create_app(settings)
    stop = _stop_signal()
    watch = _server(app.management, ProblemProtocol, MANAGEMENT_DRAIN_SECONDS)
    try:
        async with _running(watch, management, stop):
            if await _started(app, stop):
                await _serve_public(app, public, management, stop)
    finally:
        await app.stop()


async def _serve_public(app: App, public: socket.socket, management: socket.socket, stop: asyncio.Event) -> None:
    drain_seconds = app.settings.drain_seconds
    server = _server(app.public, observed(app.malformed), drain_seconds)
    async with _running(server, public, stop):
        _log.info("listening", port=public.getsockname()[1], management_port=management.getsockname()[1])
        await stop.wait()
        refuse_after = REFUSE_AFTER * drain_seconds
        app.drain(min(BODY_GRACE_SECONDS, refuse_after))
        _log.info("draining", at_most_seconds=drain_seconds)
        asyncio.get_running_loop().call_later(refuse_after, app.router.engine.batcher.refuse)
    _log.info("drained")


async def _started(app: App, stop: asyncio.Event) -> bool:
    """Start the app; False when a signal came first."""
    start = asyncio.create_task(app.start())
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((start, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if start.done():
        await start
        return True
    return False


@contextlib.asynccontextmanager
async def _running(server: _Server, listener: socket.socket, stop: asyncio.Event) -> AsyncIterator[None]:
    """The server accepts inside; afterwards it has answered what it had accepted, or its drain time is over."""
    _listen(listener)
    task = asyncio.create_task(server.serve([listener]))
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has a flag and no event
        await asyncio.sleep(POLL_SECONDS)
    if task.done():
        await task
    # A server that ends by itself ends the process: half a service is worse than a restart.
    task.add_done_callback(lambda _done: stop.set())
    try:
        yield
    finally:
        server.stop_listening()
        await asyncio.sleep(LAST_CALL_SECONDS)
        server.should_exit = True
        await task


def _server(app: FastAPI, protocol: type[ProblemProtocol], drain_seconds: float) -> _Server:
    config = uvicorn.Config(
        app,
        http=protocol,
        ws="none",
        lifespan="off",
        backlog=BACKLOG,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=math.ceil(drain_seconds),
    )
    return _Server(config)


def _refuse_one_port(public: socket.socket, management: socket.socket) -> None:
    """Two sockets may be bound to one port until the first listens, so binding them has not shown it."""
    (host, port, *_), (other, other_port, *_) = public.getsockname(), management.getsockname()
    if port == other_port and _overlap(ip_address(host), ip_address(other)):
        raise PortError(f"--port and --management-port are both {port}; give each its own")


def _overlap(one: Address, other: Address) -> bool:
    """Equal, or one is any address; IPv6's any takes IPv4 too."""
    pairs = ((one, other), (other, one))
    return one == other or any(any_.is_unspecified and (any_.version == 6 or of.version == 4) for any_, of in pairs)


def _bind(host: str, port: int) -> socket.socket:
    """A bound socket that does not listen yet: until the service is ready, clients are refused and not kept waiting."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise PortError(f"cannot listen on {host} port {port}: {error.strerror}; choose another") from error
    return listener


def _listen(listener: socket.socket) -> None:
    """Two sockets may be bound to one port as long as neither listens, so that it is taken may show only now."""
    try:
        listener.listen(BACKLOG)
    except OSError as error:
        port = listener.getsockname()[1]
        raise PortError(f"cannot listen on port {port}: {error.strerror}; choose another") from error


def _stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop
