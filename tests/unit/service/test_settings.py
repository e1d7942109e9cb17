"""`service.settings` and `flags`: one class, its environment, its flags."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from service.cli.flags import SettingsError, settings_from
from service.inference.hardware import usable_cores
from service.settings import Settings
from tests.support.process import ROOT, run_cli
from tests.support.signing import new_signer


def test_every_setting_has_a_reason_and_a_flag() -> None:
    """`--help` lists each setting's flag with the setting's description."""
    shown = run_cli("--help", env={"COLUMNS": "200"}).stdout
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert f"--{name.replace('_', '-')} " in shown


@pytest.mark.parametrize(
    ("flag", "wanted"),
    [
        ("traces", "true|false"),
        ("watch-seconds", "SECONDS"),
        ("runners", "NUMBER"),
        ("keys-file", "PATH"),
        ("log-level", "debug|info|warning|error"),
    ],
)
def test_help_shows_the_values_of_a_flag(flag: str, wanted: str) -> None:
    """Also of optional and of bounded settings."""
    shown = run_cli("--help", env={"COLUMNS": "200"}).stdout
    assert re.search(rf"--{flag} {re.escape(wanted)}\s", shown)


def test_route_checks_the_signature_of_the_bundle(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """By flag or variable: an unsigned bundle is refused, and `--help` lists the flag."""
    key = new_signer(tmp_path).public
    run = run_cli("route", "--bundle", str(tiny_bundle_path), "--bundle-key", str(key), "--body", "hello")
    assert (run.returncode, "not signed, and a signature is asked for" in run.stderr) == (2, True)
    assert "--bundle-key PATH" in run_cli("route", "--help", env={"COLUMNS": "200"}).stdout


def test_flags_override_variables_and_variables_override_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable counts as not set."""
    monkeypatch.setenv("TICKET_ROUTER_PORT", "1111")
    monkeypatch.setenv("TICKET_ROUTER_RUNNERS", "3")
    monkeypatch.setenv("TICKET_ROUTER_QUEUE_TOKENS", "")
    settings = settings_from({"port": "2222", "host": None})
    assert (settings.port, settings.runners, settings.queue_tokens) == (2222, 3, 16384)


@pytest.mark.parametrize("name", ["SERVICE_HOST", "SERVICE_PORT_HTTP", "PORT_8080_TCP_ADDR", "MANAGEMENT_SERVICE_PORT"])
def test_service_link_variables_of_kubernetes_are_ignored(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """A Service named ticket-router sets them in every pod beside it."""
    monkeypatch.setenv(f"TICKET_ROUTER_{name}", "10.0.0.1")
    assert settings_from({}).port == 8080


@pytest.mark.parametrize(
    ("name", "value"), [("port", "70000"), ("device", "tpu"), ("drain_seconds", "nan"), ("runners", "0")]
)
def test_invalid_value_names_its_flag_and_its_variable(name: str, value: str) -> None:
    with pytest.raises(SettingsError) as refused:
        settings_from({name: value})
    assert f"TICKET_ROUTER_{name.upper()}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_settings_are_frozen() -> None:
    with pytest.raises(ValidationError):
        Settings().port = 1


@pytest.mark.parametrize(
    ("content", "cores"), [("150000 100000", 1), ("50000 100000", 1), ("max 100000", None), ("", None)]
)
def test_cores_follow_the_cgroups_quota(tmp_path: Path, content: str, cores: int | None) -> None:
    """A quota of 1.5 or 0.5 cores gives one runner; without a quota the affinity mask decides."""
    (tmp_path / "cpu.max").write_text(content)
    assert usable_cores(tmp_path) == (cores or len(os.sched_getaffinity(0)))


def test_quota_of_cgroup_version_1_is_read(tmp_path: Path) -> None:
    """Older hosts have quota and period in two files."""
    (tmp_path / "cpu").mkdir()
    (tmp_path / "cpu/cpu.cfs_quota_us").write_text("100000")
    (tmp_path / "cpu/cpu.cfs_period_us").write_text("100000")
    assert usable_cores(tmp_path) == 1


def test_the_service_imports_nothing_of_training() -> None:
    """Importing all of its modules imports no torch, transformers, optimum, onnx or training: the image has none of
    them."""
    names = {"torch", "transformers", "optimum", "onnx", "training"}
    code = f"import service.cli, sys; print([name for name in sys.modules if name.split('.')[0] in {names!r}])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "[]", done.stderr
