"""`service.routing.reload`, in this process: concurrent starts, reloads and stops."""

import asyncio
import shutil
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from models.bundle.bundle import open_bundle
from models.ticket import Ticket
from service.app import App, create_app
from service.context import RequestContext
from service.errors import NotReady, Overloaded, ReloadRefused, ReloadRunning, ShuttingDown
from service.inference.engine import OpeningStopped, open_engine
from service.routing.router import deadline_in
from service.settings import Settings


@pytest.fixture
def store(tiny_bundle_path: Path, tmp_path: Path) -> Path:
    """A separate store with the tiny bundle as `current`."""
    shutil.copytree(tiny_bundle_path, tmp_path / tiny_bundle_path.name)
    (tmp_path / "current").symlink_to(tiny_bundle_path.name)
    return tmp_path


def in_app(store: Path, test: Callable[[App], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        app = create_app(Settings(bundle=store / "current", device="cpu", state_dir=store / "state"))
        try:
            await app.start()
            await asyncio.wait_for(test(app), 60)
        finally:
            await app.stop()

    asyncio.run(main())


def test_a_stop_ends_the_opening_of_a_bundle(store: Path) -> None:
    """After loading, no golden row is replayed: the stop does not wait for a bundle that will never serve."""
    stop = threading.Event()
    stop.set()
    settings = Settings(device="cpu", state_dir=store / "state")
    with pytest.raises(OpeningStopped):
        open_engine(settings, lambda _report: None, store / "current", stop=stop)


def test_a_draining_service_refuses_a_reload(store: Path) -> None:
    """A new engine would have an open queue."""

    async def test(app: App) -> None:
        app.drain(1)
        with pytest.raises(NotReady):
            await app.reloader.reload(store / "current")

    in_app(store, test)


def test_a_stop_refuses_tickets_that_wait_in_a_replaced_engine(store: Path) -> None:
    """A request that began before a reload is refused at the end of the drain time like any other."""

    async def test(app: App) -> None:
        lease = app.router.lease_engine()
        await app.reloader.reload(store / "current")
        app.router.refuse()
        for engine in (lease.engine, app.router.engine):
            with pytest.raises(ShuttingDown):
                engine.batcher.check(RequestContext(deadline_in(10)))
        lease.release()

    in_app(store, test)


def test_a_second_reload_is_refused_while_one_runs(store: Path) -> None:
    """The first reload succeeds; after it, another one is accepted."""

    async def test(app: App) -> None:
        first = asyncio.create_task(app.reloader.reload(store / "current"))
        await asyncio.sleep(0)
        with pytest.raises(ReloadRunning):
            await app.reloader.reload(store / "current")
        await first
        await app.reloader.reload(store / "current")

    in_app(store, test)


def test_a_stop_during_a_reload_keeps_the_old_model(store: Path) -> None:
    """The new bundle is discarded, even during its last step."""

    async def test(app: App) -> None:
        before = app.router.engine
        reload = asyncio.create_task(app.reloader.reload(store / "current"))
        await asyncio.sleep(0)
        app.lifecycle.drain()
        with pytest.raises(NotReady):
            await reload
        assert app.router.engine is before

    in_app(store, test)


def test_a_folder_with_another_version_than_its_name_is_refused(store: Path, tiny_bundle_path: Path) -> None:
    """A reload by version serves exactly that version."""
    shutil.copytree(tiny_bundle_path, store / ("a" * 16))

    async def test(app: App) -> None:
        with pytest.raises(ReloadRefused, match="holds bundle"):
            await app.reloader.reload(app.reloader.locate("a" * 16))
        assert app.router.engine.bundle.version == open_bundle(tiny_bundle_path).version

    in_app(store, test)


def test_a_cached_result_is_returned_while_the_queue_is_full(store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A new text is refused before it is encoded."""

    async def test(app: App) -> None:
        known = await app.router.decide(Ticket(subject="", body="hello"), RequestContext(deadline_in(10)))

        def full(_context: RequestContext, _length: int = 0) -> None:
            raise Overloaded(1)

        monkeypatch.setattr(app.router.engine.batcher, "check", full)
        again = await app.router.decide(Ticket(subject="", body="hello"), RequestContext(deadline_in(10)))
        assert again.verdict == known.verdict
        with pytest.raises(Overloaded):
            await app.router.decide(Ticket(subject="", body="another"), RequestContext(deadline_in(10)))

    in_app(store, test)
