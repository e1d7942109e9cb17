"""The messages between a supervisor and its workers, and a worker's share of the machine."""

import asyncio
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from service.process.control import (
    ANSWERS,
    ASKS,
    Abort,
    Answer,
    Ask,
    Begin,
    Changed,
    Channel,
    Commit,
    Done,
    Drain,
    Failed,
    Listen,
    Loaded,
    Look,
    Prepare,
    Report,
    Reported,
    open_channel,
)
from service.process.share import ShareError, share_of
from service.settings import Settings

TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
PATHS = TEXTS.filter(lambda text: "\x00" not in text).map(Path)
ORDERS = (
    st.sampled_from([Listen(), Report(), Commit(), Abort(), Drain()])
    | st.builds(Prepare, bundle=PATHS)
    | st.builds(Look, who=TEXTS)
    | st.builds(Begin, settings=st.builds(Settings, port=st.integers(0, 65535)), bundle=PATHS, metrics=PATHS)
)
REPLIES = (
    st.builds(Loaded, version=TEXTS, variant=TEXTS)
    | st.builds(Failed, cause=TEXTS)
    | st.builds(Reported, phase=st.sampled_from(["starting", "ready", "draining"]), serving=st.none())
    | st.just(Done())
)


@given(st.builds(Ask, id=st.integers(0), order=ORDERS))
def test_an_ask_comes_over_as_it_was(ask: Ask) -> None:
    """Every order, whatever stands in it, is one line and reads back equal."""
    line = ask.model_dump_json()
    assert "\n" not in line
    assert ASKS.validate_json(line) == ask


@given(st.builds(Answer, id=st.integers(0), reply=REPLIES) | st.builds(Changed, not_ready=st.none() | TEXTS))
def test_an_answer_comes_over_as_it_was(answer: Answer | Changed) -> None:
    """Every reply and what is said unasked."""
    line = answer.model_dump_json()
    assert "\n" not in line
    assert ANSWERS.validate_json(line) == answer


@pytest.mark.parametrize("line", ['{"kind":"ask","id":1,"order":{"kind":"dance"}}', '{"kind":"ask"}', "[]", "{"])
def test_the_set_of_messages_is_closed(line: str) -> None:
    """What is none of them is not guessed at."""
    with pytest.raises(ValidationError):
        ASKS.validate_json(line)


def test_a_workers_settings_are_its_supervisors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables that a worker inherits change nothing any more: also where the supervisor's flag was the default."""
    sent = Begin(settings=Settings(max_batch_tickets=7), bundle=Path("b"), metrics=Path("m"))
    line = Ask(id=1, order=sent).model_dump_json()
    monkeypatch.setenv("TICKET_ROUTER_MAX_BATCH_TICKETS", "9")
    monkeypatch.setenv("TICKET_ROUTER_RUNNERS", "9")
    assert ASKS.validate_json(line).order == sent


def test_a_side_that_is_gone_is_told_by_none() -> None:
    """What came whole is received; half a line of a writer that died is not."""

    async def play() -> list[Ask | None]:
        here, there = socket.socketpair()
        channel: Channel[Ask] = await open_channel(here, ASKS)
        whole = Ask(id=1, order=Listen())
        with there:
            there.sendall(whole.model_dump_json().encode() + b'\n{"kind":"as')
        received = [await channel.receive(), await channel.receive()]
        channel.send(whole)  # lost, and no error
        channel.close()
        channel.send(whole)
        return received

    assert asyncio.run(play()) == [Ask(id=1, order=Listen()), None]


@given(st.integers(1, 64), st.integers(1, 64), st.none() | st.integers(1, 8), st.none() | st.integers(1, 8))
def test_workers_together_take_no_more_than_the_machine(
    cores: int, workers: int, runners: int | None, threads: int | None
) -> None:
    """Whatever was set: threads of all workers fit the cores and are what was asked for, or it is refused."""
    asked = Settings(workers=workers, runners=runners, intra_op_threads=threads, device="cpu")
    try:
        share = share_of(asked, cores)
    except ShareError:
        assert workers * (runners or 1) * (threads or 1) > cores
        return
    assert share.runners is not None
    assert share.intra_op_threads is not None
    assert workers * share.runners * share.intra_op_threads <= cores
    assert share.runners == (runners or share.runners)
    assert share.intra_op_threads == (threads or 1)
