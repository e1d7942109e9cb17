"""`service.routing.read` and `CpuPool.run_within`: CPU budgets for reading, and the result when a budget is
exceeded."""

import asyncio
import math
import threading
import time

import pytest

from models.cpu_budget import Budget
from models.errors import TooComplex
from models.ticket import Ticket
from service.context import Allowance, RequestContext
from service.routing import read as reading
from service.routing.cpu_pool import INLINE_BYTES, CpuPool
from service.routing.read import read_mail, read_text
from tests.unit.models.mail.hostile_mails import MAILS
from tests.unit.models.text.hostile_texts import HTML, TEXTS

LOOP_SECONDS = 0.05
PATIENT = RequestContext(math.inf)


def busy(seconds: float, budget: Budget, threads: list[str]) -> str:
    """Work that checks its budget."""
    threads.append(threading.current_thread().name)
    end = time.thread_time() + seconds
    while time.thread_time() < end:
        budget.check_now()
    return "done"


def ran(size: int, work_seconds: float, seconds: float) -> list[str]:
    """The threads in which work of this size was started."""
    threads: list[str] = []

    async def play() -> None:
        cpu_pool = CpuPool()
        assert (
            await cpu_pool.run_within(seconds, size, lambda budget: busy(work_seconds, budget, threads), PATIENT)
            == "done"
        )
        cpu_pool.close()

    asyncio.run(play())
    return [name.split("_")[0] for name in threads]


def test_short_work_on_a_small_input_stays_on_the_loop() -> None:
    assert ran(INLINE_BYTES, 0.0, 0.2) == ["MainThread"]


def test_small_costly_input_moves_to_a_thread() -> None:
    """It starts again there with the whole budget; a large input starts there."""
    assert ran(INLINE_BYTES, 0.06, 0.2) == ["MainThread", "prepare"]
    assert ran(INLINE_BYTES + 1, 0.06, 0.2) == ["prepare"]


def test_work_beyond_its_budget_is_stopped() -> None:
    """In a thread as well."""
    with pytest.raises(TooComplex):
        ran(INLINE_BYTES + 1, 0.2, 0.02)


def test_stopped_reading_gives_an_unread_ticket_and_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """A mail gives an empty ticket, a ticket keeps its fields; an unread ticket is not read again."""
    monkeypatch.setattr(reading, "MAIL_SECONDS", 0.0)
    monkeypatch.setattr(reading, "TEXT_SECONDS", 0.0)

    async def play() -> None:
        cpu_pool = CpuPool()
        mail = await read_mail(cpu_pool, MAILS["10k parts"](100_000), PATIENT)
        assert mail == Ticket(unread=True)
        assert (await read_text(cpu_pool, mail, PATIENT))[0] is mail
        ticket, text = await read_text(cpu_pool, Ticket(subject="a", body=TEXTS["labels"](100_000), id="7"), PATIENT)
        assert (ticket.unread, ticket.id, text.text) == (True, "7", "")
        cpu_pool.close()

    asyncio.run(play())


@pytest.mark.parametrize(
    "name", ["dated attributions", "colons between dashes", "wrapped attributions", "at signs", "items"]
)
def test_no_small_input_blocks_the_loop(name: str) -> None:
    """The largest inline input of the worst kind takes less than 50 ms of thread time."""

    async def play() -> float:
        cpu_pool = CpuPool()
        start = time.thread_time()
        if name in MAILS:
            await read_mail(cpu_pool, MAILS[name](INLINE_BYTES)[:INLINE_BYTES], PATIENT)
        elif name in HTML:
            await read_text(cpu_pool, Ticket(body=HTML[name](INLINE_BYTES), content_type="text/html"), PATIENT)
        else:
            await read_text(cpu_pool, Ticket(body=TEXTS[name](INLINE_BYTES)), PATIENT)
        spent = time.thread_time() - start
        cpu_pool.close()
        return spent

    assert min(asyncio.run(play()) for _ in range(3)) <= LOOP_SECONDS


def test_the_tickets_of_a_request_spend_one_allowance() -> None:
    """When it is used up, work is stopped for large and small inputs, even within its own budget."""

    async def play(size: int) -> tuple[int, float]:
        cpu_pool, context = CpuPool(), RequestContext(math.inf, allowance=Allowance(0.1))
        start, given_up = time.process_time(), 0
        for _ in range(20):
            try:
                await cpu_pool.run_within(0.2, size, lambda budget: busy(0.018, budget, []), context)
            except TooComplex:
                given_up += 1
        cpu_pool.close()
        return given_up, time.process_time() - start

    for size in (INLINE_BYTES, INLINE_BYTES + 1):
        given_up, seconds = asyncio.run(play(size))
        assert given_up >= 14
        assert seconds < 0.1 + 20 * 0.018


async def together(cpu_pool: CpuPool, contexts: list[RequestContext], work_seconds: float) -> list[str]:
    """The threads in which work on small inputs of one loop iteration was started."""
    threads: list[str] = []
    await asyncio.gather(
        *(
            cpu_pool.run_within(0.2, 1, lambda budget: busy(work_seconds, budget, threads), context)
            for context in contexts
        )
    )
    return threads


def test_work_of_one_loop_iteration_shares_one_budget() -> None:
    """Otherwise dozens, each within its own budget, would block the loop for a second. The next iteration has a new
    budget."""

    async def play() -> None:
        cpu_pool = CpuPool()
        for _ in range(2):
            threads = await together(cpu_pool, [PATIENT] * 16, 0.012)
            # The first is done, the second is begun and cut short; no other is.
            assert threads.count("MainThread") == 2
            assert len(threads) == 17
        cpu_pool.close()

    asyncio.run(play())


def test_many_ordinary_tickets_in_one_iteration_stay_on_the_loop() -> None:
    async def play() -> None:
        cpu_pool = CpuPool()
        assert await together(cpu_pool, [PATIENT] * 64, 0.0001) == ["MainThread"] * 64
        cpu_pool.close()

    asyncio.run(play())


def test_costly_request_uses_only_threads_afterwards() -> None:
    """Otherwise each of its tickets could use up the inline budget of an iteration, at the cost of other requests."""

    async def play() -> None:
        cpu_pool, context = CpuPool(), RequestContext(math.inf, allowance=Allowance(2.0))
        assert (await together(cpu_pool, [context], 0.06))[0] == "MainThread"
        assert "MainThread" not in await together(cpu_pool, [context], 0.0)
        assert (await together(cpu_pool, [PATIENT], 0.06))[0] == "MainThread"
        assert (await together(cpu_pool, [PATIENT], 0.0)) == ["MainThread"]
        cpu_pool.close()

    asyncio.run(play())


def test_small_input_is_not_restarted_without_allowance() -> None:
    """It would get no more time than before: a batch of hostile tickets would cost twice as much."""
    threads: list[str] = []

    async def play() -> None:
        cpu_pool = CpuPool()
        context = RequestContext(math.inf, allowance=Allowance(0.0))
        await cpu_pool.run_within(0.2, INLINE_BYTES, lambda budget: busy(0.06, budget, threads), context)

    with pytest.raises(TooComplex):
        asyncio.run(play())
    assert threads == ["MainThread"]


def test_ordinary_ticket_is_read_after_the_allowance_is_used_up() -> None:
    """It must not suffer for the other tickets of its batch."""
    text = "My order 4711 has not arrived yet; where is it? Please let me know.\n" * 15
    context = RequestContext(math.inf, allowance=Allowance(0.0))

    async def play() -> None:
        cpu_pool = CpuPool()
        ticket, prepared = await read_text(cpu_pool, Ticket(body=text), context)
        cpu_pool.close()
        assert not ticket.unread
        assert "4711" in prepared.text

    asyncio.run(play())
