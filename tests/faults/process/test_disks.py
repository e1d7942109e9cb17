"""Disks that fill up at any step, and read-only folders."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from models.bundle.bundle import open_bundle, point_current, write_bundle
from models.errors import TicketRouterError
from service.records.database.connections import open_database
from tests.faults.process.mounts import PAGE, FreeSpace, limited_space, read_only, small_disk
from tests.support.delivery import deliver, digest_of, packed
from tests.support.plain import draft, files, plain_bundle
from tests.support.process import run_cli, serving
from tests.support.reloading import reload
from tests.support.training import command, refused
from training import registry as promotions

SPACES = [*(FreeSpace(pages=pages) for pages in range(12)), *(FreeSpace(files=count) for count in range(12))]
"""From no free space to enough for part of the work, so that it fails at every step in turn."""
LARGE = {"model.onnx": bytes(20_000)}
"""Five pages, and two more for the other files; three times that during delivery."""


def bring(store: Path, archive: Path) -> None:
    deliver(archive, digest_of(archive), store)


def train(store: Path, _archive: Path) -> None:
    """The last step of training."""
    made = write_bundle(store, draft(base_model="second"), files() | LARGE)
    with promotions.locked(store):
        promotions.move(store, made.name, "promote")


WORK = {"fetch": bring, "training": train}


def visible(store: Path) -> set[str]:
    return {name for name in os.listdir(store) if not name.startswith((".", "promotions"))}


def check(store: Path, former: str) -> None:
    """`current` leads to the previous bundle, and every visible entry is whole."""
    assert open_bundle(store / "current").version == former
    for name in visible(store) - {"current"}:
        assert open_bundle(store / name).version == name
    assert not list(store.glob(".staging*")), "what was half written is gone"
    with promotions.locked(store):
        assert [each.to_version for each in promotions.history(store)] == [former]


@pytest.mark.parametrize("work", WORK)
def test_a_full_disk_leaves_the_previous_bundle(tmp_path: Path, work: str) -> None:
    """At any step: one line of error, nothing half written, `current` unchanged; with free space again it succeeds."""
    other = write_bundle(tmp_path / "made", draft(base_model="second"), files() | LARGE)
    archive, failed = packed(other, tmp_path / "other.tar"), list[str]()
    with small_disk(tmp_path / "store") as store:
        former = plain_bundle(store).name
        promotions.make_first(store, former)
        for space in SPACES:
            with limited_space(store, space):
                told = outcome(WORK[work], store, archive)
            if told is not None:
                failed.append(told)
                check(store, former)
            _begin_again(store, former)
        WORK[work](store, archive)
        assert open_bundle(store / "current").version == other.name
    assert len(failed) >= len(SPACES) // 2
    assert all("No space left" in told and told.isprintable() for told in failed), failed


def test_a_promotion_that_cannot_be_recorded_is_undone(tmp_path: Path) -> None:
    """With space for the intent and the pointer but not for the history's line, the pointer is set back."""
    with small_disk(tmp_path / "store") as store:
        former, other = plain_bundle(store).name, plain_bundle(store, draft(base_model="second")).name
        promotions.make_first(store, former)
        fill_page(store / promotions.HISTORY)
        with (
            limited_space(store, FreeSpace(pages=1)),
            promotions.locked(store),
            pytest.raises(TicketRouterError, match="moved"),
        ):
            promotions.move(store, other, "promote")
        check(store, former)
        with promotions.locked(store):
            promotions.move(store, other, "promote")
        assert [each.to_version for each in promotions.history(store)] == [former, other]


def fill_page(history: Path) -> None:
    """Make the first reason so long that the next line needs a new page."""
    line = json.loads(history.read_text())
    line["reason"] += "x" * (PAGE - 100 - history.stat().st_size)
    history.write_text(json.dumps(line, separators=(",", ":")) + "\n")


def outcome(work: Callable[[Path, Path], None], store: Path, archive: Path) -> str | None:
    """The error message."""
    try:
        return work(store, archive)
    except TicketRouterError as error:
        return str(error)


def _begin_again(store: Path, former: str) -> None:
    """Delete what the attempt completed: it was kept, and would shorten the next attempt."""
    point_current(store, former)
    for name in visible(store) - {"current", former}:
        shutil.rmtree(store / name)
    lines = (store / promotions.HISTORY).read_text().splitlines(keepends=True)
    (store / promotions.HISTORY).write_text(lines[0])


def test_a_service_without_write_access_serves(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Bundle folder and state folder may be mounted read-only: the service answers and reloads."""
    flags = ("--state-dir", str(tmp_path / "state"), "--records", "off")
    with read_only(tiny_bundle_path.parent), read_only(tmp_path), serving(tiny_bundle_path, *flags) as service:
        with service.client() as client:
            assert client.post("/v1/route", json={"body": "hello"}).status_code == 200
        assert reload(service).status_code == 200


def test_commands_without_write_access_fail_with_one_line(tmp_path: Path) -> None:
    """A delivery and a rollback in read-only folders: exit status 2, and nothing changes."""
    store = tmp_path / "store"
    former, other = plain_bundle(store).name, plain_bundle(store, draft(base_model="second"))
    archive = packed(other, tmp_path / "other.tar")
    point_current(store, former)
    fetching = ("fetch", "--from", str(archive), "--digest", f"sha256:{digest_of(archive)}", "--to", str(store))
    with read_only(store):
        done = run_cli(*fetching)
        assert (done.returncode, done.stdout, "Read-only file system" in done.stderr) == (2, "", True)
        assert len(done.stderr.splitlines()) == 1
        told = refused(command("rollback", "--store", store, "--to", other.name, "--reason", "test"))
        assert "Read-only file system" in told
        assert open_bundle(store / "current").version == former
    assert run_cli(*fetching).returncode == 0
    assert open_bundle(store / "current").version == other.name


def test_a_disk_with_hardly_any_room_is_no_place_for_a_record(tmp_path: Path) -> None:
    """The database is away: what is left would take a row now and then, and readiness would change with each ticket."""
    with small_disk(tmp_path / "state") as folder:
        database = open_database("sqlite", folder)
        database.migrate()
        with pytest.raises(OSError, match="No space left"):
            database.connect()
        database.close()
