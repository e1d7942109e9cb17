"""Configuration of traces: variables, a failing collector, and traces switched off."""

import re
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from service.build import build
from service.tracing.traces import Traces
from tests.app.test_overload import ask_all
from tests.support.collector import Manner, collecting
from tests.support.process import ROOT, run_cli, serving
from tests.support.waiting import wait_until


@pytest.mark.parametrize("manner", ["refuses", "is silent", None])
def test_failing_collector_does_not_affect_requests(tiny_bundle_path: Path, manner: Manner | None) -> None:
    """Tickets are decided, the failure is logged once, and the process ends long before the exporter would. `None`:
    there is no collector."""
    with collecting(manner or "takes") as collector:
        elsewhere = {} if manner else {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1"}
        patient = {"OTEL_EXPORTER_OTLP_TIMEOUT": "120", "OTEL_BSP_MAX_QUEUE_SIZE": "20"}
        crowded = {"OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "10"}
        with serving(tiny_bundle_path, env=collector.env(**elsewhere, **patient, **crowded)) as service:
            assert {answer.status_code for answer in ask_all(service, 40)} == {200}
            wait_until(lambda: any(event.get("level") == "warning" for event in service.events))
            assert service.stop() == 0
            messages = [event["event"] for event in service.events if event["level"] in ("warning", "error")]
            assert len(messages) == len({re.sub(r"[0-9.]+s\b", "", event) for event in messages}) <= 4


def test_a_stop_sends_the_waiting_spans(tiny_bundle_path: Path) -> None:
    """With the resource of the OTEL_* variables."""
    variables = {"OTEL_BSP_SCHEDULE_DELAY": "600000", "OTEL_RESOURCE_ATTRIBUTES": "service.name=pair,zone=a"}
    with collecting() as collector, serving(tiny_bundle_path, env=collector.env(**variables)) as service:
        for number in range(40):
            httpx.post(service.url + "/v1/route", json={"body": f"number {number}"}, timeout=30)
        assert service.stop() == 0
    spans = [span for span in collector.spans if span.kind == "SERVER"]
    assert {span.resource["service.name"] for span in spans} == {"pair"}
    assert len(spans) == 40
    assert len({span.resource["service.instance.id"] for span in spans}) == 1
    assert {(span.resource["zone"], span.resource["service.version"]) for span in spans} == {("a", build().version)}


def test_without_traces_the_sdk_is_not_imported(tiny_bundle_path: Path) -> None:
    code = """if True:
        import asyncio, sys
        from pathlib import Path
        from models.ticket import Ticket
        from service.app import create_app
        from service.context import RequestContext
        from service.routing.router import deadline_in
        from service.settings import Settings

        async def play():
            app = create_app(Settings(bundle=Path(sys.argv[1]), device="cpu"))
            await app.start()
            await app.router.decide(Ticket(subject="", body="hello"), RequestContext(deadline_in(10)))
            await app.stop()

        asyncio.run(play())
        print([name for name in sys.modules if name.startswith(("opentelemetry.sdk", "opentelemetry.exporter"))])
    """
    command = [sys.executable, "-c", code, str(tiny_bundle_path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.splitlines()[-1] == "[]", done.stderr


def test_traces_without_opentelemetry_are_a_one_line_error(tiny_bundle_path: Path) -> None:
    """The line names the group to install."""
    slim = ROOT / ".venv-service" / "bin" / "python"
    command = [str(slim), "-m", "service", "--bundle", str(tiny_bundle_path), "--traces", "true", "--port", "0"]
    done = subprocess.run([*command, "--management-port", "0"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "dependency group `traces`" in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OTEL_BSP_MAX_QUEUE_SIZE", "1", "max_export_batch_size must be less than or equal to max_queue_size."),
        ("OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "many", "must be a non-negative integer"),
    ],
)
def test_a_variable_that_opentelemetry_refuses_is_a_one_line_error(
    tiny_bundle_path: Path, name: str, value: str, message: str
) -> None:
    """Exit status 2 and OpenTelemetry's message, without a traceback."""
    ports = ("--port", "0", "--management-port", "0")
    done = run_cli("--bundle", str(tiny_bundle_path), *ports, env={name: value, "TICKET_ROUTER_TRACES": "true"})
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "--traces: OpenTelemetry does not start: " in done.stderr
    assert message in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "collector", "Invalid URL"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "canary-7f3a", "Header format invalid!"),
        ("OTEL_TRACES_SAMPLER", "bogus", "Couldn't recognize sampler bogus."),
        ("OTEL_BSP_SCHEDULE_DELAY", "soon", "OTEL_BSP_SCHEDULE_DELAY"),
    ],
)
def test_ignored_opentelemetry_variables_are_logged(
    tiny_bundle_path: Path, name: str, value: str, message: str
) -> None:
    """As a JSON line. The value of a header, which may be a key, is not shown."""
    with collecting() as collector, serving(tiny_bundle_path, env=collector.env(**{name: value})) as service:
        assert {answer.status_code for answer in ask_all(service, 1)} == {200}
        wait_until(lambda: any(message in event["event"] for event in service.events if event["level"] != "info"))
        assert service.stop() == 0
        assert "canary-7f3a" not in str(service.events)


def test_documented_variables_are_accepted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Names in either case, an address with a path, and an empty variable, which counts as not set."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://[::1]:4318/otlp")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer%20x=, other = y")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "ParentBased_TraceIdRatio")
    monkeypatch.setenv("OTEL_TRACES_SAMPLER_ARG", "0.01")
    traces = Traces(enabled=True)
    traces.start()
    traces.stop(1)
