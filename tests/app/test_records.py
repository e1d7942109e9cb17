"""Decisions on record, through REST, the management port and the command line."""

import json
import re
import signal
import sqlite3
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.support.keys import Known, file_of
from tests.support.process import Service, run_cli, serving

TICKET = {"id": "T-1", "subject": "Invoice", "body": "I was charged twice."}


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def recording(tiny_bundle_path: Path, state: Path) -> Iterator[Service]:
    """A service that records into a file. Shared: tests use tickets of their own."""
    with serving(tiny_bundle_path, "--state-dir", str(state)) as running:
        yield running


def routed(service: Service, ticket: dict[str, Any], **headers: str) -> dict[str, Any]:
    with service.client() as client:
        response = client.post("/v1/route", json=ticket, headers=headers)
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def test_killed_service_gives_the_same_decision_after_its_restart(tiny_bundle_path: Path, tmp_path: Path) -> None:
    flags = ("--state-dir", str(tmp_path))
    with serving(tiny_bundle_path, *flags) as service:
        with_id, without = routed(service, TICKET), routed(service, {"body": "Where is my parcel?"})
        service.process.send_signal(signal.SIGKILL)
    with serving(tiny_bundle_path, *flags) as service:
        assert routed(service, TICKET) == with_id
        assert routed(service, {"body": "Where is my parcel?"}) == without


def test_concurrent_repetitions_get_one_decision(recording: Service) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: routed(recording, TICKET | {"id": "T-many"}), range(32)))
    assert len({each["decision_id"] for each in answers}) == 1


def test_key_of_another_request_is_422(recording: Service) -> None:
    with recording.client() as client:
        headers = {"Idempotency-Key": "order-1"}
        first = client.post("/v1/route", json={"body": "one"}, headers=headers)
        again = client.post("/v1/route", json={"body": "one"}, headers=headers)
        other = client.post("/v1/route", json={"body": "two"}, headers=headers)
        malformed = client.post("/v1/route", json={"body": "two"}, headers={"Idempotency-Key": "a b"})
    assert again.content == first.content
    assert (other.status_code, other.json()["code"]) == (422, "idempotency_key_reused")
    assert (malformed.status_code, malformed.json()["code"]) == (400, "invalid_header")


def test_repeated_batch_gives_the_same_decisions(recording: Service) -> None:
    tickets = [{"id": "B-1", "body": "a"}, {"body": "same"}, {"body": "same"}, {"body": 1}]
    with recording.client() as client:
        first, second = (client.post("/v1/route/batch", json={"tickets": tickets}).json()["results"] for _ in range(2))
        keyed = [
            client.post("/v1/route/batch", json={"tickets": each}, headers={"Idempotency-Key": "batch-1"}).json()
            for each in ([{"body": "x"}, {"body": "y"}], [{"body": "x"}, {"body": "z"}])
        ]
    assert first[:3] == second[:3]
    assert len({each["decision"]["decision_id"] for each in first[:3]}) == 3, "two equal tickets of a batch are two"
    assert first[3]["error"]["code"] == "invalid_request"
    assert keyed[0]["results"][0] == keyed[1]["results"][0]
    assert keyed[1]["results"][1]["error"]["code"] == "idempotency_key_reused"


def test_recorded_decision_is_read_by_its_id_and_listed(recording: Service) -> None:
    answer = routed(recording, {"id": "T-read", "body": "Where is my parcel?", "from": "kim@example.com"})
    with recording.client() as client:
        one = client.get(f"/v1/decisions/{answer['decision_id']}").json()
        page = client.get("/v1/decisions", params={"outcome": answer["outcome"], "since": one["created_at"]}).json()
        later = client.get("/v1/decisions", params={"since": "2100-01-01T00:00:00Z"}).json()
        unknown = client.get("/v1/decisions/01J00000000000000000000000")
        wrong = client.get("/v1/decisions", params={"outcome": "other"})
        of_ticket = client.get("/v1/decisions", params={"ticket_id": "T-read"}).json()
    assert one["ticket_id"] == "T-read"
    assert one["caller"] == "anonymous"
    assert one["bundle"] == answer["model"]["version"]
    assert one["fields"]["department"]["value"] == answer["department"]
    assert one["fields"]["department"]["confidence"] == answer["confidence"]
    assert one in page["decisions"]
    assert of_ticket == {"decisions": [one], "cursor": None}
    assert later == {"decisions": [], "cursor": None}
    assert (unknown.status_code, unknown.json()["code"]) == (404, "unknown_decision")
    assert (wrong.status_code, wrong.json()["code"]) == (422, "invalid_request")


def test_neither_text_nor_address_is_in_the_file(recording: Service, state: Path) -> None:
    routed(recording, {"id": "T-private", "subject": "Lorem", "body": "canary-words", "from": "canary@example.com"})
    for file in state.iterdir():
        assert b"canary" not in file.read_bytes(), file.name


def test_pages_follow_each_other_without_a_gap(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path)) as service, service.client() as client:
        tickets = [{"id": f"T-{number}", "body": "x"} for number in range(250)]
        batch = client.post("/v1/route/batch", json={"tickets": tickets}).json()["results"]
        listed: list[str] = []
        parameters: dict[str, str] = {}
        while True:
            page = client.get("/v1/decisions", params=parameters).json()
            listed += [each["decision_id"] for each in page["decisions"]]
            if page["cursor"] is None:
                break
            parameters = {"cursor": page["cursor"]}
    assert listed == sorted((each["decision"]["decision_id"] for each in batch), reverse=True)


def test_decisions_need_the_role_feedback(tiny_bundle_path: Path, tmp_path: Path) -> None:
    router, agent = Known("router"), Known("agent", ("feedback",))
    (tmp_path / "keys.toml").write_text(file_of(router, agent))
    flags = ("--state-dir", str(tmp_path), "--keys-file", str(tmp_path / "keys.toml"))
    with serving(tiny_bundle_path, *flags) as service, service.client() as client:
        decided = client.post("/v1/route", json=TICKET, headers=router.header).json()
        path = f"/v1/decisions/{decided['decision_id']}"
        assert client.get(path, headers=router.header).status_code == 403
        assert client.get(path, headers=agent.header).json()["caller"] == "router"


@pytest.mark.usefixtures("recording")
def test_second_service_on_the_same_file_is_refused_in_one_line(state: Path) -> None:
    done = run_cli("--bundle", str(state), "--port", "0", "--management-port", "0", "--state-dir", str(state))
    assert done.returncode == 2
    assert re.fullmatch(r"error: .*records\.sqlite3 is in use by another service.*\n", done.stderr)


def test_folder_that_cannot_be_written_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    done = run_cli("--port", "0", "--management-port", "0", "--state-dir", str(tmp_path / "file" / "state"))
    assert done.returncode == 2
    assert re.fullmatch(r"error: the records cannot be kept in .*TICKET_ROUTER_RECORDS to off.*\n", done.stderr)


def test_url_with_a_password_is_not_repeated_in_an_error(tmp_path: Path) -> None:
    done = run_cli("--state-dir", str(tmp_path), "--records", "mysql://router:hunter2@db/router")
    assert done.returncode == 2
    assert "must be off, sqlite, or postgresql://" in done.stderr
    assert "hunter2" not in done.stderr


def test_records_off_routes_without_a_file(service: Service) -> None:
    with service.client() as client:
        ids = {client.post("/v1/route", json=TICKET).json()["decision_id"] for _ in range(2)}
        assert len(ids) == 2
        assert client.get("/v1/decisions").json()["code"] == "records_off"
    assert service.management("/admin/status").json()["records"] is None


def test_status_and_metrics_tell_of_the_record(recording: Service) -> None:
    routed(recording, TICKET | {"id": "T-metrics"})
    status = recording.management("/admin/status").json()["records"]
    assert status.pop("live")["decisions"] >= 0
    assert status == {"database": "sqlite", "cause": None, "when_away": "refuse", "spool_rows": 0, "spool_bytes": 0}
    samples = recording.samples()
    assert samples["ticket_router_records_up"] == 1
    assert samples["ticket_router_records_written_total"] >= 1
    assert samples["ticket_router_records_commit_duration_seconds_count"] >= 1


def test_export_stats_and_backup_read_beside_a_running_service(recording: Service, state: Path, tmp_path: Path) -> None:
    answer = routed(recording, TICKET | {"id": "T-export"})
    out, saved = tmp_path / "out.jsonl", tmp_path / "saved.jsonl.gz"
    flags = ("--state-dir", str(state))
    assert run_cli("records", "export", "--out", str(out), *flags).returncode == 0
    (line,) = [each for each in map(json.loads, out.read_text().splitlines()) if each["ticket_id"] == "T-export"]
    assert line["decision_id"] == answer["decision_id"]
    assert list(line) == [
        "decision_id", "ticket_id", "created_at", "caller", "text_digest", "outcome", "reason", "fields", "flags",
        "rule", "bundle", "variant", "latency_ms", "role", "holdout", "feedback", "truth",
        "text", "shadow",
    ]  # fmt: skip
    stats = json.loads(run_cli("records", "stats", *flags).stdout)
    assert stats["decisions"] == len(out.read_text().splitlines())
    assert run_cli("records", "backup", "--to", str(saved), *flags).returncode == 0
    restored = tmp_path / "restored"
    assert run_cli("records", "restore", "--from", str(saved), "--state-dir", str(restored)).returncode == 0
    assert run_cli("records", "export", "--out", str(tmp_path / "again"), "--state-dir", str(restored)).returncode == 0
    assert (tmp_path / "again").read_bytes() == out.read_bytes()


def test_full_disk_refuses_and_heals_without_a_restart(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A size limit of the process takes the place of a full disk: SQLite gets the same error from the kernel."""
    import resource

    with serving(tiny_bundle_path, "--state-dir", str(tmp_path)) as service, service.client() as client:
        assert client.post("/v1/route", json=TICKET).status_code == 200
        size = (tmp_path / "records.sqlite3-wal").stat().st_size
        soft, hard = resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (size, hard))
        refused = client.post("/v1/route", json=TICKET | {"id": "T-2"})
        assert (refused.status_code, refused.json()["code"]) == (503, "records_unavailable")
        assert "retry-after" in refused.headers
        assert service.management("/readyz").status_code == 503
        resource.prlimit(service.process.pid, resource.RLIMIT_FSIZE, (soft, hard))
        wait_for_readiness(service)
        assert client.post("/v1/route", json=TICKET | {"id": "T-2"}).status_code == 200
    file = sqlite3.connect(tmp_path / "records.sqlite3")
    assert file.execute("SELECT count(*) FROM decisions WHERE ticket_id = 'T-2'").fetchone() == (1,)
    file.close()


def wait_for_readiness(service: Service) -> None:
    from tests.support.waiting import wait_until

    wait_until(lambda: service.management("/readyz").status_code == 200, 20)
