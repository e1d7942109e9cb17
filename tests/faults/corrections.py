"""Corrected tickets asked again: `python -m tests.faults.corrections --count 10000`.

Each ticket is decided and corrected to another department than the model's likeliest, and asked again after a restart,
under a new bundle, and on another replica, all with one PostgreSQL. Every answer must be as corrected.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from tests.support.postgres import running_postgres
from tests.support.process import Service, serving
from tests.support.reloading import reload, two_bundles
from tests.support.tiny import LABELS, tiny_bundle

DEPARTMENTS = LABELS.fields[0].labels
BATCH = 256


def rehearse(bundle: Path, folder: Path, count: int) -> dict[str, int]:
    """By situation, the number of tickets that were answered as corrected."""
    tickets = [{"id": f"T-{number}", "subject": "Parcel", "body": f"Where is {number}?"} for number in range(count)]
    shelf = two_bundles(bundle, folder / "store")
    with running_postgres() as postgres:
        flags = ("--records", postgres.new_database("router"), "--state-dir", str(folder / "state"))
        with serving(shelf.current, *flags) as service:
            said = {}
            for answer in _routed(service, tickets):
                likeliest = answer["candidates"][0]["department"]
                said[answer["ticket_id"]] = DEPARTMENTS[(DEPARTMENTS.index(likeliest) + 1) % len(DEPARTMENTS)]
            _correct(service, said)
        right = {}
        with serving(shelf.current, *flags) as service:
            right["after a restart"] = _as_corrected(service, tickets, said)
            assert reload(service, shelf.other).status_code == 200
            # Another text, so that the new bundle decides and the answer is no repetition.
            changed = [ticket | {"body": ticket["body"] + " Please."} for ticket in tickets]
            right["under a new bundle"] = _as_corrected(service, changed, said)
            replica = (*flags[:2], "--state-dir", str(folder / "other"))
            with serving(shelf.current, *replica) as other:
                changed = [ticket | {"body": ticket["body"] + " Thanks."} for ticket in tickets]
                right["on another replica"] = _as_corrected(other, changed, said)
    return right


def _as_corrected(service: Service, tickets: Sequence[dict[str, str]], said: dict[str, str]) -> int:
    return sum(
        (answer["outcome"], answer["reason"], answer["department"]) == ("route", "corrected", said[answer["ticket_id"]])
        for answer in _routed(service, tickets)
    )


def _routed(service: Service, tickets: Sequence[dict[str, str]]) -> Iterator[dict[str, Any]]:
    for start in range(0, len(tickets), BATCH):
        for result in _posted(service, "/v1/route/batch", {"tickets": tickets[start : start + BATCH]}):
            yield result["decision"]


def _correct(service: Service, said: dict[str, str]) -> None:
    items = [{"ticket_id": name, "fields": {"department": value}, "source": "agent"} for name, value in said.items()]
    for start in range(0, len(items), BATCH):
        for result in _posted(service, "/v1/feedback/batch", {"feedback": items[start : start + BATCH]}):
            assert result["feedback"]["stored"] == 1


def _posted(service: Service, path: str, content: dict[str, Any]) -> list[dict[str, Any]]:
    response = httpx.post(service.url + path, json=content, timeout=120)
    assert response.status_code == 200, response.text
    results: list[dict[str, Any]] = response.json()["results"]
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000, metavar="N")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="corrections-") as name:
        folder = Path(name)
        right = rehearse(tiny_bundle(folder / "tiny"), folder, arguments.count)
    for situation, number in right.items():
        print(f"{number} of {arguments.count} answered as corrected {situation}")
    assert set(right.values()) == {arguments.count}


if __name__ == "__main__":
    main()
