"""The desk of a running service: as a client that has signed in, and in Chromium."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, sync_playwright

from service.records.database.connections import FILE
from tests.support.process import Service

CHROMIUM = Path("/usr/bin/chromium")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--disable-quic",
)
_TOKEN = re.compile(r'name="csrf" content="([0-9a-f]+)"')


@contextlib.contextmanager
def chromium() -> Iterator[Browser]:
    """The system's browser; a test that needs it fails where there is none."""
    if not CHROMIUM.exists():
        pytest.fail(f"{CHROMIUM} is missing: the tests of the desk need it (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def visitor(service: Service, key: str | None = None) -> Iterator[httpx.Client]:
    """A client that has signed in, with the token of its session; without a key as the anonymous caller."""
    with httpx.Client(base_url=f"{service.url}/desk", timeout=30, follow_redirects=True) as client:
        if key is not None:
            assert client.post("/login", data={"key": key}).status_code == 200
        page = client.get("/")
        assert page.status_code == 200, page.text
        found = _TOKEN.search(page.text)
        assert found is not None
        client.headers["X-CSRF-Token"] = found[1]
        yield client


def left_to_people(service: Service, number: int = 1, prefix: str = "T", **ticket: Any) -> list[str]:
    """Decisions about new tickets that the tiny model leaves to people, by their ids, the oldest first."""
    found: list[str] = []
    with service.client() as client:
        for each in range(20 * number + 50):
            body = f"Where is parcel {each} of order {each * 7}? {'Please hurry. ' * (each % 7)}"
            request = {"id": f"{prefix}-{each}", "subject": f"Order {each}", "body": body} | ticket
            answer = client.post("/v1/route", json=request).json()
            if answer["outcome"] != "route":
                found.append(answer["decision_id"])
            if len(found) == number:
                return found
    raise AssertionError("the tiny bundle leaves some texts to people")


def statement(state: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement on the record of a running service."""
    with contextlib.closing(sqlite3.connect(state / FILE, timeout=10)) as connection, connection:
        return connection.execute(sql, values).fetchall()


def let_undo_pass(state: Path) -> None:
    """As if the pending decisions were too old to be undone."""
    statement(state, "UPDATE reviews SET at = at - 60000 WHERE state = 'pending'")
