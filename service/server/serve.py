"""Runs the process: one uvicorn server each for the public and the management port, from start to drained stop.

Order at start: bind both ports (a port in use must fail before the slow loading), serve the management port, load and
check the bundle, and only then listen on the public port.
"""

import asyncio
import contextlib
import math
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from functools import partial
from ipaddress import ip_address
from typing import Any

import structlog
import uvicorn
import uvloop
from fastapi import FastAPI
from starlette.types import ASGIApp

from models.build import build
from service.access.access import watch_keys_file
from service.app import App, create_app
from service.http.browsers import NOSNIFF
from service.server.limits import MANAGEMENT, MANAGEMENT_CONNECTIONS, PUBLIC, allowed_connections
from service.server.malloc import fix_mmap_threshold
from service.server.protocol import LimitedProtocol, Port
from service.server.reload_triggers import reload_triggers
from service.server.sockets import BACKLOG, bind, listen, refuse_one_port
from service.settings import Settings

CLOSE_DELAY_SECONDS = 0.1
"""At the end, connections stay open this long, so that requests that are already on their way get a response."""
REFUSE_AFTER = 0.8
"""Share of the drain time after which waiting tickets get a 503, so that there is time to send the response."""
BODY_GRACE_SECONDS = 2
"""Time after the signal for bodies that are still being received; then their clients get a 503, and can try another
instance."""
MANAGEMENT_DRAIN_SECONDS = 1
TICK_SECONDS = 0.1
"""uvicorn's, between two calls of `on_tick`."""
POLL_SECONDS = 0.01

_log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        TicketRouterError: the service cannot start.
    """
    _log.info("starting", **build()._asdict())
    fix_mmap_threshold()
    with contextlib.ExitStack() as stack:
        public = stack.enter_context(bind(settings.host, settings.port))
        management = stack.enter_context(bind(settings.management_host, settings.management_port))
        refuse_one_port(public, management)
        warn_without_keys(settings, public, management)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, public, management))


async def _serve(settings: Settings, public: socket.socket, management: socket.socket) -> None:
    app = create_app(settings)
    app.access.open()
    stop = stop_signal()

    def on_listening() -> None:
        _log.info("listening", port=public.getsockname()[1], management_port=management.getsockname()[1])

    try:
        async with (
            watch_keys_file(app.access),
            reload_triggers(app.admin, app.access, settings),
            run_server(management_server(app.management), management, stop),
        ):
            if await start_unless_stopped(app.start(), stop):
                await serve_public(app, public, stop, on_listening)
    finally:
        await app.stop()


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers (two servers share the process), and with the deadlines of
    `Port`."""

    def __init__(self, config: uvicorn.Config, port: Port) -> None:
        super().__init__(config)
        self._port = port
        self._ticked: float | None = None

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """uvicorn calls this method ten times a second."""
        now = asyncio.get_running_loop().time()
        self._port.close_overdue(now)
        if self._ticked is not None:
            self._port.on_lag(max(0.0, now - self._ticked - TICK_SECONDS))
        self._ticked = now
        return await super().on_tick(counter)

    def close_after_response(self) -> None:
        """Send `Connection: close` with every response from now on. Closing idle connections instead is a race: a
        client may be sending a request at that moment, and would lose the request."""
        for headers in (self.config.encoded_headers, self.server_state.default_headers):
            headers.append((b"connection", b"close"))


async def serve_public(
    app: App, listener: socket.socket, stop: asyncio.Event, on_listening: Callable[[], None]
) -> None:
    """Serve until `stop` is set, then drain. `on_listening` is called as soon as the port accepts connections."""
    drain_seconds = app.settings.drain_seconds
    port = public_port(app)
    server = _server(app.public, port, drain_seconds)
    app.metrics.watch_connections(lambda: len(server.server_state.connections), port.max_connections)
    async with run_server(server, listener, stop):
        on_listening()
        await stop.wait()
        refuse_after = REFUSE_AFTER * drain_seconds
        app.drain(min(BODY_GRACE_SECONDS, refuse_after))
        _log.info("draining", at_most_seconds=drain_seconds)
        asyncio.get_running_loop().call_later(refuse_after, app.router.refuse)
    _log.info("drained")


async def start_unless_stopped(start: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Await `start`; return False if a stop signal arrives first.

    Raises:
        TicketRouterError: raised by `start`.
    """
    starting = asyncio.create_task(start)
    stopped = asyncio.create_task(stop.wait())
    await asyncio.wait((starting, stopped), return_when=asyncio.FIRST_COMPLETED)
    stopped.cancel()
    if starting.done():
        await starting
        return True
    return False


@contextlib.asynccontextmanager
async def run_server(server: Server, listener: socket.socket, stop: asyncio.Event) -> AsyncIterator[None]:
    """Accept connections inside the context. On exit, answer the accepted requests, within the drain time."""
    listen(listener)
    task = asyncio.create_task(server.serve([listener]))
    while not server.started and not task.done():  # noqa: ASYNC110 - uvicorn has only a flag
        await asyncio.sleep(POLL_SECONDS)
    if task.done():
        await task
    # If one server ends by itself, stop the process: a restart is better than a service with one port.
    task.add_done_callback(lambda _task: stop.set())
    try:
        yield
    finally:
        server.close_after_response()
        await asyncio.sleep(CLOSE_DELAY_SECONDS)
        server.should_exit = True
        await task


def public_port(app: App) -> Port:
    wanted = app.settings.max_connections
    if (allowed := allowed_connections(wanted)) < wanted:
        _log.warning("fewer connections allowed", allowed=allowed, max_connections=wanted, cause="limit of open files")
    metrics = app.metrics
    return Port(PUBLIC, allowed, app.record_port_refusal, metrics.connection_evicted, metrics.record_loop_lag)


def management_server(app: FastAPI) -> Server:
    """Has its own connection limit: probes and metrics work also during a flood on the public port."""
    port = Port(
        MANAGEMENT, MANAGEMENT_CONNECTIONS, lambda _error, _request_id: None, lambda: None, lambda _seconds: None
    )
    return _server(app, port, MANAGEMENT_DRAIN_SECONDS)


def _server(app: ASGIApp, port: Port, drain_seconds: float) -> Server:
    config = uvicorn.Config(
        app,
        http=partial(LimitedProtocol, port),  # type: ignore[arg-type] # uvicorn calls this like the protocol class
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        headers=[NOSNIFF],
        proxy_headers=False,
        backlog=BACKLOG,
        timeout_keep_alive=math.ceil(port.limits.idle_seconds),
        timeout_graceful_shutdown=math.ceil(drain_seconds),
    )
    return Server(config, port)


def stop_signal() -> asyncio.Event:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    return stop


def warn_without_keys(settings: Settings, *listeners: socket.socket) -> None:
    hosts = [str(listener.getsockname()[0]) for listener in listeners]
    if settings.keys_file is None and not all(ip_address(host).is_loopback for host in hosts):
        _log.warning("no keys file: every client that reaches the ports may use them; see --keys-file", hosts=hosts)
