"""A person at the desk, over sockets."""

from typing import Any

import httpx


class Person:
    """`client`: of `tests.support.desk.visitor`."""

    def __init__(self, client: httpx.Client) -> None:
        self.client = client

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.client.get(path, params=params)

    def send(self, path: str, **fields: Any) -> httpx.Response:
        """A form of a page."""
        return self.client.post(path, data=fields)

    def try_mail(self, mail: bytes | None = None, **fields: str) -> httpx.Response:
        files: dict[str, Any] = {"mail": ("mail.eml" if mail is not None else "", mail or b"")}
        return self.client.post("/try", data=fields, files=files, headers={"HX-Request": "true"})
