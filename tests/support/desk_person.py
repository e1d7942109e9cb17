"""A person at the desk, over sockets: signed in with a key, without a browser."""

import re
from typing import Any

import httpx

from tests.support.keys import Known
from tests.support.process import Service


class Person:
    """`known` None: where no key is required."""

    def __init__(self, service: Service, known: Known | None = None) -> None:
        self.client = httpx.Client(base_url=service.url, timeout=60, follow_redirects=True)
        if known is None:
            self.client.get("/desk/login")
        else:
            self.client.post("/desk/login", data={"key": known.key, "next": "/desk/"})
        found = re.search(r'name="csrf" content="(\w+)"', self.client.get("/desk/").text)
        assert found is not None
        self.csrf = found[1]

    def __enter__(self) -> "Person":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.client.get(f"/desk{path}", params=params)

    def send(self, path: str, **fields: Any) -> httpx.Response:
        """A form of a page."""
        return self.client.post(f"/desk{path}", data={"csrf": self.csrf, **fields})

    def try_mail(self, mail: bytes | None = None, **fields: str) -> httpx.Response:
        files: dict[str, Any] = {"mail": ("mail.eml" if mail is not None else "", mail or b"")}
        headers = {"X-CSRF-Token": self.csrf, "HX-Request": "true"}
        return self.client.post("/desk/try", data=fields, files=files, headers=headers)
