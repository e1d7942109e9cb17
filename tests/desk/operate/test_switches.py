"""Switches of automation and dead letters of the outbox at the desk, over sockets."""

import contextlib
import html
import os
import re
import sqlite3
from pathlib import Path

import pytest

from tests.desk.operate.person import Person
from tests.desk.operate.test_try import text_of
from tests.support.desk import visitor
from tests.support.helpdesk import ENVIRONMENT, connections_file, deliver, payload, running_helpdesk
from tests.support.process import Service, serving
from tests.support.waiting import wait_until

LABEL = {"field": "department", "kind": "label", "name": "billing"}


def test_switch_is_set_with_its_reason_holds_and_is_taken_back(desk: Service, admin: Person) -> None:
    page = admin.send("/switches", **LABEL, mode="suggest", why="new invoices since <Monday>")
    assert (page.status_code, page.url.path) == (200, "/desk/switches")
    shown = text_of(page.text)
    assert "department label billing suggest adam new invoices since <Monday>" in shown
    assert "billing suggest adam," in shown
    assert "<Monday>" not in page.text
    (line,) = [each for each in desk.events if each.get("action") == "automation" and each["outcome"] == "done"][-1:]
    assert (line["who"], line["mode"], line["field"]) == ("adam", "suggest", "department")
    back = text_of(admin.send("/switches", **LABEL, mode="route", why="settled").text)
    assert "None: every label is routed as its bundle promises." in back
    assert "department label billing route adam settled" in back


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"name": "nonsense", "why": "x", "mode": "off"}, "This is no label of the field"),
        ({"why": "", "mode": "off"}, "Choose a mode, and say why in a line."),
        ({"why": "x", "mode": "maybe"}, "Choose a mode, and say why in a line."),
        ({"kind": "connection", "name": "none", "why": "x", "mode": "off"}, "No helpdesk is connected"),
        ({"kind": "all", "why": "x", "mode": "off"}, "A switch for all tickets takes no name"),
        ({"kind": "mailbox", "name": "no address", "why": "x", "mode": "off"}, "Give an address"),
    ],
)
def test_switch_that_cannot_be_set_keeps_what_was_typed(admin: Person, fields: dict[str, str], problem: str) -> None:
    page = admin.send("/switches", **(LABEL | fields))
    assert page.status_code == 422
    assert problem in text_of(page.text)
    assert f'value="{html.escape((LABEL | fields)["name"])}"' in page.text


def test_reviewer_sees_the_switches_and_sets_none(desk: Service, reviewer: Person) -> None:
    assert "takes the role admin" in text_of(reviewer.get("/switches").text)
    for path, fields in (("/switches", LABEL | {"mode": "off", "why": "x"}), ("/switches/send-again", {})):
        assert reviewer.send(path, **fields).status_code == 403
    refused = [each for each in desk.events if each.get("event") == "audit" and each["outcome"] == "forbidden"]
    assert {each["who"] for each in refused} == {"rita"}


def test_form_of_another_session_changes_nothing(admin: Person) -> None:
    fields = LABEL | {"mode": "off", "why": "x"}
    assert admin.client.post("/switches", data=fields, headers={"X-CSRF-Token": "0" * 32}).status_code == 403
    assert "None: every label" in text_of(admin.get("/switches").text)


@pytest.fixture(scope="module")
def helpdesk_labels() -> dict[str, str]:
    return {label: f"T-{label}" for label in ("billing", "technical", "sales", "returns")}


def test_dead_letter_is_shown_and_sent_again(
    tiny_bundle_path: Path, tmp_path: Path, helpdesk_labels: dict[str, str]
) -> None:
    with running_helpdesk() as helpdesk:
        file = connections_file(tmp_path, helpdesk.url, helpdesk_labels)
        flags = ("--state-dir", str(tmp_path / "state"), "--connections-file", str(file), "--desk", "true")
        environment = {**os.environ, **ENVIRONMENT}
        with serving(tiny_bundle_path, *flags, env=environment) as service, visitor(service) as client:
            person = Person(client)
            wait_until(lambda: "checked" in person.get("/switches").text)
            shown = text_of(person.get("/switches").text)
            assert "desk generic" in shown
            assert re.search(r"billing route (route|suggest|shadow)", shown)
            helpdesk.status = 422
            assert deliver(service, payload(helpdesk.add("1", subject="")), "a").status_code == 200
            wait_until(lambda: "Send desk:1 again" in person.get("/switches").text)
            helpdesk.status = None
            (row,) = re.findall(r'name="id" value="(\w+)"', person.get("/switches").text)
            page = person.send("/switches/send-again", id=row)
            assert page.status_code == 200
            wait_until(lambda: _state(tmp_path / "state", row) == "done")
            assert text_of(page.text).count("Not written to helpdesks Nothing.") == 1
            assert person.send("/switches/send-again", id=row).status_code == 409


def _state(folder: Path, row: str) -> str:
    with contextlib.closing(sqlite3.connect(folder / "records.sqlite3")) as connection:
        return str(connection.execute("SELECT state FROM outbox WHERE id = ?", [row]).fetchone()[0])
