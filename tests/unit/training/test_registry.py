"""The store's pointer and its history: one tells what the other does, also after a crash."""

import json
import os
from pathlib import Path

import pytest

from models.bundle.bundle import point_current
from models.errors import TicketRouterError
from tests.support.plain import draft, plain_bundle
from training import registry as promotions
from training.registry import HISTORY, Gate, current_version, history, locked, make_first, move, previous_version


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


@pytest.fixture
def versions(store: Path) -> list[str]:
    """Three bundles of a store, the first current and on record."""
    made = [plain_bundle(store, draft(base_model=name)).name for name in "abc"]
    make_first(store, made[0])
    return made


def promoted(store: Path, *names: str) -> None:
    for name in names:
        with locked(store):
            move(store, name, "promote", "because")


def test_a_move_is_on_record(store: Path, versions: list[str]) -> None:
    """One line for each move, with time, user, from, to, reason and gates; nothing else stays in the store."""
    with locked(store):
        move(store, versions[1], "promote", "November", [Gate(name="size", passed=True, figure="3 MB")])
    lines = [json.loads(line) for line in (store / HISTORY).read_text().splitlines()]
    assert [(line["event"], line["from_version"], line["to_version"]) for line in lines] == [
        ("first", None, versions[0]),
        ("promote", versions[0], versions[1]),
    ]
    assert lines[1]["reason"] == "November"
    assert lines[1]["gates"] == [{"name": "size", "passed": True, "figure": "3 MB"}]
    assert not lines[1]["forced"]
    assert all(lines[1][name] for name in ("at", "by", "code"))
    assert sorted(os.listdir(store)) == sorted([*versions, "current", HISTORY])


def test_a_failed_gate_makes_a_move_forced(store: Path, versions: list[str]) -> None:
    """The record itself says that a gate was overridden."""
    with locked(store):
        done = move(store, versions[1], "promote", "urgent", [Gate(name="size", passed=False, figure="9 MB")])
    assert done.forced
    assert history(store)[-1].forced


def test_a_move_that_fails_is_not_on_record(store: Path, versions: list[str]) -> None:
    """A version that is not there: the pointer stays, and after the next command no trace is left."""
    with locked(store), pytest.raises(TicketRouterError, match="no bundle"):
        move(store, "0" * 16, "promote")
    promoted(store, versions[1])
    assert [each.to_version for each in history(store)] == versions[:2]


class Killed(BaseException):
    """The process died here."""


@pytest.mark.parametrize("step", ["point_current", "_complete_intent", "_append"])
def test_a_kill_at_any_step_leaves_a_true_history(
    store: Path, versions: list[str], monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    """Before the pointer moved: forgotten. After it: on record, once, as soon as the store is next used."""

    def die(*_: object) -> None:
        raise Killed

    with locked(store):
        monkeypatch.setattr(promotions, step, die)
        with pytest.raises(Killed):
            move(store, versions[1], "promote")
    monkeypatch.undo()
    with locked(store):
        pass
    moved = step != "point_current"
    assert current_version(store) == versions[1 if moved else 0]
    assert [each.to_version for each in history(store)] == versions[: 2 if moved else 1]


@pytest.mark.parametrize("kept", [0, 10, -1, None])
def test_a_kill_within_the_line_leaves_one_whole_line(
    store: Path, versions: list[str], monkeypatch: pytest.MonkeyPatch, kept: int | None
) -> None:
    """The last line cut anywhere, or whole with its intent still there: the next command makes it one whole line."""
    write = promotions._write_durably

    def cut(path: Path, content: bytes, mode: int) -> None:
        write(path, content[:kept] if path.name == HISTORY else content, mode)
        if path.name == HISTORY:
            raise Killed

    monkeypatch.setattr(promotions, "_write_durably", cut)
    with pytest.raises(Killed):
        promoted(store, versions[1])
    monkeypatch.undo()
    promoted(store, versions[2])
    assert [each.to_version for each in history(store)] == versions


def test_two_promotions_do_not_meet(store: Path, versions: list[str]) -> None:
    """The second is refused while the first is under way, and goes through after it."""
    with locked(store), pytest.raises(TicketRouterError, match="under way"), locked(store):
        pass
    promoted(store, versions[1])
    assert current_version(store) == versions[1]


def test_rolling_back_undoes_one_promotion_after_the_other(store: Path, versions: list[str]) -> None:
    """From c back to b, from b back to a, never to and fro; and a promotion after that is undone first."""
    promoted(store, *versions[1:])
    for wanted in (versions[1], versions[0]):
        assert previous_version(store) == wanted
        with locked(store):
            move(store, wanted, "rollback")
    assert previous_version(store) is None
    promoted(store, versions[2])
    assert previous_version(store) == versions[0]


def test_a_pointer_moved_by_hand_is_no_hindrance(store: Path, versions: list[str]) -> None:
    """A rollback from an unrecorded bundle goes to the last recorded one."""
    promoted(store, versions[1])
    point_current(store, versions[2])
    assert previous_version(store) == versions[1]


def test_a_store_from_before_the_history_remembers_where_it_came_from(store: Path) -> None:
    """The first promotion on record says what served before it."""
    old, new = (plain_bundle(store, draft(base_model=name)).name for name in "ab")
    point_current(store, old)
    promoted(store, new)
    assert previous_version(store) == old


def test_a_damaged_history_is_named(store: Path, versions: list[str]) -> None:
    """A line that is no record is named by its number: the history is not guessed."""
    with (store / HISTORY).open("ab") as file:
        file.write(b'{"event": "promote"}\n')
    with pytest.raises(TicketRouterError, match="line 2"):
        previous_version(store)
    assert len(versions) == 3


def test_a_store_that_is_not_there_is_named(tmp_path: Path) -> None:
    """A mistyped store is one clear error."""
    with pytest.raises(TicketRouterError, match="no folder of bundles"), locked(tmp_path / "none"):
        pass
