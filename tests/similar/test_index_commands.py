"""`training index` and `service index`: from an export to the record."""

import json
import sqlite3
from pathlib import Path

import pytest

from models.index_file import read_index
from tests.support.process import run_cli, serving
from tests.support.rows import write_jsonl
from tests.support.training import command

ROWS = [
    {"id": "1", "subject": "Invoice wrong", "body": "Write to ann@example.com, I was charged twice.",
     "department": "billing", "created_at": "2026-10-01", "answer": "We refund it to DE89370400440532013000."},
    {"id": "2", "subject": "", "body": "The box was open and the lamp is in pieces.", "department": "returns",
     "created_at": "2026-11-01", "answer": ""},
    {"id": "3", "subject": "", "body": "the box was open and the LAMP is in pieces.", "department": "returns",
     "created_at": "2026-11-02", "answer": "Send it back."},
    {"id": "4", "subject": "", "body": "An old one.", "department": "sales", "created_at": "2020-01-01", "answer": ""},
    {"id": "5", "subject": "", "body": "Nobody has routed this.", "department": "", "created_at": "2026-11-02",
     "answer": ""},
]  # fmt: skip


@pytest.fixture(scope="module")
def index(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("index")
    data, out = write_jsonl(folder / "closed.jsonl", ROWS), folder / "index.jsonl"
    run = command("index", "--bundle", tiny_bundle_path, "--data", data, "--out", out, "--json")
    assert run.code == 0, run.err
    done = json.loads(run.out)
    assert {name: done[name] for name in ("tickets", "answers", "copies", "older", "others")} == {
        "tickets": 3, "answers": 2, "copies": 1, "older": 0, "others": 1
    }  # fmt: skip
    return out


def test_index_holds_redacted_texts_and_answers_newest_first(index: Path, tiny_bundle_path: Path) -> None:
    header, tickets = read_index(index)
    assert header.bundle == tiny_bundle_path.name
    found = list(tickets)
    assert [each.id for each in found] == ["3", "1", "4"], "of two copies the newer one stays"
    assert [each.department for each in found] == ["returns", "billing", "sales"]
    assert found[0].answer == "Send it back."
    assert "ann@example.com" not in found[1].text
    assert "[email]" in found[1].text
    assert "[iban]" in found[1].answer
    assert index.stat().st_mode & 0o077 == 0


def test_only_the_newest_are_kept_where_there_are_more(index: Path, tiny_bundle_path: Path, tmp_path: Path) -> None:
    data, out = index.with_name("closed.jsonl"), tmp_path / "one.jsonl"
    run = command("index", "--bundle", tiny_bundle_path, "--data", data, "--out", out, "--most", 1)
    assert (run.code, [each.id for each in read_index(out)[1]]) == (0, ["3"])
    assert f"service index add --from {out}" in run.out


def test_region_that_is_no_country_is_refused(tmp_path: Path) -> None:
    run = command("index", "--bundle", tmp_path, "--data", tmp_path, "--out", tmp_path / "x", "--region", "Germany")
    assert (run.code, run.out) == (2, "")
    assert "--region wants a country" in run.err


def test_index_is_put_on_record_beside_a_running_service_and_removed(
    index: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    with serving(tiny_bundle_path, "--state-dir", str(state)):
        added = run_cli("index", "add", "--from", str(index), "--state-dir", str(state))
        assert (added.returncode, added.stdout) == (0, "")
        assert added.stderr.startswith("2 closed tickets are on record; 1 are too old or to be forgotten")
        assert tickets_on_record(state) == ["1", "3"]
        renewed = run_cli(
            "index", "add", "--from", str(index), "--state-dir", str(state), "--closed-tickets-days", "9000"
        )
        assert renewed.stderr.startswith("3 closed tickets are on record;")
        assert tickets_on_record(state) == ["1", "3", "4"]
        removed = run_cli("index", "remove", "--state-dir", str(state))
        assert removed.stderr == "3 closed tickets deleted\n"
        assert tickets_on_record(state) == []


def test_damaged_file_is_refused_in_one_line_and_adds_nothing(
    index: Path, tiny_bundle_path: Path, tmp_path: Path
) -> None:
    state, damaged = tmp_path / "state", tmp_path / "damaged.jsonl"
    damaged.write_bytes(index.read_bytes()[:-20])
    with serving(tiny_bundle_path, "--state-dir", str(state)):
        run = run_cli("index", "add", "--from", str(damaged), "--state-dir", str(state))
        assert (run.returncode, run.stdout) == (2, "")
        assert run.stderr == f"error: {damaged}: line 4 is damaged; make the file anew\n"
        assert tickets_on_record(state) == []


def tickets_on_record(state: Path) -> list[str]:
    with sqlite3.connect(state / "records.sqlite3") as connection:
        return [row[0] for row in connection.execute("SELECT ticket FROM closed_tickets ORDER BY ticket")]
