"""The process from the first bound port to the last answered request.

Order at start: both ports are bound (a taken one fails before seconds go into loading), the management port answers,
the bundle is loaded and checked, and only then does the public port listen. `workers.py` does the same for several.
"""

import asyncio
import contextlib
import socket
from ipaddress import ip_address

import structlog
import uvloop

from service.access.access import following
from service.app import create_app
from service.process.workers import serve_with_workers
from service.server.malloc import return_large_pieces
from service.server.reload_triggers import reloading
from service.server.serve import management_server, running, serve_public, started, stop_signal
from service.server.sockets import bind, refuse_one_port
from service.settings import Settings

_log = structlog.get_logger()


def run(settings: Settings) -> None:
    """Serve until SIGTERM or SIGINT, then drain.

    Raises:
        TicketRouterError: it cannot start; the message says why.
    """
    return_large_pieces()
    serve = _serve if settings.workers == 1 else serve_with_workers
    with contextlib.ExitStack() as stack:
        public = stack.enter_context(bind(settings.host, settings.port))
        management = stack.enter_context(bind(settings.management_host, settings.management_port))
        refuse_one_port(public, management)
        _warn_without_keys(settings, public, management)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(settings, public, management))


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
            reloading(app.process, app.access.look, settings),
            running(watch, management, stop),
        ):
            if await started(app.start(), stop):
                await serve_public(app, public, stop, on_listening)
    finally:
        await app.stop()


def _warn_without_keys(settings: Settings, *listeners: socket.socket) -> None:
    hosts = [str(listener.getsockname()[0]) for listener in listeners]
    if settings.keys_file is None and not all(ip_address(host).is_loopback for host in hosts):
        _log.warning("no keys: whoever reaches the ports may use them; see --keys-file", hosts=hosts)
