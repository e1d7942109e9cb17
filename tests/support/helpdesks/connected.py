"""A service that is connected to helpdesks."""

import contextlib
import json
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import tomlkit

from models.bundle.golden import GoldenRow
from models.scoring import Outcome
from tests.support.helpdesks import zendesk as zendesk_api
from tests.support.helpdesks.django_helpdesk import INBOX, DjangoHelpdesk
from tests.support.helpdesks.zendesk import Zendesk
from tests.support.process import Service, serving

NAME = "support"
SECRET = "of-the-incoming-webhook"


class Sample(NamedTuple):
    subject: str
    body: str
    outcome: Outcome
    label: str


def samples_of(bundle: Path, outcome: Outcome) -> list[Sample]:
    """Texts that this bundle decides so, with their labels, from its golden rows."""
    rows = [json.loads(line) for line in (bundle / "golden.jsonl").read_text().splitlines()]
    known = GoldenRow.model_fields
    found = [GoldenRow.model_validate({name: row[name] for name in known if name in row}) for row in rows]
    chosen = [Sample(row.subject, row.body, Outcome(row.outcome), row.label) for row in found]
    assert any(each.outcome is outcome for each in chosen)
    return [each for each in chosen if each.outcome is outcome]


def zendesk_table(zendesk: Zendesk, mode: str = "route", **changes: Any) -> dict[str, Any]:
    targets = {name: str(number) for name, number in zendesk_api.GROUPS.items() if name != "incoming"}
    department = {"targets": targets, "replace": [str(zendesk_api.GROUPS["incoming"])]}
    return {
        "kind": "zendesk",
        "url": zendesk.url,
        "user": zendesk_api.USER,
        "secret": {"env": "ZENDESK_SECRET"},
        "token": {"env": "ZENDESK_TOKEN"},
        "mode": mode,
        "allow_private": True,
        "fields": {"department": department},
        **changes,
    }


def django_table(helpdesk: DjangoHelpdesk, mode: str = "route", **changes: Any) -> dict[str, Any]:
    targets = {name: str(number) for name, number in helpdesk.queues.items() if name != INBOX}
    return {
        "kind": "django_helpdesk",
        "url": helpdesk.url,
        "secret": {"env": "HELPDESK_SECRET"},
        "token": {"env": "HELPDESK_TOKEN"},
        "mode": mode,
        "allow_private": True,
        "fields": {"department": {"targets": targets, "replace": [str(helpdesk.queues[INBOX])]}},
        "options": {"field": "triage", "accounts": [helpdesk.users["website"]]},
        **changes,
    }


@contextlib.contextmanager
def connected(
    bundle: Path, folder: Path, table: Mapping[str, Any], *flags: str, token: str = zendesk_api.TOKEN
) -> Iterator[Service]:
    """The service with one connection, NAME; `folder` keeps its record for the next start."""
    folder.mkdir(exist_ok=True)
    connections = folder / "connections.toml"
    connections.write_text(tomlkit.dumps({NAME: table}))
    secrets = {"ZENDESK_SECRET": zendesk_api.SECRET, "ZENDESK_TOKEN": token}
    secrets |= {"HELPDESK_SECRET": SECRET, "HELPDESK_TOKEN": token}
    state = () if "--records" in flags else ("--state-dir", str(folder / "state"))
    with serving(
        bundle, "--connections-file", str(connections), *state, *flags, env={**os.environ, **secrets}
    ) as service:
        yield service


def webhook_url(service: Service) -> str:
    return f"{service.url}/v1/webhooks/{NAME}"


def webhook_url_with_secret(service: Service) -> str:
    return webhook_url(service).replace("http://", f"http://router:{SECRET}@")


def rows(folder: Path, query: str) -> list[tuple[Any, ...]]:
    """From the service's SQLite record."""
    with contextlib.closing(sqlite3.connect(folder / "state" / "records.sqlite3")) as database:
        return database.execute(query).fetchall()
