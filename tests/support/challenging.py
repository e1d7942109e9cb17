"""A service with a bundle beside the serving one, and the requests of its tests."""

from collections.abc import Mapping
from typing import Any

import httpx

from tests.support.process import Service
from tests.support.waiting import wait_until

SECONDS = 60.0
"""The shadow loads with the lowest priority, on a machine that other tests use."""


def put(service: Service, role: str, bundle: str | None, share: float, **options: Any) -> httpx.Response:
    content = {"role": role, "bundle": bundle, "share": share, "why": "November's data"}
    return httpx.post(service.management_url + "/admin/challenger", json=content, timeout=60, **options)


def put_and_wait(service: Service, role: str, bundle: str, share: float = 1.0) -> None:
    answer = put(service, role, bundle, share)
    assert answer.status_code == 200, answer.text
    wait_until(lambda: state_of(service, role) == "running", SECONDS)


def challenger(service: Service, role: str) -> Mapping[str, Any] | None:
    found = service.management("/admin/status").json()["challengers"]
    return next((each for each in found if each["role"] == role), None)


def state_of(service: Service, role: str) -> str | None:
    found = challenger(service, role)
    return None if found is None else found["state"]
