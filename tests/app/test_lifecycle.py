"""Start, refusal to start, draining, and the command line, each in a process of its own."""

import contextlib
import json
import re
import signal
import socket
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from service.cli.main import main
from tests.support.process import Service, post_head, run_cli, serving
from tests.support.spoiled import changed_weights, damaged, foreign, no_graph
from tests.support.tiny import SAMPLES
from tests.support.waiting import refused, wait_until

ONE_LINE = re.compile(r"error: [^\n]+\n")
ONE_PROCESS = (
    "one process serves one model; run more replicas on Kubernetes, or several services behind the proxy in deploy/ "
    "(docs/scale-out.md)"
)


def test_sigterm_answers_all_requests_in_flight_and_exits_with_0(tiny_bundle_path: Path) -> None:
    """All requests sent before the signal get 200; then the port is closed."""
    slowly = ("--runners", "1", "--max-batch-tokens", "64", "--cache-entries", "0", "--queue-seconds", "60")
    body = json.dumps({"tickets": [{"body": f"{3 * SAMPLES[0][1]} {number}"} for number in range(200)]}).encode()
    batch = post_head("/v1/route/batch", len(body), "Connection: close") + body
    # It is asked while it drains, on fast machines too; and all was sent before the signal, on slow ones too.
    with serving(tiny_bundle_path, *slowly) as service, contextlib.ExitStack() as opened:
        waiting = [opened.enter_context(socket.create_connection(("127.0.0.1", service.port), 60)) for _ in range(12)]
        for each in waiting:
            each.sendall(batch)
        wait_until(lambda: service.counts("queue_depth") > 100)
        service.process.send_signal(signal.SIGTERM)
        wait_until(lambda: service.management("/readyz").status_code == 503)
        assert service.management("/livez").status_code == 200
        wait_until(lambda: refused(service.port))
        answers = [b"".join(iter(lambda each=each: each.recv(65536), b"")) for each in waiting]
        assert [answer[:12] for answer in answers] == [b"HTTP/1.1 200"] * 12
        assert all(answer.endswith(b"}") for answer in answers)
        assert service.process.wait(10) == 0


@pytest.mark.parametrize("drain_seconds", ["1", "20"])
def test_unfinished_body_does_not_block_the_stop(tiny_bundle_path: Path, drain_seconds: str) -> None:
    """After a short grace, not after the drain time: 503, a closed connection, exit status 0."""
    with serving(tiny_bundle_path, "--drain-seconds", drain_seconds) as service:  # noqa: SIM117 - the second needs the first's port
        with socket.create_connection(("127.0.0.1", service.port)) as stuck:
            stuck.sendall(post_head("/v1/route", 9) + b"{")
            time.sleep(0.3)
            started = time.monotonic()
            assert service.stop() == 0
            assert time.monotonic() - started < 6
            answer = stuck.recv(1000).lower()
            assert b" 503 " in answer.split(b"\r\n")[0]
            assert b"connection: close" in answer


def test_a_body_that_arrives_during_the_grace_is_decided(tiny_bundle_path: Path) -> None:
    body = b'{"body":"hello"}'
    with serving(tiny_bundle_path) as service, socket.create_connection(("127.0.0.1", service.port)) as late:
        late.sendall(post_head("/v1/route", len(body)) + body[:5])
        time.sleep(0.3)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(0.5)
        late.sendall(body[5:])
        assert b" 200 " in late.recv(1000).split(b"\r\n")[0]
        assert service.process.wait(10) == 0


def test_an_idle_service_stops_at_once(tiny_bundle_path: Path) -> None:
    """Without requests in flight, a client with an open connection does not delay the stop."""
    with serving(tiny_bundle_path) as service, service.client() as client:
        client.post("/v1/route", json={"body": "hello"})
        started = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - started < 3


@pytest.mark.parametrize("flag", ["--port", "--management-port"])
def test_a_port_in_use_is_a_one_line_error(service: Service, flag: str) -> None:
    """For either port: reported before the bundle is opened, exit status 2, no traceback."""
    taken = service.port if flag == "--port" else service.management_port
    done = run_cli("--port", "0", "--management-port", "0", flag, str(taken), "--bundle", "nowhere")
    assert (done.returncode, [json.loads(line)["event"] for line in done.stdout.splitlines()]) == (2, ["starting"])
    assert ONE_LINE.fullmatch(done.stderr)
    assert str(taken) in done.stderr


@pytest.mark.parametrize("hosts", [("127.0.0.1", "127.0.0.1"), ("0.0.0.0", "127.0.0.1"), ("localhost", "::")])
def test_the_same_port_for_both_is_a_one_line_error(hosts: tuple[str, str]) -> None:
    """Reported before the bundle is opened; the message names both flags."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = str(free.getsockname()[1])
    flags = ("--port", port, "--management-port", port, "--host", hosts[0], "--management-host", hosts[1])
    done = run_cli("--bundle", "nowhere", *flags)
    assert done.returncode == 2
    assert done.stderr == f"error: --port and --management-port are both {port}; give each its own\n"


def missing(_bundle: Path, store: Path) -> Path:
    return store / "nothing"


@pytest.mark.parametrize("make", [missing, damaged, foreign, no_graph, changed_weights])
def test_an_unusable_bundle_is_a_one_line_error(
    tiny_bundle_path: Path, tmp_path: Path, make: Callable[[Path, Path], Path]
) -> None:
    """Missing, damaged, foreign, unloadable, or with other results for its golden rows: exit status 2."""
    done = run_cli("--bundle", str(make(tiny_bundle_path, tmp_path / "store")), "--port", "0", "--management-port", "0")
    assert done.returncode == 2
    assert ONE_LINE.fullmatch(done.stderr), done.stderr
    assert "listening" not in done.stdout


def test_a_missing_gpu_is_a_one_line_error(tiny_bundle_path: Path) -> None:
    """`--device cuda` never falls back to the CPU."""
    done = run_cli("--bundle", str(tiny_bundle_path), "--device", "cuda", "--port", "0", "--management-port", "0")
    assert done.returncode == 2
    assert ONE_LINE.fullmatch(done.stderr)
    assert "cuda" in done.stderr


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--max-batch-tokens", "8", "--max-batch-tokens 8 is less than one ticket of 64 tokens"),
        ("--queue-tokens", "8", "--queue-tokens 8 is less than one ticket"),
        ("--runners", "1000", "make 1000 threads, this process may use"),
        ("--variant", "fp16", "has no fp16 variant, it has: fp32"),
        ("--device", "tpu", "--device"),
    ],
)
def test_an_invalid_setting_is_a_one_line_error(tiny_bundle_path: Path, flag: str, value: str, message: str) -> None:
    """Refused before the model is loaded, with exit status 2."""
    done = run_cli("--bundle", str(tiny_bundle_path), "--port", "0", "--management-port", "0", flag, value)
    assert done.returncode == 2
    assert ONE_LINE.fullmatch(done.stderr)
    assert message in done.stderr


def test_a_missing_variant_is_a_one_line_error(tiny_bundle_path: Path) -> None:
    """The message names the variants of the bundle."""
    done = run_cli("route", "--bundle", str(tiny_bundle_path), "--variant", "int8", "--body", "x")
    assert (done.returncode, "fp32" in done.stderr) == (2, True)
    assert ONE_LINE.fullmatch(done.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ["route", "--eml", "no-such.eml"],
        ["route"],
        ["route", "--eml", "x", "--body", "y"],
        ["nonsense"],
        ["--nonsense"],
        ["--port", "many"],
        ["--device", "tpu"],
    ],
)
def test_bad_usage_is_a_one_line_error(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """The line starts with `error`; exit status 2."""
    status = main(arguments)
    shown = capsys.readouterr()
    assert (status, shown.out) == (2, "")
    assert ONE_LINE.fullmatch(shown.err), shown.err


@pytest.mark.parametrize(
    ("before", "message"),
    [
        (["--bundle", "x"], "--bundle stands before `route`: put it after `route`"),
        (["--port", "99999"], "--port stands before `route`: `route` has no such flag"),
    ],
)
def test_a_flag_before_the_command_is_refused(
    before: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error says where the flag belongs."""
    assert main([*before, "route", "--subject", "x"]) == 2
    assert capsys.readouterr().err == f"error: {message}\n"


def test_a_misspelt_variable_is_a_one_line_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """A variable with our prefix that is no setting stops the start; the error names the similar setting."""
    monkeypatch.setenv("TICKET_ROUTER_PROT", "1")
    assert main([]) == 2
    assert capsys.readouterr().err == "error: TICKET_ROUTER_PROT is no setting; is it TICKET_ROUTER_PORT?\n"


@pytest.mark.parametrize("value", ["1", "2", ""])
def test_a_variable_for_several_workers_stops_the_start(
    value: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error names the alternative to several workers."""
    monkeypatch.setenv("TICKET_ROUTER_WORKERS", value)
    assert main([]) == 2
    assert capsys.readouterr().err == f"error: TICKET_ROUTER_WORKERS is no longer a setting, unset it: {ONE_PROCESS}\n"


@pytest.mark.parametrize("arguments", [["--workers", "2"], ["--workers=2"], ["--workers", "2", "route", "--body", "x"]])
def test_a_flag_for_several_workers_stops_the_start(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 2
    assert capsys.readouterr().err == f"error: --workers is no longer an option: {ONE_PROCESS}\n"


@pytest.mark.parametrize("name", ["plan", "tune-at-start"])
def test_a_removed_setting_is_refused_with_its_replacement(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The error does not suggest a setting with a similar name."""
    assert main([f"--{name}", "x"]) == 2
    assert f"error: --{name} is no longer an option: " in capsys.readouterr().err
    variable = "TICKET_ROUTER_" + name.upper().replace("-", "_")
    monkeypatch.setenv(variable, "x")
    assert main([]) == 2
    assert f"error: {variable} is no longer a setting, unset it: " in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["--help"], ["route", "--help"]])
def test_help_has_examples(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(arguments) == 0
    assert "Examples:\n" in capsys.readouterr().out


def test_one_decision_on_the_terminal(tiny_bundle_path: Path, tmp_path: Path, service: Service) -> None:
    """`route` prints plain text in a pipe, the API's JSON with --json, and reads mail files."""
    mail = tmp_path / "mail.eml"
    mail.write_bytes(b"From: a@b.c\nSubject: Offer\n\nA quote please\n")
    shown = run_cli("route", "--bundle", str(tiny_bundle_path), "--subject", "Offer", "--body", "A quote please")
    printed = run_cli("route", "--bundle", str(tiny_bundle_path), "--eml", str(mail), "--json")
    answered = httpx.post(service.url + "/v1/route", json={"subject": "Offer", "body": "A quote please"}).json()
    assert (shown.returncode, shown.stderr, "\x1b" in shown.stdout) == (0, "", False)
    assert all(line == line.rstrip() and "  " in line for line in shown.stdout.splitlines())
    assert "confidence" in shown.stdout
    assert json.loads(printed.stdout)["candidates"] == answered["candidates"]


def test_settings_come_from_the_environment_too(tiny_bundle_path: Path) -> None:
    """TICKET_ROUTER_BUNDLE has the effect of --bundle."""
    done = run_cli("route", "--body", "hello", "--json", env={"TICKET_ROUTER_BUNDLE": str(tiny_bundle_path)})
    assert json.loads(done.stdout)["model"]["version"] == tiny_bundle_path.name
