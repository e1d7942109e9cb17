"""The images' health check, and what in their files must agree with the rest of the repository."""

import re
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from service.cli import healthcheck
from service.settings import Settings
from tests.support.local_server import answering as answering_server
from tests.support.process import ROOT


@pytest.fixture
def answering(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A management port that answers every path but /startupz with 200, and that with the parameter."""

    class Probe(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(request.param if self.path == "/startupz" else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing on the tests' output."""

    with answering_server(ThreadingHTTPServer(("127.0.0.1", 0), Probe)) as port:
        monkeypatch.setenv("TICKET_ROUTER_MANAGEMENT_PORT", str(port))
        yield


@pytest.mark.usefixtures("answering")
@pytest.mark.parametrize(("answering", "exit_status"), [(200, 0), (503, 1)], indirect=["answering"])
def test_a_service_that_was_ready_is_healthy(exit_status: int, capsys: pytest.CaptureFixture[str]) -> None:
    """Healthy once /startupz says so, unhealthy before; one line either way."""
    assert healthcheck.main() == exit_status
    assert capsys.readouterr().out.count("\n") == 1


def test_a_service_that_is_down_is_unhealthy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No server on the port: one line that names the port, no traceback."""
    monkeypatch.setenv("TICKET_ROUTER_MANAGEMENT_PORT", "1")
    assert healthcheck.main() == 1
    assert re.fullmatch(r"unhealthy: no answer on the management port 1 \(.*\)\n", capsys.readouterr().out)


def test_the_health_check_asks_the_port_the_settings_default_to() -> None:
    """The number stands in two places; they agree."""
    assert Settings.model_fields["management_port"].default == healthcheck.PORT


def test_images_open_no_port_but_the_public_one() -> None:
    """Without keys, other hosts cannot reload a container unless `management_host` is set."""
    hosts = re.findall(r"\bTICKET_ROUTER_(\w*HOST)\b", (ROOT / "Dockerfile").read_text())
    assert hosts == ["HOST"]


def test_both_images_serve_with_the_same_onnxruntime() -> None:
    """The GPU image pins the version that the CPU image and the tests have."""
    pins = (ROOT / "constraints.txt").read_text() + (ROOT / "constraints-gpu.txt").read_text()
    assert len(set(re.findall(r"^onnxruntime(?:-gpu)?==(.*)$", pins, re.MULTILINE))) == 1
