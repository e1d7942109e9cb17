"""The canary: it answers a stable share, and the serving bundle answers for it when it fails."""

import asyncio
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from models.ticket import Ticket
from service.app import App, create_app
from service.challengers.challengers import Challengers
from service.context import RequestContext
from service.errors import InferenceFailed, Overloaded, ServiceError
from service.routing.canary import MAX_FAILURES
from service.routing.router import deadline_in
from service.routing.sampling import is_in_share
from service.settings import Settings
from tests.support.challenging import challenger, put, put_and_wait
from tests.support.process import Service
from tests.support.reloading import Shelf, ask, version_of

IDS = [f"T-{number}" for number in range(60)]


def answered(service: Service, ids: list[str]) -> list[str]:
    return [version_of(ask(service, id=each, body=f"hello {each}")) for each in ids]


def test_canary_answers_the_tickets_of_its_share_alone_and_in_batches(running: Service, shelf: Shelf) -> None:
    put_and_wait(running, "canary", shelf.other, 0.3)
    sides = [shelf.other if is_in_share(0.3, "canary", each, b"") else shelf.first for each in IDS]
    assert len(set(sides)) == 2
    assert answered(running, IDS) == sides
    tickets = [{"id": each, "body": f"another text of {each}"} for each in IDS]
    with running.client() as client:
        results = client.post("/v1/route/batch", json={"tickets": tickets}).json()["results"]
    assert [version_of(each["decision"]) for each in results] == sides
    with running.client() as client:
        recorded = [client.get(f"/v1/decisions/{each['decision']['decision_id']}").json() for each in results]
    assert [(each["role"], each["bundle"]) for each in recorded] == [
        ("canary" if side == shelf.other else None, side) for side in sides
    ]


def test_share_that_grows_keeps_its_tickets_and_one_call_withdraws_the_canary(running: Service, shelf: Shelf) -> None:
    put_and_wait(running, "canary", shelf.other, 0.2)
    before = answered(running, IDS)
    answer = put(running, "canary", shelf.other, 0.6)
    assert answer.json()["challengers"][0]["state"] == "running"  # not loaded again
    after = [version_of(ask(running, id=each, body=f"hello again {each}")) for each in IDS]
    assert before.count(shelf.other) < after.count(shelf.other) < len(IDS)
    assert all(new == shelf.other for old, new in zip(before, after, strict=True) if old == shelf.other)
    assert put(running, "canary", None, 0).json() == {"challengers": []}
    assert set(answered(running, [f"N-{number}" for number in range(20)])) == {shelf.first}


def test_repeated_request_gets_the_first_answer_whatever_answers_now(running: Service, shelf: Shelf) -> None:
    first = ask(running, id="T-1", body="hello")
    put_and_wait(running, "canary", shelf.other)
    assert ask(running, id="T-1", body="hello") == first
    assert version_of(ask(running, id="T-2", body="hello")) == shelf.other


def test_shadow_that_becomes_the_canary_ends_as_shadow(running: Service, shelf: Shelf) -> None:
    put_and_wait(running, "shadow", shelf.other)
    put_and_wait(running, "canary", shelf.other, 0.1)
    assert challenger(running, "shadow") is None


def in_app(shelf: Shelf, state: Path, test: Callable[[App, Challengers], Coroutine[Any, Any, None]]) -> None:
    async def main() -> None:
        app = create_app(Settings(bundle=shelf.current, device="cpu", state_dir=state))
        assert app.challengers is not None
        try:
            await app.start()
            await app.challengers.put("canary", shelf.other, 1.0, "ann", "a test")
            while app.router.canary is None:  # noqa: ASYNC110 - what it waits for has no event
                await asyncio.sleep(0.02)
            await asyncio.wait_for(test(app, app.challengers), 60)
        finally:
            await app.stop()

    asyncio.run(main())


def counted(app: App, result: str) -> float:
    return app.metrics.registry.get_sample_value("ticket_router_canary_tickets_total", {"result": result}) or 0.0


@pytest.mark.parametrize(("error", "result"), [(InferenceFailed(), "failed"), (Overloaded(1.0), "overloaded")])
def test_ticket_that_the_canary_cannot_answer_is_answered_by_the_serving_bundle(
    shelf: Shelf, state: Path, monkeypatch: pytest.MonkeyPatch, error: ServiceError, result: str
) -> None:
    async def test(app: App, challengers: Challengers) -> None:
        assert app.router.canary is not None

        async def refuse(*_arguments: object) -> None:
            raise error

        monkeypatch.setattr(app.router.canary.engine.batcher, "submit", refuse)
        decision = await app.router.decide(Ticket(body="hello"), RequestContext(deadline_in(10)))
        assert (decision.model.version, decision.role) == (shelf.first, None)
        assert counted(app, result) == 1
        assert challengers.status()[0].state == "running"

    in_app(shelf, state, test)


def test_canary_that_fails_repeatedly_is_withdrawn_here(
    shelf: Shelf, state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every ticket is answered, and the same call again gives it another chance."""

    async def test(app: App, challengers: Challengers) -> None:
        assert app.router.canary is not None

        async def fail(*_arguments: object) -> None:
            raise InferenceFailed

        monkeypatch.setattr(app.router.canary.engine.batcher, "submit", fail)
        for number in range(MAX_FAILURES + 3):
            decision = await app.router.decide(Ticket(body=f"hello {number}"), RequestContext(deadline_in(10)))
            assert decision.model.version == shelf.first
        assert counted(app, "failed") == MAX_FAILURES
        (found,) = challengers.status()
        assert (found.state, found.cause) == ("failed", f"{MAX_FAILURES} tickets in a row failed")
        await challengers.put("canary", shelf.other, 1.0, "ann", "again")
        while challengers.status()[0].state != "running":  # noqa: ASYNC110 - as above
            await asyncio.sleep(0.02)

    in_app(shelf, state, test)


def test_ticket_at_work_ends_with_the_canary_that_it_began_with(shelf: Shelf, state: Path) -> None:
    async def test(app: App, challengers: Challengers) -> None:
        context = RequestContext(deadline_in(20))
        deciding = asyncio.create_task(app.router.decide(Ticket(body="hello"), context))
        await asyncio.sleep(0)
        await challengers.put("canary", None, 0.0, "ann", "enough")
        decision = await deciding
        assert (decision.model.version, decision.role) == (shelf.other, "canary")
        assert (await app.router.decide(Ticket(body="hi"), context)).model.version == shelf.first

    in_app(shelf, state, test)
