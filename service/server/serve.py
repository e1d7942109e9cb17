"""The process from the first bound port to the last answered request: uvicorn for the public and the management port.

Order at start: both ports are bound (a taken one fails before seconds go into loading), the management port answers,
the bundle is loaded and checked, and only then does the public port listen.
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

from service.access.access import following
from service.app import App, create_app
from service.http.browsers import NOSNIFF
from service.server.limits import MANAGEMENT, MANAGEMENT_CONNECTIONS, PUBLIC, allowed_connections
from service.server.malloc import return_large_pieces
from service.server.protocol import LimitedProtocol, Port
from service.server.reload_triggers import reloading
from service.server.sockets import BACKLOG, bind, listen, refuse_one_port
from service.settings import Settings

LAST_CALL_SECONDS = 0.1
"""After the port closed, connections stay open this long: what was sent just before is still read and answered."""
REFUSE_AFTER = 0.8
"""Share of the drain time after which what still waits gets its 503, so that the answer can still be sent."""
BODY_GRACE_SECONDS = 2
"""After the signal a body that is still being sent has this long; its client gets a 503 and tries another instance."""
MANAGEMENT_DRAIN_SECONDS = 1
POLL_SECONDS = 0.01

_log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        TicketRouterError: it cannot start; the message says why.
    """
    return_large_pieces()
    with contextlib.ExitStack() as stack:
        public = stack.enter_context(bind(settings.host, settings.port))
        management = stack.enter_context(bind(settings.management_host, settings.management_port))
        refuse_one_port(public, management)
        _warn_without_keys(settings, public, management)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_serve(settings, public, management))


async def _serve(settings: Settings, public: socket.socket, management: socket.socket) -> None:
    app = create_app(settings)
    app.access.open()
    stop = stop_signal()

    def on_listening() -> None:
        _log.info("listening", port=public.getsockname()[1], management_port=management.getsockname()[1])

    try:
        watch = management_server(app.management)
        async with (
            following(app.access),
            reloading(app.admin, app.access, settings),
            running(watch, management, stop),
        ):
            if await started(app.start(), stop):
                await serve_public(app, public, stop, on_listening)
    finally:
        await app.stop()


class Server(uvicorn.Server):
    """uvicorn's server without its signal handlers, since two share one process, and with the deadlines of `Port`."""

    def __init__(self, config: uvicorn.Config, port: Port) -> None:
        super().__init__(config)
        self._port = port

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def on_tick(self, counter: int) -> bool:
        """uvicorn calls it ten times a second."""
        self._port.close_late(asyncio.get_running_loop().time())
        return await super().on_tick(counter)

    def close_after_response(self) -> None:
        """Make every response from now on the last of its connection. Closing an idle connection instead is a race:
        a client that is just sending a request on it loses that request."""
        for headers in (self.config.encoded_headers, self.server_state.default_headers):
            headers.append((b"connection", b"close"))


async def serve_public(
    app: App, listener: socket.socket, stop: asyncio.Event, on_listening: Callable[[], None]
) -> None:
    """Serve from now until `stop` is set, then drain. `on_listening` is called as soon as the port accepts."""
    drain_seconds = app.settings.drain_seconds
    server = _server(app.public, public_port(app), drain_seconds)
    async with running(server, listener, stop):
        on_listening()
        await stop.wait()
        refuse_after = REFUSE_AFTER * drain_seconds
        app.drain(min(BODY_GRACE_SECONDS, refuse_after))
        _log.info("draining", at_most_seconds=drain_seconds)
        asyncio.get_running_loop().call_later(refuse_after, app.router.refuse)
    _log.info("drained")


async def started(start: Coroutine[Any, Any, None], stop: asyncio.Event) -> bool:
    """Start; False when a signal came first.

    Raises:
        TicketRouterError: what `start` raised.
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
async def running(server: Server, listener: socket.socket, stop: asyncio.Event) -> AsyncIterator[None]:
    """The server accepts inside; afterwards it has answered what it had accepted, or its drain time is over."""
    listen(listener)
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
        server.close_after_response()
        await asyncio.sleep(LAST_CALL_SECONDS)
        server.should_exit = True
        await task


def public_port(app: App) -> Port:
    wanted = app.settings.max_connections
    if (allowed := allowed_connections(wanted)) < wanted:
        _log.warning("fewer connections allowed", allowed=allowed, max_connections=wanted, cause="limit of open files")
    return Port(PUBLIC, allowed, app.record_port_refusal, app.metrics.connection_evicted)


def management_server(app: FastAPI) -> Server:
    """With connections of its own: whatever happens on the public port, probes and metrics are answered."""
    port = Port(MANAGEMENT, MANAGEMENT_CONNECTIONS, lambda _error, _request_id: None, lambda: None)
    return _server(app, port, MANAGEMENT_DRAIN_SECONDS)


def _server(app: ASGIApp, port: Port, drain_seconds: float) -> Server:
    config = uvicorn.Config(
        app,
        http=partial(LimitedProtocol, port),  # type: ignore[arg-type] # uvicorn calls it as it would the class
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


def _warn_without_keys(settings: Settings, *listeners: socket.socket) -> None:
    hosts = [str(listener.getsockname()[0]) for listener in listeners]
    if settings.keys_file is None and not all(ip_address(host).is_loopback for host in hosts):
        _log.warning("no keys: whoever reaches the ports may use them; see --keys-file", hosts=hosts)
