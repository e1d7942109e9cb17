"""The shadow: it computes what the serving bundle answers, is recorded, never answers, and gives way."""

import asyncio
import itertools
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from prometheus_client import CollectorRegistry

from models.scoring import Candidate, FieldVerdict, Outcome, Reason, Verdict
from service.challengers import shadow as shadow_module
from service.challengers.metrics import ChallengerMetrics
from service.challengers.shadow import PORTION_TICKETS, QUEUE, WAIT_SECONDS, Shadow
from service.decision import Decision
from service.inference import engine as engine_module
from service.inference.engine import open_engine
from service.inference.hardware import Machine
from service.routing.sampling import is_in_share
from service.settings import Settings
from tests.support.challenging import SECONDS, challenger, put, put_and_wait, state_of
from tests.support.process import Service, run_cli, serving
from tests.support.records import MODEL, THRESHOLDS
from tests.support.reloading import Shelf, ask, reload, version_of
from tests.support.tiny import SAMPLES
from tests.support.waiting import wait_until

COMPUTED = 'shadow_tickets_total{result="computed"}'


def exported(state: Path, out: Path) -> list[dict[str, Any]]:
    assert run_cli("records", "export", "--out", str(out), "--state-dir", str(state)).returncode == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


def worker_of(service: Service) -> psutil.Process:
    (found,) = psutil.Process(service.process.pid).children()
    return found


def test_shadow_computes_every_ticket_and_its_verdicts_are_on_record(
    running: Service, shelf: Shelf, state: Path, tmp_path: Path
) -> None:
    put_and_wait(running, "shadow", shelf.other)
    numbers = itertools.count()

    def computed() -> float:
        # On a busy machine some are shed.
        subject, body = SAMPLES[next(numbers) % len(SAMPLES)]
        assert version_of(ask(running, subject=subject, body=f"{body} {next(numbers)}")) == shelf.first
        return running.counts(COMPUTED)

    wait_until(lambda: computed() >= 8, SECONDS)
    shed = running.counts("shadow_tickets_total.*shed")
    assert running.counts("shadow_compared_total.*department") >= 8
    assert running.counts('shadow_labels_total.*agreement="same".*department') >= 8
    assert 0 < abs(running.counts("shadow_confidence_shift.*department")) < 0.1
    assert running.stop() == 0  # writes what is left
    records = exported(state, tmp_path / "out.jsonl")
    assert len([record for record in records if record["shadow"] is None]) <= shed + PORTION_TICKETS
    for record in records:
        assert (record["bundle"], record["role"]) == (shelf.first, None)
        shadow = record["shadow"]
        if shadow is None:
            continue
        assert (shadow["bundle"], shadow["variant"]) == (shelf.other, "fp32")
        ours, theirs = record["fields"]["department"], shadow["fields"]["department"]
        assert ours.keys() == theirs.keys()
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=0.01)
        assert ours["confidence"] != theirs["confidence"]


def test_shadow_gets_its_share_of_the_tickets_and_none_that_needs_no_model(running: Service, shelf: Shelf) -> None:
    put_and_wait(running, "shadow", shelf.other, 0.5)
    for number in range(40):
        ask(running, id=f"T-{number}", body="hello")
        ask(running, id=f"E-{number}", body="")
    inside = sum(is_in_share(0.5, "shadow", f"T-{number}", b"") for number in range(40))
    wait_until(lambda: running.counts("shadow_tickets_total") == inside, SECONDS)  # some may be shed


def test_worker_that_is_killed_leaves_the_service_answering(running: Service, shelf: Shelf) -> None:
    put_and_wait(running, "shadow", shelf.other)
    worker_of(running).send_signal(signal.SIGKILL)
    wait_until(lambda: state_of(running, "shadow") == "failed", SECONDS)
    found = challenger(running, "shadow")
    assert found is not None
    assert found["cause"] == "it ended with signal 9"
    assert running.counts('challenger_state.*state="failed"') == 1
    assert version_of(ask(running)) == shelf.first
    put_and_wait(running, "shadow", shelf.other)  # the same call again starts it anew


def test_worker_ends_with_a_service_that_is_killed(running: Service, shelf: Shelf) -> None:
    put_and_wait(running, "shadow", shelf.other)
    worker = worker_of(running)
    running.process.kill()
    worker.wait(20)


def test_worker_runs_in_the_idle_class_and_ends_when_withdrawn(running: Service, shelf: Shelf) -> None:
    put_and_wait(running, "shadow", shelf.other)
    worker = worker_of(running)
    assert os.sched_getscheduler(worker.pid) == os.SCHED_IDLE
    assert put(running, "shadow", None, 0).json() == {"challengers": []}
    worker.wait(20)
    ask(running)
    assert running.counts(COMPUTED) == 0


def test_shadow_survives_a_restart_and_ends_when_its_bundle_is_promoted(shelf: Shelf, state: Path) -> None:
    flags = ("--state-dir", str(state))
    with serving(shelf.current, *flags) as service:
        put_and_wait(service, "shadow", shelf.other, 0.25)
        assert service.stop() == 0
    with serving(shelf.current, *flags) as service:
        wait_until(lambda: state_of(service, "shadow") == "running", SECONDS)
        found = challenger(service, "shadow")
        assert found is not None
        assert (found["version"], found["share"], found["who"], found["why"]) == (
            shelf.other,
            0.25,
            "anonymous",
            "November's data",
        )
        assert reload(service, shelf.other).status_code == 200
        wait_until(lambda: challenger(service, "shadow") is None)
        assert reload(service, shelf.first).status_code == 200
        time.sleep(2.5)  # longer than between two reads of the record
        assert challenger(service, "shadow") is None


def test_bundle_that_is_gone_does_not_prevent_the_start(shelf: Shelf, state: Path) -> None:
    flags = ("--state-dir", str(state))
    with serving(shelf.current, *flags) as service:
        put_and_wait(service, "shadow", shelf.other)
        assert service.stop() == 0
    (shelf.store / shelf.other).rename(shelf.store / "away")
    with serving(shelf.current, *flags) as service:
        wait_until(lambda: state_of(service, "shadow") == "failed")
        assert "holds no bundle" in str(challenger(service, "shadow"))
        assert version_of(ask(service)) == shelf.first


class _Offered:
    """A shadow with the tiny bundle, in this process, and the decisions offered to it."""

    def __init__(self, free: bool) -> None:
        self.free = free
        self.registry = CollectorRegistry()
        self.found: list[tuple[str, str]] = []
        self.shadow = Shadow(1.0, ChallengerMetrics(self.registry, tuple), lambda: self.free, self.found.extend)

    def offer(self, number: int) -> None:
        answer = FieldVerdict(Outcome.ROUTE, Reason.CONFIDENT, (Candidate("billing", 0.9),))
        verdict = Verdict(answer, {})
        decision = Decision(str(number), None, verdict, (), MODEL, "00", THRESHOLDS, text=f"ticket {number}")
        self.shadow.offer(decision, verdict)

    def counted(self, result: str) -> float:
        return self.registry.get_sample_value("ticket_router_shadow_tickets_total", {"result": result}) or 0.0


def test_shadow_without_a_free_core_sheds_within_a_second(tiny_bundle_path: Path) -> None:
    """At once what finds the queue full, and what waits after `WAIT_SECONDS`."""

    async def main() -> None:
        offered = _Offered(free=False)
        await offered.shadow.open(Settings(device="cpu"), tiny_bundle_path)
        task = asyncio.create_task(offered.shadow.run())
        for number in range(QUEUE + 10):
            offered.offer(number)
        assert offered.counted("shed") == 10
        await asyncio.sleep(WAIT_SECONDS + 0.3)
        assert offered.counted("shed") == QUEUE + 10
        offered.free = True
        offered.offer(0)
        async with asyncio.timeout(SECONDS):
            while not offered.found:  # noqa: ASYNC110 - what it waits for has no event
                await asyncio.sleep(0.02)
        assert [each for each, _ in offered.found] == ["0"]
        task.cancel()
        await offered.shadow.close()

    asyncio.run(main())


@pytest.mark.parametrize(("running", "threads"), [(0, 0), (1, 2), (2, 4), (3, 4)])
def test_runs_at_work_take_their_threads_and_a_prepared_one_takes_none(
    tiny_bundle_path: Path, monkeypatch: pytest.MonkeyPatch, running: int, threads: int
) -> None:
    machine = Machine("a processor", 4, frozenset())
    monkeypatch.setattr(engine_module, "this_machine", lambda: machine)
    settings = Settings(device="cpu", runners=2, intra_op_threads=2)
    engine = open_engine(settings, lambda _report: None, tiny_bundle_path)
    monkeypatch.setattr(type(engine.batcher), "running", running)
    assert engine.busy_threads == threads


def test_event_loop_spends_a_small_share_of_its_time_on_the_shadow(
    tiny_bundle_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After each portion it rests for as long as the share wants."""
    rests: list[float] = []
    sleep = asyncio.sleep

    async def measured(seconds: float) -> None:
        rests.append(seconds)
        await sleep(0)

    async def main() -> None:
        offered = _Offered(free=True)
        await offered.shadow.open(Settings(device="cpu"), tiny_bundle_path)
        monkeypatch.setattr(shadow_module.asyncio, "sleep", measured)
        started = time.perf_counter()
        task = asyncio.create_task(offered.shadow.run())
        for number in range(64):
            offered.offer(number)
        while len(offered.found) < 64:
            await sleep(0.01)
        task.cancel()
        monkeypatch.undo()
        await offered.shadow.close()
        busy = shadow_module.LOOP_SHARE * sum(rests)
        assert 0 < busy < time.perf_counter() - started

    asyncio.run(main())
