"""A decision is made and recorded once, with both databases."""

import asyncio
from pathlib import Path

import pytest

from models.ticket import Ticket
from service.errors import KeyReused
from service.records.rows import Draft
from tests.support.records import draft, recording


def test_repeated_ticket_gets_the_recorded_decision_after_a_restart(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as first:
            one = await first.once(Ticket(id="T-1", body="Where is my parcel?"))
        async with recording(tmp_path, records) as second:
            two = await second.once(Ticket(id="T-1", body="Where is my parcel?"))
            assert two.response == one.response
            assert (one.repeated, two.repeated) == (False, True)
            assert await second.count() == 1

    asyncio.run(scenario())


def test_two_services_on_one_postgresql_give_one_decision(tmp_path: Path, postgres_url: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path / "a", postgres_url) as one, recording(tmp_path / "b", postgres_url) as other:
            tickets = [Ticket(id=f"T-{number}", body="x") for number in range(50)]
            pairs = await asyncio.gather(*(each.once(ticket) for ticket in tickets for each in (one, other)))
            assert all(a.id == b.id for a, b in zip(pairs[::2], pairs[1::2], strict=True))
            assert await one.count() == 50

    asyncio.run(scenario())


def test_same_key_with_another_content_is_refused(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            first = await recorder.once(Ticket(body="one"), key="abc")
            with pytest.raises(KeyReused):
                await recorder.once(Ticket(body="two"), key="abc")
            assert (await recorder.once(Ticket(body="one"), key="abc")).id == first.id
            assert (await recorder.once(Ticket(body="two"), key="abc", caller="another")).id != first.id

    asyncio.run(scenario())


def test_concurrent_repetition_waits_for_the_first(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with recording(tmp_path) as recorder:
            results = await asyncio.gather(*(recorder.once(Ticket(id="T-1", body="x")) for _ in range(10)))
            assert len({each.id for each in results}) == 1
            assert recorder.made == 1

    asyncio.run(scenario())


def test_repetition_decides_itself_when_the_first_fails(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with recording(tmp_path) as recorder:
            attempts = 0

            async def decide(ticket: Ticket) -> Draft:
                nonlocal attempts
                attempts += 1
                await asyncio.sleep(0.05)
                if attempts == 1:
                    raise KeyError
                return draft(ticket)

            recorder.decide = decide  # type: ignore[method-assign]
            ticket = Ticket(id="T-1", body="x")
            first, second = await asyncio.gather(recorder.once(ticket), recorder.once(ticket), return_exceptions=True)
            assert isinstance(first, KeyError)
            assert not isinstance(second, BaseException)

    asyncio.run(scenario())


def test_equal_text_without_id_is_a_repetition_within_the_window_only(tmp_path: Path, records: str) -> None:
    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            ticket, window_ms = Ticket(body="Where is my parcel?"), 10_000
            start = 1_800_000_000_000

            async def decided_at(milliseconds: int) -> str:
                recorder.now_ms = start + milliseconds
                return (await recorder.once(ticket, window_ms=window_ms)).id

            first = await decided_at(8_000)
            assert await decided_at(9_000) == first
            assert await decided_at(17_000) == first, "in the next window by number, and within the time"
            assert await decided_at(19_000) != first

    asyncio.run(scenario())


def test_equal_texts_without_id_are_separate_when_the_window_is_off(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with recording(tmp_path) as recorder:
            assert len({(await recorder.once(Ticket(body="x"), window_ms=0)).id for _ in range(2)}) == 2

    asyncio.run(scenario())
