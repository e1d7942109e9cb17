"""Two services behind haproxy with the configuration we ship: restarts and roll-outs lose nothing.

Short, for every run. `make rollout` is the long form: three services, more moves, tens of thousands of requests.
"""

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from models.text.prepare import TEXT_VERSION
from tests.benchmarks.rollout.members import Member, members
from tests.benchmarks.rollout.moves import Moves
from tests.benchmarks.rollout.phases import Phase, PhaseLog
from tests.benchmarks.rollout.proxy import NotInstalled, haproxy
from tests.benchmarks.rollout.traffic import Traffic, judged
from tests.benchmarks.serving.connection import Target
from tests.support.process import run_cli
from tests.support.spoiled import damaged
from tests.support.tiny import rewritten
from tests.support.waiting import wait_until

RATE = 60.0
LEAVE_SECONDS = 0.5
ENOUGH = 20


@dataclass(frozen=True)
class Stage:
    """Two services with the bundle `first`, the next bundle beside it in the store, and the proxy."""

    moves: Moves
    first: Path
    second: Path


@pytest.fixture(scope="module")
def stage(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    folder = tmp_path_factory.mktemp("rollout")
    store = folder / "store"
    first, second = rewritten(tiny_bundle_path, store), rewritten(tiny_bundle_path, store, base_model="the next one")
    with members(first, folder, 2) as services, haproxy(services, folder) as proxy:
        yield Stage(Moves(services, proxy, LEAVE_SECONDS), first, second)


@pytest.fixture
def traffic(stage: Stage) -> Iterator[Traffic]:
    with Traffic(Target(stage.moves.proxy.port), RATE) as running:
        yield running


def met(traffic: Traffic, notes: PhaseLog) -> dict[str, Phase]:
    """The phases by name, once all their requests are answered."""
    traffic.stop()
    return {phase.name: phase for phase in notes.phases()}


def some_more(traffic: Traffic) -> None:
    seen = len(traffic.asked)
    wait_until(lambda: len(traffic.asked) >= seen + ENOUGH)


def test_rolling_restarts_lose_no_request(stage: Stage, traffic: Traffic) -> None:
    """Announced to the proxy or not: every request gets a valid response while both services are restarted in turn."""
    notes = PhaseLog(traffic, stage.moves.proxy)
    with notes.phase("announced"):
        stage.moves.restart(stage.first)
    with notes.phase("unannounced"):
        stage.moves.restart_unannounced(stage.first)
    phases = met(traffic, notes)
    assert {name: phase.faults for name, phase in phases.items()} == {"announced": {}, "unannounced": {}}
    assert all(len(phase.asked) > ENOUGH for phase in phases.values())


def test_a_roll_out_and_back_by_reloads(stage: Stage, traffic: Traffic) -> None:
    """During the roll-out each response names one of the two versions, afterwards only the new one; the same on the way
    back."""
    notes = PhaseLog(traffic, stage.moves.proxy)
    with notes.phase("out"):
        assert stage.moves.roll_out(stage.second.name) == 2
    with notes.phase("there"):
        some_more(traffic)
    with notes.phase("back"):
        assert stage.moves.roll_out(stage.first.name) == 2
    with notes.phase("home"):
        some_more(traffic)
    phases = met(traffic, notes)
    both = {stage.first.name, stage.second.name}
    assert all(phase.faults == {} and phase.versions <= both for phase in phases.values())
    assert (phases["there"].versions, phases["home"].versions) == ({stage.second.name}, {stage.first.name})


def test_a_roll_out_of_a_damaged_bundle_stops_at_the_first(stage: Stage, traffic: Traffic) -> None:
    """The first service refuses the bundle, no other service is asked, the old bundle serves on."""
    notes = PhaseLog(traffic, stage.moves.proxy)
    with notes.phase("refused"):
        assert stage.moves.roll_out(damaged(stage.first, stage.first.parent).name) == 0
        some_more(traffic)
    refused = met(traffic, notes)["refused"]
    assert (refused.faults, refused.versions) == ({}, {stage.first.name})


def test_a_new_text_version_is_changed_over_without_an_outage(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """docs/training.md: each release refuses the other's bundle, both serve side by side, and no request is lost."""
    store = tmp_path / "store"
    new, old = rewritten(tiny_bundle_path, store), rewritten(tiny_bundle_path, store, text_version=TEXT_VERSION - 1)
    before = Member("router-1", tmp_path / "before.log", module="tests.support.old_release")
    after = Member("router-2", tmp_path / "after.log")
    places = {"ROUTER_2": f"127.0.0.1:{after.port}", "ROUTER_2_HEALTH": str(after.management_port)}
    with contextlib.ExitStack() as stack:
        stack.callback(before.kill)
        stack.callback(after.kill)
        before.start(old)
        before.wait_until_ready()
        proxy = stack.enter_context(haproxy([before], tmp_path, **places))
        traffic = stack.enter_context(Traffic(Target(proxy.port), RATE))
        notes = PhaseLog(traffic, proxy)
        with notes.phase("old alone"):
            refused_at_start = run_cli(
                "--bundle", str(old), "--port", "0", "--management-port", "0", "--state-dir", str(tmp_path / "state")
            )
            refused_by_old = before.reload(new.name)
            some_more(traffic)
        with notes.phase("side by side"):
            after.start(new)
            after.wait_until_ready()
            proxy.wait_until_up(after)
            refused_by_new = after.reload(old.name)
            some_more(traffic)
        with notes.phase("switch"):
            proxy.drain(before)
            time.sleep(LEAVE_SECONDS)
            before.stop()
        with notes.phase("new alone"):
            some_more(traffic)
        phases = met(traffic, notes)
    assert refused_at_start.returncode == 2
    assert [json.loads(line)["event"] for line in refused_at_start.stdout.splitlines()] == ["starting"]
    assert refused_at_start.stderr.count("\n") == 1
    assert (refused_by_old.status_code, refused_by_new.status_code) == (409, 409)
    for line in (refused_at_start.stderr, refused_by_old.json()["detail"], refused_by_new.json()["detail"]):
        assert "retrain, or run the release that made it" in line
    assert {name: phase.faults for name, phase in phases.items() if phase.faults} == {}
    assert all(asked.fault == "" for asked in traffic.asked)
    assert {name: phases[name].versions for name in ("old alone", "side by side", "new alone")} == {
        "old alone": {old.name},
        "side by side": {old.name, new.name},
        "new alone": {new.name},
    }


def test_without_haproxy_the_rehearsal_names_the_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It fails with one line instead of skipping."""
    monkeypatch.setattr("shutil.which", lambda *_arguments, **_options: None)
    with pytest.raises(NotInstalled, match="apt-get install haproxy"), haproxy([], tmp_path):
        pass


@pytest.mark.parametrize(
    ("status", "body", "fault"),
    [
        (0, b"", "no answer"),
        (503, b"<html>", "status 503, no JSON"),
        (429, b'{"code": "overloaded"}', "status 429 overloaded"),
        (200, b'{"ticket_id": "other", "model": {"version": "v"}}', "another ticket's answer"),
        (200, b'{"ticket_id": "mine", "model": {"version": "v"}}', ""),
    ],
)
def test_the_rehearsal_detects_an_invalid_response(status: int, body: bytes, fault: str) -> None:
    """Otherwise a count of zero losses would prove nothing."""
    assert judged(status, body, "mine")[1] == fault
