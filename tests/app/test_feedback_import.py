"""`python -m service feedback import`, beside a running service."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.process import Service, run_cli, serving


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("state")


@pytest.fixture(scope="module")
def recording(tiny_bundle_path: Path, state: Path) -> Iterator[Service]:
    """A service with ten decisions, on the tickets 0 to 9."""
    with serving(tiny_bundle_path, "--state-dir", str(state)) as running, running.client() as client:
        client.post("/v1/route/batch", json={"tickets": [{"id": str(each), "body": "x"} for each in range(10)]})
        yield running


@pytest.fixture(scope="module")
def label(recording: Service) -> str:
    with recording.client() as client:
        return str(client.get("/v1/model").json()["fields"][0]["labels"][0]["name"])


def imported(file: Path, text: str, bundle: Path, state: Path, *flags: str) -> Any:
    file.write_text(text)
    return run_cli("feedback", "import", str(file), "--bundle", str(bundle), "--state-dir", str(state), *flags)


def truth_of(service: Service, ticket: str) -> Any:
    with service.client() as client:
        records = client.get("/v1/decisions").json()["decisions"]
    return next(each for each in records if each["ticket_id"] == ticket)["truth"]


def test_file_with_a_column_a_field_is_imported_once(
    recording: Service, label: str, tiny_bundle_path: Path, state: Path, tmp_path: Path
) -> None:
    text = f"Ticket ID;Department;Closed at\n1;{label};2026-01-02T03:04:05Z\n2;{label};2026-01-02 03:04\n3;;\n"
    given = (tmp_path / "closed.csv", text, tiny_bundle_path, state, "--source", "close")
    done, again = imported(*given), imported(*given)
    assert (done.returncode, done.stderr) == (0, "2 values stored, of 2 rows\n")
    assert again.stderr == "0 values stored, of 2 rows\n"
    assert truth_of(recording, "1")["department"] == {
        "value": label, "label_source": "close", "at": "2026-01-02T03:04:05.000Z",
    }  # fmt: skip


def test_file_with_field_and_value_and_other_names_is_imported(
    recording: Service, label: str, tiny_bundle_path: Path, state: Path, tmp_path: Path
) -> None:
    text = f"Number,field,value\n4,department,{label}\nnone,department,{label}\n"
    flags = ("--map", "ticket_id=Number", "--skip-unknown")
    done = imported(tmp_path / "moved.csv", text, tiny_bundle_path, state, *flags)
    assert (done.returncode, done.stderr) == (0, "1 values stored, of 1 rows, 1 rows not on record left out\n")
    assert truth_of(recording, "4")["department"]["label_source"] == "import"


def test_broken_rows_are_all_named_without_their_content_and_nothing_is_imported(
    recording: Service, label: str, tiny_bundle_path: Path, state: Path, tmp_path: Path
) -> None:
    text = (
        f"ticket_id,department,at\n5,{label},\n6,canary,\n,{label},\n7,{label},canary\n"
        f"8,{label},2100-01-01T00:00:00Z\ncanary,{label},\n"
    )
    done = imported(tmp_path / "broken.csv", text, tiny_bundle_path, state)
    assert done.returncode == 2
    assert done.stderr.splitlines() == [
        "line 3, column department: is no label of the bundle",
        "line 4, column ticket_id: is empty",
        "line 5, column at: is no time such as 2026-11-30T08:00:00Z",
        "line 6, column at: is to come",
        "line 7, column ticket_id: is not on record",
        f"error: {tmp_path / 'broken.csv'}: 5 faults; nothing was imported",
    ]
    assert truth_of(recording, "5") == {}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("department\nx\n", "no column ticket_id or decision_id; name it with --map ticket_id=COLUMN"),
        ("ticket_id,other\n1,2\n", "no columns field and value, and none of department"),
        ('ticket_id,department\n1,"x\n', "not CSV after line 1"),
        ("", "no column ticket_id or decision_id"),
    ],
)
@pytest.mark.usefixtures("recording")
def test_file_of_another_shape_is_refused_in_one_line(
    tiny_bundle_path: Path, state: Path, tmp_path: Path, text: str, message: str
) -> None:
    done = imported(tmp_path / "file.csv", text, tiny_bundle_path, state)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert message in done.stderr
