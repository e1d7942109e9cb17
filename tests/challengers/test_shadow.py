"""The shadow: it computes what the serving bundle answers, is recorded, and never answers."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.challenging import SECONDS, put_and_wait
from tests.support.process import Service, run_cli, serving
from tests.support.reloading import Shelf, ask, two_bundles, version_of
from tests.support.tiny import SAMPLES
from tests.support.waiting import wait_until

COMPUTED = 'shadow_tickets_total{result="computed"}'


@pytest.fixture(scope="module")
def shelf(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return two_bundles(tiny_bundle_path, tmp_path_factory.mktemp("shelf"))


@pytest.fixture
def running(shelf: Shelf, tmp_path: Path) -> Iterator[Service]:
    with serving(shelf.current, "--state-dir", str(tmp_path / "state")) as service:
        yield service


def export(state: Path, out: Path) -> list[dict[str, object]]:
    assert run_cli("records", "export", "--out", str(out), "--state-dir", str(state)).returncode == 0
    return [json.loads(line) for line in out.read_text().splitlines()]


def test_shadow_computes_every_ticket_and_its_verdicts_are_on_record(
    running: Service, shelf: Shelf, tmp_path: Path
) -> None:
    put_and_wait(running, "shadow", shelf.other)
    for number, (subject, body) in enumerate(SAMPLES[:8]):
        assert version_of(ask(running, id=f"T-{number}", subject=subject, body=body)) == shelf.first
    wait_until(lambda: running.counts(COMPUTED) == 8, SECONDS)
    assert running.stop() == 0  # writes what is left
    records = export(tmp_path / "state", tmp_path / "out.jsonl")
    assert len(records) == 8
    for record in records:
        assert record["bundle"] == shelf.first
        shadow = record["shadow"]
        assert isinstance(shadow, dict)
        assert (shadow["bundle"], shadow["variant"]) == (shelf.other, "fp32")
        ours, theirs = record["fields"]["department"], shadow["fields"]["department"]
        assert ours.keys() == theirs.keys()
        assert ours["confidence"] == pytest.approx(theirs["confidence"], abs=0.01)
        assert ours["confidence"] != theirs["confidence"]
