"""A model replaced under load: by a reload, and after a failed session."""

import itertools
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import spoiled
from tests.support.process import Service, serving
from tests.support.reloading import Shelf, ask, is_ready, reload, two_bundles, version_of
from tests.support.tiny import SAMPLES
from tests.support.waiting import wait_until

LONG = {"body": " ".join(body for _, body in SAMPLES)}


@pytest.fixture(scope="module")
def shelf(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return two_bundles(tiny_bundle_path, tmp_path_factory.mktemp("shelf"))


@dataclass
class Crowd:
    """Clients that send until they are stopped, and the confidences of their tickets by model version."""

    service: Service
    stop: threading.Event = field(default_factory=threading.Event)
    errors: list[str] = field(default_factory=list)
    versions: list[set[str]] = field(default_factory=list)
    seen: dict[tuple[str, str], set[float]] = field(default_factory=dict)
    batches: list[tuple[float, float]] = field(default_factory=list)

    def one_by_one(self) -> None:
        with self.service.client() as client:
            for subject, body in itertools.cycle(SAMPLES):
                if self.stop.is_set():
                    return
                answer = client.post("/v1/route", json={"subject": subject, "body": body})
                self._note([subject], [answer.json()] if answer.status_code == 200 else answer.text)

    def in_batches(self) -> None:
        tickets = [{"subject": subject, "body": body} for subject, body in SAMPLES] * 21
        with self.service.client() as client:
            while not self.stop.is_set():
                began = time.monotonic()
                answer = client.post("/v1/route/batch", json={"tickets": tickets})
                self.batches.append((began, time.monotonic()))
                items = answer.json().get("results", [])
                whole = len(items) == len(tickets) and all("decision" in item for item in items)
                subjects = [ticket["subject"] for ticket in tickets]
                self._note(subjects, [item["decision"] for item in items] if whole else answer.text)

    def _note(self, subjects: list[str], decisions: list[dict[str, Any]] | str) -> None:
        if isinstance(decisions, str):
            self.errors.append(decisions)
            return
        self.versions.append({version_of(decision) for decision in decisions})
        for subject, decision in zip(subjects, decisions, strict=True):
            key = version_of(decision), subject
            self.seen.setdefault(key, set()).add(round(decision["confidence"], 4))


@pytest.mark.parametrize("reloads", [20, pytest.param(100, marks=pytest.mark.slow)])
def test_reloads_under_load_cause_no_wrong_decision(shelf: Shelf, reloads: int) -> None:
    """No error; every response, of batches too, is of one version with the confidences of that version."""
    with serving(shelf.current, "--cache-entries", "0", "--max-batch-tokens", "64") as service:
        crowd = Crowd(service)
        clients = [crowd.one_by_one] * 3 + [crowd.in_batches] * 2
        with ThreadPoolExecutor(len(clients)) as pool:
            waiting = [pool.submit(client) for client in clients]
            moments = []
            try:
                for version in [shelf.other, shelf.first] * (reloads // 2):
                    assert reload(service, version).status_code == 200
                    moments.append(time.monotonic())
            finally:
                crowd.stop.set()
            for each in waiting:
                each.result()
        assert crowd.errors == []
        assert {len(versions) for versions in crowd.versions} == {1}
        assert set.union(*crowd.versions) == {shelf.first, shelf.other}
        assert any(began < moment < ended for began, ended in crowd.batches for moment in moments)
        for subject, _ in SAMPLES:
            ours, theirs = (crowd.seen.get((version, subject), set()) for version in (shelf.first, shelf.other))
            assert not ours & theirs, "figures of one version under the other's name"
        wait_until(lambda: service.counts("queue_depth") == 0)


def test_a_failed_session_is_replaced(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A run that raises is 500 for its tickets, and the service is not ready until a new session has replayed; no
    restart."""
    broken = spoiled.too_few_positions(tiny_bundle_path, tmp_path / "store")
    hidden = broken.with_name("away")
    with serving(broken, "--cache-entries", "0") as service:
        broken.rename(hidden)  # so that it cannot be replaced yet
        failed = httpx.post(service.url + "/v1/route", json=LONG, timeout=30)
        assert (failed.status_code, failed.json()["code"]) == (500, "inference_failed")
        wait_until(lambda: not is_ready(service))
        assert "session is being replaced" in service.management("/readyz").json()["detail"]
        wait_until(lambda: any(event["event"] == "session not replaced" for event in service.events))
        assert service.management("/livez").status_code == 200
        assert ask(service)["model"]["version"] == broken.name
        assert not is_ready(service)
        hidden.rename(broken)
        wait_until(lambda: is_ready(service))
        causes = [event["cause"] for event in service.events if event["event"] == "model run failed"]
        assert len(causes) == 1
        assert "please" not in causes[0]
        assert version_of(ask(service)) == broken.name
