"""Reloads of the model: `POST /admin/reload`, SIGHUP, a changed link, and a failed session."""

import asyncio
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from models.bundle.bundle import point_current
from service.app import create_app
from service.settings import Settings
from tests.support import spoiled
from tests.support.process import Service, serving
from tests.support.reloading import Shelf, ask, is_ready, reload, reload_with, two_bundles, version_of
from tests.support.tiny import SAMPLES, rewritten
from tests.support.waiting import wait_until

LONG = {"body": " ".join(body for _, body in SAMPLES)}
DONE = 'model_reloads_total{outcome="done"}'
REFUSED = 'model_reloads_total{outcome="refused"}'


@pytest.fixture(scope="module")
def shelf(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    return two_bundles(tiny_bundle_path, tmp_path_factory.mktemp("shelf"))


@pytest.fixture(scope="module")
def running(shelf: Shelf) -> Iterator[Service]:
    """Shared: tests leave the first bundle serving, and the link pointing at it."""
    with serving(shelf.current) as service:
        yield service


@pytest.fixture
def swapped(running: Service, shelf: Shelf) -> Iterator[Service]:
    """The same service; the first bundle is restored afterwards."""
    yield running
    point_current(shelf.store, shelf.first)
    assert reload(running).status_code == 200


def test_a_reload_changes_the_version_everywhere(swapped: Service, shelf: Shelf) -> None:
    """Response, decisions, model card, status and metrics name the new version, and the previous one as previous."""
    done = swapped.counts(DONE)
    answer = reload(swapped, shelf.other)
    assert (answer.status_code, answer.json()) == (
        200,
        {"version": shelf.other, "variant": "fp32", "previous": shelf.first},
    )
    assert version_of(ask(swapped)) == shelf.other
    assert httpx.get(swapped.url + "/v1/model").json()["version"] == shelf.other
    assert swapped.management("/admin/status").json()["serving"]["model"]["version"] == shelf.other
    assert swapped.counts(DONE) == done + 1
    named = [name for name in swapped.samples() if "model_info" in name]
    assert len(named) == 1
    assert shelf.other in named[0]


def test_empty_body_reloads_the_configured_bundle(swapped: Service, shelf: Shelf) -> None:
    """The current target of the link counts, not the one at start."""
    point_current(shelf.store, shelf.other)
    answer = reload_with(swapped)
    assert (answer.json()["version"], answer.json()["previous"]) == (shelf.other, shelf.first)
    assert version_of(ask(swapped)) == shelf.other


def test_a_reload_empties_the_cache(swapped: Service, shelf: Shelf) -> None:
    """The new model computes the same text again."""
    before = ask(swapped, body="a text both are asked")
    reload(swapped, shelf.other)
    computed = swapped.counts('answers_total{source="model"}')
    after = ask(swapped, body="a text both are asked")
    assert swapped.counts('answers_total{source="model"}') == computed + 1
    assert after["confidence"] != before["confidence"]


def test_sighup_reloads(swapped: Service, shelf: Shelf) -> None:
    """Like a reload with an empty body; a refusal is logged, and the old model serves on."""
    point_current(shelf.store, shelf.other)
    swapped.process.send_signal(signal.SIGHUP)
    wait_until(lambda: version_of(ask(swapped)) == shelf.other)
    shelf.current.unlink()
    swapped.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any(event["event"] == "reload failed" for event in swapped.events))
    assert version_of(ask(swapped)) == shelf.other
    assert is_ready(swapped)


def test_a_changed_link_reloads_the_model_with_watch_seconds(
    shelf: Shelf, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """A bad bundle is refused once, not at every check."""
    store = Path(shutil.copytree(shelf.store, tmp_path / "store", symlinks=True))
    bad = spoiled.foreign(tiny_bundle_path, store).name
    with serving(store / "current", "--watch-seconds", "0.05") as service:
        point_current(store, shelf.other)
        wait_until(lambda: version_of(ask(service)) == shelf.other)
        point_current(store, bad)
        wait_until(lambda: service.counts(REFUSED) == 1)
        time.sleep(0.5)  # ten more looks
        assert service.counts(REFUSED) == 1
        assert (version_of(ask(service)), is_ready(service)) == (shelf.other, True)
        point_current(store, shelf.first)
        wait_until(lambda: version_of(ask(service)) == shelf.first)


Make = Callable[[Path, Path], Path]


@pytest.mark.parametrize(
    ("make", "cause"),
    [
        (spoiled.damaged, "model.onnx: its digest"),
        (spoiled.changed_weights, "golden row"),
        (spoiled.foreign, "text cleaning version 999"),
        (spoiled.first_schema, "train it again from its closed tickets: python -m training train --data"),
        (spoiled.no_graph, "cannot load"),
    ],
)
def test_unusable_bundle_is_refused(
    running: Service, shelf: Shelf, tiny_bundle_path: Path, make: Make, cause: str
) -> None:
    """409 with the reason in one line; the old model serves on, the process stays ready, the refusal is counted."""
    made = make(tiny_bundle_path, shelf.store)
    refusals, done = running.counts(REFUSED), running.counts(DONE)
    answer = reload(running, made.name)
    problem = answer.json()
    assert (answer.status_code, problem["code"]) == (409, "reload_refused")
    assert answer.headers["content-type"] == "application/problem+json"
    assert cause in problem["detail"]
    assert "\n" not in problem["detail"]
    assert (running.counts(REFUSED), running.counts(DONE)) == (refusals + 1, done)
    assert (version_of(ask(running)), is_ready(running)) == (shelf.first, True)


def test_an_unknown_version_is_refused_and_changes_no_metric(running: Service) -> None:
    """A mistake of the caller: no bundle was refused, so the alerts must not fire."""
    assert reload(running).status_code == 200
    refusals = running.counts(REFUSED)
    answer = reload(running, "0123456789abcdef")
    assert (answer.status_code, answer.json()["code"]) == (409, "reload_refused")
    assert "holds no bundle" in answer.json()["detail"]
    assert (running.counts(REFUSED), running.counts("model_last_reload_successful")) == (refusals, 1)


def test_reloading_the_served_bundle_does_nothing(running: Service, shelf: Shelf) -> None:
    """Its folder is not read again. The last reload is successful again, which ends the alert on a refusal."""
    shelf.current.unlink()
    assert reload(running).status_code == 409
    point_current(shelf.store, shelf.first)
    assert running.counts("model_last_reload_successful") == 0
    loads, since = running.counts("load_duration_seconds_count"), running.counts("success_timestamp_seconds")
    answer = reload(running, shelf.first)
    assert answer.json() == {"version": shelf.first, "variant": "fp32", "previous": shelf.first}
    assert running.counts("model_last_reload_successful") == 1
    assert (running.counts("load_duration_seconds_count"), running.counts("success_timestamp_seconds")) == (
        loads,
        since,
    )


@pytest.mark.parametrize("version", ["", "nonsense", "../x", "..", "/etc", "current", "%2e%2e", "\x00", "x" * 5000])
def test_malformed_version_is_refused(running: Service, version: str) -> None:
    """It does not reach the file system and is not repeated in the response."""
    answer = reload(running, version)
    assert (answer.status_code, answer.json()["code"]) == (409, "reload_refused")
    assert answer.json()["detail"] == "bundle must be a version id, 16 hexadecimal digits"


def test_reload_without_the_configured_bundle_is_refused(swapped: Service, shelf: Shelf) -> None:
    """If the link is missing, the current model serves on."""
    shelf.current.unlink()
    answer = reload(swapped)
    assert (answer.status_code, "promote one first" in answer.json()["detail"]) == (409, True)
    assert (version_of(ask(swapped)), is_ready(swapped)) == (shelf.first, True)


@pytest.mark.parametrize(
    ("content", "kind", "status", "code"),
    [
        (b"{", "application/json", 400, "malformed_json"),
        (b"\xff", "application/json", 400, "malformed_json"),
        (b'{"bundle":null,"bundle":null}', "application/json", 400, "malformed_json"),
        (b'{"bundle":"x","force":true}', "application/json", 422, "invalid_request"),
        (b'{"bundle":5}', "application/json", 422, "invalid_request"),
        (b"[]", "application/json", 422, "invalid_request"),
        (b"{}", "text/plain", 415, "unsupported_media_type"),
        (b"{}" + b" " * 20_000, "application/json", 413, "body_too_large"),
    ],
)
def test_malformed_request_does_not_reload(running: Service, content: bytes, kind: str, status: int, code: str) -> None:
    counted = running.counts("model_reloads_total")
    answer = reload_with(running, content=content, headers={"Content-Type": kind})
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert running.counts("model_reloads_total") == counted


def test_a_reload_needs_a_post(running: Service) -> None:
    """A link that a browser or a crawler follows must not replace a model."""
    answer = running.management("/admin/reload")
    assert (answer.status_code, answer.headers["allow"]) == (405, "POST")


def test_one_reload_at_a_time(swapped: Service, shelf: Shelf, tiny_bundle_path: Path) -> None:
    """A second reload is refused at once; the first one succeeds."""
    golden = (tiny_bundle_path / "golden.jsonl").read_bytes() * 40
    slow = rewritten(tiny_bundle_path, shelf.store, golden_rows=40 * len(SAMPLES), files={"golden.jsonl": golden}).name
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: reload(swapped, slow), range(4)))
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409]
    assert {answer.json().get("code") for answer in answers} == {None, "reload_running"}
    assert version_of(ask(swapped)) == slow


def test_a_reload_before_the_first_bundle_is_503(shelf: Shelf) -> None:
    """A reload of a starting process can be repeated later."""
    app = create_app(Settings(bundle=shelf.current))

    async def ask_early() -> httpx.Response:
        transport = httpx.ASGITransport(app.management)
        async with httpx.AsyncClient(transport=transport, base_url="http://management") as client:
            answer = await client.post("/admin/reload")
        await app.stop()
        return answer

    answer = asyncio.run(ask_early())
    assert (answer.status_code, answer.json()["code"], "retry-after" in answer.headers) == (503, "not_ready", True)
