"""Similar tickets, summary and draft on the desk, with a tiny bundle and a real record."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import pytest

from models.bundle.bundle import point_current
from models.index_file import ClosedTicket, pack_vector
from service.app import App, create_app
from service.records.database.schema import milliseconds_now
from service.settings import Settings
from service.similar import closed
from tests.support.reloading import two_bundles
from tests.support.tiny import SAMPLES

TEXT = "Where is my parcel? It was promised for Tuesday."
LONG = " ".join(f"{subject}: {body} This is part {number}." for number, (subject, body) in enumerate(SAMPLES))
HOSTILE = "<script>alert(1)</script> <img src=x onerror=alert(2)>"


@pytest.fixture(autouse=True)
def _read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tests refresh more often than a service."""
    monkeypatch.setattr("service.similar.similar.LOAD_SHARE", 1e9)


class Desk:
    """A started application, and a browser that is signed in."""

    def __init__(self, app: App, client: httpx.AsyncClient) -> None:
        assert app.desk is not None
        assert app.records is not None
        self.app, self.client = app, client
        self.records, self.similar = app.records, app.desk.similar

    async def route(self, body: str, name: str | None = None) -> str:
        answer = await self.client.post("/v1/route", json={"id": name, "body": body})
        return str(answer.json()["decision_id"])

    async def part(self, decision_id: str, part: str) -> str:
        answer = await self.client.get(f"/desk/tickets/{decision_id}/{part}")
        assert answer.status_code == 200, answer.text
        return answer.text

    async def add(self, *tickets: tuple[str, str, str]) -> None:
        """Closed tickets by id, text and answer, with vectors of the bundle that serves."""
        engine = self.app.router.engine
        vectors = await self.similar.vectors.of(engine, [text for _, text, _ in tickets])
        rows = [
            ClosedTicket(
                id=name,
                department="returns",
                text=text,
                answer=answer,
                at=milliseconds_now() - 1000,
                vector=pack_vector(vector),
            )
            for (name, text, answer), vector in zip(tickets, vectors, strict=True)
        ]
        add = partial(closed.add_from_file, tickets=rows, bundle=engine.model.version, connection_name=None)
        await self.records.write(add)
        await self.similar.refresh()


def on_desk(bundle: Path, state: Path, test: Callable[[Desk], Awaitable[None]], **settings: Any) -> None:
    async def main() -> None:
        options = {"records_text": True, "desk": True} | settings
        app = create_app(Settings(bundle=bundle, device="cpu", state_dir=state, **options))
        try:
            await app.start()
            transport = httpx.ASGITransport(app.public)
            async with httpx.AsyncClient(
                transport=transport, base_url="http://localhost", follow_redirects=True, timeout=60
            ) as client:
                await client.get("/desk/login")
                await asyncio.wait_for(test(Desk(app, client)), 120)
        finally:
            await app.stop()

    asyncio.run(main())


def test_closest_closed_tickets_are_shown_most_alike_first(tiny_bundle_path: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT, "T-1")
        assert "No closed tickets yet" in await desk.part(decision_id, "alike")
        await desk.add(("C-1", TEXT, ""), *((f"S-{number}", body, "") for number, (_, body) in enumerate(SAMPLES)))
        page = await desk.part(decision_id, "alike")
        assert page.count("<li>") == 5
        assert page.index("C-1") == min(page.index(name) for name in ("C-1", "S-") if name in page)
        assert "100 % similar" in page
        assert f"Of {len(SAMPLES) + 1} closed tickets" in page

    on_desk(tiny_bundle_path, tmp_path, test)


def test_ticket_itself_and_copies_of_one_ticket_are_not_shown(tiny_bundle_path: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT, "T-1")
        await desk.add(("T-1", TEXT, ""), ("T-2", TEXT + " Really.", ""))
        other = await desk.route(TEXT + " Today?", "T-2")
        await desk.client.post(
            "/v1/feedback", json={"decision_id": other, "fields": {"department": "sales"}, "source": "agent"}
        )
        await desk.similar.refresh()
        page = await desk.part(decision_id, "alike")
        assert page.count("<li>") == 1, "T-2 is there by a file and by its decision"
        assert "T-2" in page

    on_desk(tiny_bundle_path, tmp_path, test)


def test_ticket_joins_when_people_have_said_where_it_goes(tiny_bundle_path: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        first = await desk.route(TEXT, "T-1")
        decision_id = await desk.route(TEXT + " Where is it?", "T-2")
        await desk.client.post(
            "/v1/feedback", json={"decision_id": first, "fields": {"department": "sales"}, "source": "close"}
        )
        await desk.similar.refresh()
        page = await desk.part(decision_id, "alike")
        assert "<strong>sales</strong>" in page
        assert "T-1" in page
        await desk.client.delete("/v1/tickets/T-1")
        await desk.similar.refresh()
        assert "T-1" not in await desk.part(decision_id, "alike")

    on_desk(tiny_bundle_path, tmp_path, test)


def test_page_says_so_where_texts_are_not_kept_or_the_ticket_is_gone(tiny_bundle_path: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT)
        assert "set <code>records_text</code>" in await desk.part(decision_id, "alike")
        gone = await desk.client.get("/desk/tickets/01ARZ3NDEKTSV4RRFFQ69G5FAV/alike", headers={"HX-Request": "true"})
        assert (gone.status_code, gone.text.strip()) == (
            404,
            '<p class="problem">This ticket is no longer on record.</p>',
        )

    on_desk(tiny_bundle_path, tmp_path, test, records_text=False)


def test_vectors_of_the_last_bundle_are_made_anew_for_the_next(tiny_bundle_path: Path, tmp_path: Path) -> None:
    shelf = two_bundles(tiny_bundle_path, tmp_path / "shelf")

    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT)
        await desk.add(("C-1", TEXT, ""))
        assert "C-1" in await desk.part(decision_id, "alike")
        point_current(shelf.store, shelf.other)
        await desk.app.reloader.reload(shelf.current)
        assert desk.app.router.engine.model.version == shelf.other
        assert "C-1" not in await desk.part(decision_id, "alike")
        await desk.similar.refresh()
        assert "C-1" in await desk.part(decision_id, "alike")
        assert (await desk.records.read(partial(closed.counts, bundle=shelf.other)))[:2] == (1, 0)

    on_desk(shelf.current, tmp_path / "state", test)


def test_only_the_newest_are_searched_where_there_are_too_many(
    tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("service.similar.similar.MOST_TICKETS", 3)
    monkeypatch.setattr("service.similar.similar.LOAD_PORTION", 2)

    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT)
        await desk.add(*((f"S-{number}", body, "") for number, (_, body) in enumerate(SAMPLES[:5])))
        page = await desk.part(decision_id, "alike")
        assert page.count("<li>") == 3
        assert "Of 3 closed tickets; 2 older ones are not searched." in page

    on_desk(tiny_bundle_path, tmp_path, test)


def test_long_text_has_a_summary_of_its_own_sentences_and_a_short_one_none(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    async def test(desk: Desk) -> None:
        page = await desk.part(await desk.route(LONG), "summary")
        shown = [line.split("<li>")[1].split("</li>")[0] for line in page.splitlines() if "<li>" in line]
        assert len(shown) == 3
        places = [LONG.index(sentence) for sentence in shown]
        assert places == sorted(places)
        assert "<li>" not in await desk.part(await desk.route(TEXT), "summary")

    on_desk(tiny_bundle_path, tmp_path, test)


def test_draft_is_the_answer_of_the_most_similar_ticket_that_has_one(tiny_bundle_path: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT)
        await desk.add(("C-1", TEXT, ""), ("C-2", TEXT + " Please.", "It arrives tomorrow."))
        page = await desk.part(decision_id, "draft")
        assert "A draft: the answer to C-2" in page
        assert "The service sends nothing." in page
        assert ">It arrives tomorrow.</textarea>" in page
        assert "<button" not in page, "no generator is plugged in"

    on_desk(tiny_bundle_path, tmp_path, test)


def test_departments_of_similar_tickets_do_not_sway_the_label_of_the_random_share(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT)
        await desk.add(("C-1", TEXT, "It arrives tomorrow."))
        assert "of the random sample" in (page := await desk.part(decision_id, "alike"))
        assert "C-1" not in page
        assert "It arrives" not in await desk.part(decision_id, "draft")

    on_desk(tiny_bundle_path, tmp_path, test, holdout_share=1.0)


def test_nothing_of_a_ticket_runs_in_the_page(tiny_bundle_path: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        decision_id = await desk.route(HOSTILE + TEXT)
        await desk.add((f"C-1{HOSTILE}", HOSTILE + TEXT, f"</textarea>{HOSTILE}"))
        for part in ("alike", "draft"):
            page = await desk.part(decision_id, part)
            assert "alert(1)" in page
            assert "<script" not in page
            assert "<img" not in page

    on_desk(tiny_bundle_path, tmp_path, test)


def test_generator_that_cannot_start_is_named_and_the_draft_stays(tiny_bundle_path: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT)
        await desk.add(("C-2", TEXT, "It arrives tomorrow."))
        page = await desk.part(decision_id, "draft")
        assert "The generator is not used:" in page
        assert "config.json cannot be read" in page
        assert ">It arrives tomorrow.</textarea>" in page

    on_desk(tiny_bundle_path, tmp_path, test, desk_generator=tmp_path / "none")


def test_parts_need_a_session(tiny_bundle_path: Path, tmp_path: Path) -> None:
    async def test(desk: Desk) -> None:
        decision_id = await desk.route(TEXT)
        desk.client.cookies.clear()
        for part in ("alike", "summary", "draft"):
            answer = await desk.client.get(f"/desk/tickets/{decision_id}/{part}", headers={"HX-Request": "true"})
            assert answer.status_code == 401

    on_desk(tiny_bundle_path, tmp_path, test)
