"""Reloading a service: a store with two bundles, and the requests of its tests."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from models.bundle.bundle import open_bundle, point_current
from tests.support.process import Service
from tests.support.tiny import rewritten


@dataclass(frozen=True)
class Shelf:
    """A store of two bundles with a pointer to the first; their confidences differ, their verdicts don't."""

    store: Path
    first: str
    other: str

    @property
    def current(self) -> Path:
        return self.store / "current"


def two_bundles(bundle: Path, store: Path) -> Shelf:
    first = rewritten(bundle, store).name
    fields = [{**field.model_dump(mode="json"), "temperature": 1.005} for field in open_bundle(bundle).manifest.fields]
    other = rewritten(bundle, store, fields=fields).name
    point_current(store, first)
    return Shelf(store, first, other)


def reload(service: Service, version: str | None = None) -> httpx.Response:
    return reload_with(service, json={} if version is None else {"bundle": version})


def reload_with(service: Service, **content: Any) -> httpx.Response:
    return httpx.post(service.management_url + "/admin/reload", timeout=60, **content)


def ask(service: Service, **ticket: str) -> dict[str, Any]:
    answer = httpx.post(service.url + "/v1/route", json=ticket or {"body": "hello"}, timeout=30)
    assert answer.status_code == 200, answer.text
    decision: dict[str, Any] = answer.json()
    return decision


def version_of(decision: dict[str, Any]) -> str:
    version: str = decision["model"]["version"]
    return version


def is_ready(service: Service) -> bool:
    return service.management("/readyz").status_code == 200
