"""The security cases, and what single requests do not show: nothing is fetched, each request has one log line."""

import json
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.app.test_logs import lines_of
from tests.faults.security.canaries import KEYS, ROUTER, answer
from tests.faults.security.cases import EVIL, NO_VERSION, SecurityCase, security_cases
from tests.faults.servers.stock_keys import stock_with_keys
from tests.support.keys import file_of
from tests.support.process import Service, serving
from tests.support.reloading import reload
from tests.support.tiny import rewritten
from tests.support.waiting import wait_until

NOWHERE = "http://127.0.0.1:9"
FAIL_ON_STOCK = 60
"""Of 199, without the wording of refused bundles. A lower bound, since a next release may fix some."""


@pytest.fixture(scope="module")
def guarded(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with keys. Shared."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    keys.write_text(file_of(*KEYS[:-1]))
    with serving(tiny_bundle_path, "--keys-file", str(keys)) as running:
        yield running


class Listener:
    """A server that counts its requests; there should be none."""

    def __init__(self) -> None:
        self.calls = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def _count(self) -> None:
        while True:
            connection, _ = self._socket.accept()
            with closing(connection):
                if connection.recv(1) == b"!":
                    return
                self.calls += 1

    def close(self) -> None:
        with socket.create_connection(self._socket.getsockname()) as last:
            last.sendall(b"!")
            self._thread.join()
        self._socket.close()


@contextmanager
def listening() -> Iterator[Listener]:
    listener = Listener()
    try:
        yield listener
    finally:
        listener.close()


def failed(cases: Sequence[SecurityCase], ports: dict[str, int]) -> list[str]:
    played = [(case, answer(ports[case.port], case.raw, 5)) for case in cases]
    return [f"{case.name}: {received[:300]!r}" for case, received in played if not case.passed(received)]


def test_every_security_case_gets_an_allowed_response(guarded: Service) -> None:
    """Ports, spellings of paths, names of bundles, ids, hosts, keys and web pages."""
    with listening() as listener:
        ports = {"public": guarded.port, "management": guarded.management_port}
        assert failed(security_cases(listener.url), ports) == []
    assert listener.calls == 0


def test_a_stock_application_fails_security_cases(tmp_path: Path) -> None:
    """This many cases fail on FastAPI and uvicorn used as in their tutorials."""
    cases = [replace(case, wanted=b"") if case.wanted == NO_VERSION else case for case in security_cases(NOWHERE)]
    with stock_with_keys(tmp_path, *(known.key for known in KEYS[:2])) as stock:
        found = failed(cases, {"public": stock.port, "management": stock.port})
    assert len(found) >= FAIL_ON_STOCK, found


def mails(url: str) -> Iterator[tuple[bytes, str]]:
    """Tickets full of URLs that some software would fetch, and their media types."""
    tags = ("img src", "link rel=stylesheet href", "script src", "iframe src", "object data", "base href", "a href")
    page = "".join(f"<{tag}='{url}/{number}'>" for number, tag in enumerate(tags))
    page += (
        f"<meta http-equiv=refresh content='0;url={url}'><style>@import url({url});p{{background:url({url})}}</style>"
    )
    entity = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "{url}"><!ENTITY % c SYSTEM "{url}">%c;]><a>&b;</a>'
    for body in (page, entity, f"{url}\n\n[x]({url})\n![x]({url})", f"<svg><image href='{url}'/></svg>"):
        for kind in ("text/plain", "text/html"):
            ticket = {"body": body, "content_type": kind, "subject": url, "from": url, "headers": {"Link": url}}
            yield json.dumps(ticket).encode(), "application/json"
    lines = [f"From: a <a@{url[7:]}>", f"List-Unsubscribe: <{url}>", f"Content-Location: {url}", f"X-Image-URL: {url}"]
    lines += [f"Disposition-Notification-To: <a@{url[7:]}>", f"DKIM-Signature: v=1; d={url[7:]}; q=dns/txt"]
    for kind in (f'message/external-body; access-type=URL; URL="{url}"', "text/html", "text/xml"):
        yield "\r\n".join([*lines, f"Content-Type: {kind}", "", page + entity]).encode(), "message/rfc822"


def test_no_url_in_a_ticket_is_fetched(guarded: Service) -> None:
    """Images, styles, frames, entities, external bodies, URLs and headers of a mail cause no request."""
    with listening() as listener:
        for body, kind in mails(listener.url):
            headers = ROUTER.header | {"Content-Type": kind}
            given = httpx.post(guarded.url + "/v1/route", content=body, headers=headers, timeout=30)
            assert given.status_code == 200, given.text
        assert listener.calls == 0
        with socket.create_connection(("127.0.0.1", int(listener.url.rpartition(":")[2]))) as caller:
            caller.sendall(b"?")
            wait_until(lambda: listener.calls == 1)  # the listener does count requests


def test_any_id_gives_one_log_line(guarded: Service) -> None:
    """For any request id or ticket id, each request has one line with an id of the service."""
    with guarded.client() as client:
        for number, given in enumerate(("\\n", "%0a", '"', "\t x", "<>")):
            headers = ROUTER.header | {"X-Request-ID": EVIL + given}
            body = {"id": f"{EVIL}\r\n\u2028\x85{number}", "body": f"hello {number}"}
            request_id = client.post("/v1/route", json=body, headers=headers).headers["x-request-id"]
            assert len(lines_of(guarded, request_id)) == 1
    assert EVIL not in json.dumps(guarded.events)


def test_a_link_named_as_a_version_loads_no_other_bundle(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """A reload of a version loads that version or fails, even if a link of that name points outside the store."""
    store, outside = tmp_path / "store", tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text(EVIL)
    bundle = rewritten(tiny_bundle_path, store)
    for number, place in enumerate((outside, bundle, Path("/proc/self"))):
        (store / (str(number) * 16)).symlink_to(place)
    with serving(bundle) as service:
        for number in range(3):
            given = reload(service, str(number) * 16)
            assert (given.status_code, given.json()["code"]) == (409, "reload_refused")
            assert EVIL not in given.text
        assert reload(service, bundle.name).status_code == 200
        assert EVIL not in json.dumps(service.events)
