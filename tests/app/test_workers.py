"""`--workers 2`: two processes on one port that are seen, stopped, reloaded and mended as one."""

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from service.process import child
from service.process.control import Begin
from service.server.sockets import bind
from service.settings import Settings
from tests.faults.http_cases import get
from tests.support.process import Service, run_cli, serving
from tests.support.tiny import SAMPLES, rewritten
from tests.support.waiting import refused, wait_until

ANSWERED = r'http_requests_total{code="200",method="POST",route="/v1/route"}'


@pytest.fixture(scope="module")
def store(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of bundles with a pointer to the first."""
    folder = tmp_path_factory.mktemp("store")
    shutil.copytree(tiny_bundle_path, folder / tiny_bundle_path.name)
    (folder / "current").symlink_to(tiny_bundle_path.name)
    return folder


@pytest.fixture(scope="module")
def other(tiny_bundle_path: Path, store: Path) -> str:
    """The version of a second bundle in the store."""
    return rewritten(tiny_bundle_path, store, provenance={"made_by": "another training"}).name


@pytest.fixture(scope="module")
def pair(store: Path) -> Iterator[Service]:
    """Two workers. Shared: tests leave two sound ones, whatever they serve."""
    with serving(store / "current", "--workers", "2") as running:
        yield running


def ask(service: Service, text: str = "hello") -> str:
    """One ticket on a connection of its own; the version that decided it."""
    answer = httpx.post(service.url + "/v1/route", json={"body": text}, timeout=30)
    assert answer.status_code == 200
    version: str = answer.json()["model"]["version"]
    return version


def status(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.management("/admin/status").json()
    return found


def pids(service: Service) -> list[int]:
    return [worker["pid"] for worker in status(service)["workers"]]


def versions(service: Service) -> list[str]:
    return [worker["serving"]["model"]["version"] for worker in status(service)["workers"]]


def ready(service: Service) -> bool:
    return service.management("/readyz").status_code == 200


def reload(service: Service, version: str | None = None) -> httpx.Response:
    body = {} if version is None else {"bundle": version}
    return httpx.post(service.management_url + "/admin/reload", json=body, timeout=60)


def alive(pid: int) -> bool:
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    return False


def test_both_answer_on_one_port_and_count_as_one(pair: Service) -> None:
    """Connections spread over the workers, and the sums over both are what was sent."""
    before = pair.samples()
    for number in range(30):
        ask(pair, f"hello {number}")
    after = pair.samples()

    def gained(name: str) -> float:
        return sum(value - before.get(key, 0) for key, value in after.items() if name in key)

    assert {event.get("worker") for event in pair.events if event["event"] == "request"} == {1, 2}
    assert gained(ANSWERED) == gained("decisions_total") == gained("input_tokens_count") == 30
    assert after['ticket_router_workers{state="ready"}'] == 2
    assert sum(value for name, value in after.items() if "model_info" in name) == 1
    assert pair.management("/openapi.json").json()["paths"].keys() >= {"/v1/route", "/v1/route/batch"}


def test_connections_that_come_together_spread_over_the_workers(pair: Service) -> None:
    """As a client's pool opens them: none of the workers takes all, and leaves the others nothing to do."""
    wait_until(lambda: ready(pair))
    seen = len(pair.events)
    with contextlib.ExitStack() as opened:
        together = [opened.enter_context(socket.socket()) for _ in range(32)]
        for connection in together:
            connection.setblocking(False)
            connection.connect_ex(("127.0.0.1", pair.port))
        for connection in together:
            connection.settimeout(10)
            connection.sendall(get(path="/v1/model"))
            assert connection.recv(12) == b"HTTP/1.1 200"

    def answered() -> Counter[int]:
        return Counter(event["worker"] for event in pair.events[seen:] if event["event"] == "request")

    wait_until(lambda: answered().total() == len(together))
    assert min(answered()[worker] for worker in (1, 2)) >= 4


def test_process_figures_cover_all_processes(pair: Service) -> None:
    """Memory and processor time are the supervisor's and the workers' together."""
    samples, workers = pair.samples(), pids(pair)
    pages = [int(Path(f"/proc/{pid}/statm").read_text().split()[1]) for pid in (pair.process.pid, *workers)]
    resident = sum(pages) * os.sysconf("SC_PAGESIZE")
    assert samples["process_resident_memory_bytes"] == pytest.approx(resident, rel=0.1)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_a_worker_that_ends_is_replaced(pair: Service, number: signal.Signals) -> None:
    """Not ready until two serve again; the other answers meanwhile; nothing that was counted is lost."""
    wait_until(lambda: ready(pair))
    ended, lived = pids(pair)
    decided, restarts = pair.counts("decisions_total"), pair.counts("worker_restarts_total")
    os.kill(ended, number)
    wait_until(lambda: not ready(pair))
    wait_until(lambda: "1 of 2 workers is being replaced" in pair.management("/readyz").text)
    assert pair.management("/livez").status_code == 200
    version = ask(pair)
    wait_until(lambda: ready(pair))
    assert pair.counts("decisions_total") == decided + 1
    assert pair.counts("worker_restarts_total") == restarts + 1
    replaced = pids(pair)
    assert replaced[1] == lived
    assert replaced[0] != ended
    assert versions(pair) == [version, version]


def test_a_bundle_is_taken_by_all(pair: Service, other: str) -> None:
    """After a reload both serve it, by name or by SIGHUP as configured; so does a worker that comes later."""
    wait_until(lambda: ready(pair))
    first = versions(pair)[0]
    answer = reload(pair, other)
    assert (answer.status_code, answer.json()["version"], answer.json()["previous"]) == (200, other, first)
    assert versions(pair) == [other, other]
    os.kill(pids(pair)[1], signal.SIGKILL)
    wait_until(lambda: not ready(pair))
    wait_until(lambda: ready(pair))
    assert versions(pair) == [other, other]
    assert {ask(pair) for _ in range(10)} == {other}
    pair.process.send_signal(signal.SIGHUP)
    wait_until(lambda: versions(pair) == [first, first])


def test_a_bundle_one_refuses_is_taken_by_none(pair: Service, store: Path, tiny_bundle_path: Path) -> None:
    """The one before goes on in both, and the answer says why."""
    wait_until(lambda: ready(pair))
    served = versions(pair)
    foreign = rewritten(tiny_bundle_path, store, text_version=999).name
    for version, cause in ((foreign, "text"), ("0123456789abcdef", "holds no bundle"), ("../x", "version id")):
        answer = reload(pair, version)
        assert (answer.status_code, cause in answer.json()["detail"]) == (409, True)
    assert versions(pair) == served
    assert ready(pair)


def test_a_worker_that_dies_while_a_bundle_is_prepared_stops_it_for_all(pair: Service, other: str) -> None:
    """The first had it ready and lets it go: both serve the old one, and the next reload goes through."""
    wait_until(lambda: ready(pair))
    served, stuck = versions(pair), pids(pair)[1]
    os.kill(stuck, signal.SIGSTOP)  # it does not answer, so that the reload waits for it
    answers: list[httpx.Response] = []
    thread = threading.Thread(target=lambda: answers.append(reload(pair, other)))
    thread.start()
    wait_until(
        lambda: any(line for line in Path(f"/proc/{stuck}/status").read_text().splitlines() if "(stopped)" in line)
    )
    time.sleep(1.5)  # the first prepares meanwhile; were it not done, the end would be the same
    assert reload(pair, other).status_code == 409
    os.kill(stuck, signal.SIGKILL)
    thread.join()
    assert (answers[0].status_code, "ended before it answered" in answers[0].json()["detail"]) == (409, True)
    wait_until(lambda: ready(pair))
    assert versions(pair) == served
    assert reload(pair, other).status_code == 200
    assert reload(pair, served[0]).status_code == 200


def test_a_stop_drains_both_and_loses_nothing(tiny_bundle_path: Path) -> None:
    """Requests on their way when the signal comes all get 200, on either worker; the exit status is 0."""
    with serving(tiny_bundle_path, "--workers", "2") as service:
        workers, ends, together = pids(service), list[int | str](), threading.Barrier(20)

        def send(sender: int) -> None:
            tickets = [{"body": f"{SAMPLES[0][1]} {sender} {number}"} for number in range(200)]
            with service.client() as client:
                together.wait()
                try:
                    ends.append(client.post("/v1/route/batch", json={"tickets": tickets}).status_code)
                except httpx.TransportError as error:
                    ends.append(repr(error))

        threads = [threading.Thread(target=send, args=(sender,)) for sender in range(20)]
        for thread in threads:
            thread.start()
        wait_until(lambda: service.counts("queue_depth") > 50)
        assert len(ends) < 10, "the load was over before the signal"
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: refused(service.port))
        for thread in threads:
            thread.join()
        assert ends == [200] * 20
        assert service.process.wait(10) == 0
        assert not any(map(alive, workers))


def test_no_worker_outlives_its_supervisor(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Killed outright, it takes them along: they answer what they have, free the port, end, and leave no files."""
    body = b'{"body":"hello"}'
    env = {**os.environ, "TMPDIR": str(tmp_path)}
    with serving(tiny_bundle_path, "--workers", "2", env=env) as service, contextlib.ExitStack() as stack:
        workers = pids(service)
        assert list(tmp_path.glob("ticket-router-*"))
        client = stack.enter_context(service.client())
        assert client.post("/v1/route", content=body, headers={"Content-Type": "application/json"}).status_code == 200
        service.process.kill()
        wait_until(lambda: refused(service.port))
        wait_until(lambda: not any(map(alive, workers)))
        assert not list(tmp_path.glob("ticket-router-*"))


def test_a_worker_that_hangs_is_killed(tiny_bundle_path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It answers no one and does not end by itself, so its supervisor ends it."""
    monkeypatch.setattr(child, "BEAT_SECONDS", 0.1)

    async def play() -> str:
        with bind("127.0.0.1", 0) as public:
            worker = await child.Child.start(1, tiny_bundle_path, public)
            await worker.ask(Begin(settings=Settings(), bundle=tiny_bundle_path, metrics=tmp_path))
            await worker.listen()
            os.kill(worker.pid, signal.SIGSTOP)
            return await asyncio.wait_for(worker.ended(), 20)

    assert asyncio.run(play()) == "SIGKILL"


def test_more_workers_than_cores_are_one_line() -> None:
    """They would only take turns: refused before anything is started, exit status 2."""
    done = run_cli("--port", "0", "--management-port", "0", "--workers", "999")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith("error: --workers 999: this machine has ")


def test_a_bundle_that_no_worker_may_serve_is_one_line(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Both find it out; it is told once, in the words a single process has for it."""
    foreign = rewritten(tiny_bundle_path, tmp_path, text_version=999)
    flags = ("--port", "0", "--management-port", "0", "--workers", "2")
    done = run_cli("--bundle", str(foreign), *flags)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert done.stderr.startswith(f"error: {foreign}") or foreign.name in done.stderr
