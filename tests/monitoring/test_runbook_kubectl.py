"""Every kubectl command of the runbook, run as written against a recorded API."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.monitoring.cluster_api import answers, cluster, path
from tests.support.process import ROOT

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
BLOCKS = [block for block in re.findall(r"```sh\n(.*?)```", RUNBOOK, re.DOTALL) if "kubectl" in block]
ADD_PODS = next(block for block in BLOCKS if block.startswith("N=2"))
INLINE = re.findall(r"`(kubectl --namespace [^`]+)`", RUNBOOK)
NOT_HERE = {
    "port-forward": "kubectl wants a connection that it can turn into a tunnel",
    "apply": "kubectl asks the API for its schemas first; tests/manifests builds and validates what is applied",
}
DEPLOYMENT, HPA = path("apps/v1", "deployments"), path("autoscaling/v2", "horizontalpodautoscalers")


def typed(script: str, folder: Path, known: dict[str, Any]) -> tuple[list[tuple[str, str]], dict[str, Any]]:
    """Each kubectl call of the script with its exit code, and the changes sent to the API."""
    kubectl, changes = Path(sys.executable).parent / "kubectl", {}
    (folder / "bin").mkdir()
    (folder / "keys.toml").write_text("")
    with cluster(known, changes) as address:
        config = {
            "clusters": [{"name": "c", "cluster": {"server": address}}],
            "contexts": [{"name": "c", "context": {"cluster": "c"}}],
            "current-context": "c",
        }
        (folder / "config").write_text(json.dumps({"apiVersion": "v1", "kind": "Config", **config}))
        wrapper = folder / "bin" / "kubectl"
        wrapper.write_text(f'#!/bin/sh\n"{kubectl}" "$@"\ncode=$?\necho "$code $*" >>"{folder}/codes"\nexit $code\n')
        wrapper.chmod(0o755)
        environment = {**os.environ, "KUBECONFIG": str(folder / "config"), "HOME": str(folder)}
        environment["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
        run = subprocess.run(
            ["sh", "-c", script], env=environment, cwd=folder, capture_output=True, text=True, timeout=60
        )
    print(run.stdout, run.stderr)
    return [tuple(line.split(" ", 1)) for line in (folder / "codes").read_text().splitlines()], changes


@pytest.mark.parametrize(
    "script", [*BLOCKS, *INLINE], ids=lambda script: script.replace("kubectl --namespace ticket-router ", "")[:40]
)
def test_kubectl_accepts_each_command_of_the_runbook(script: str, tmp_path: Path) -> None:
    """It parses the command, and finds the objects that it names."""
    lines = [
        line for line in script.replace("\\\n", "").splitlines() if not any(f" {name} " in line for name in NOT_HERE)
    ]
    lines = [line for line in lines if not line.startswith("python")]
    if not any("kubectl" in line for line in lines):
        pytest.skip("none that can be tried here")
    codes, _ = typed("\n".join(lines), tmp_path, answers())
    assert [command for code, command in codes if code != "0"] == []
    assert codes


@pytest.mark.parametrize(
    ("replicas", "most", "expected"),
    [
        (4, None, {f"{DEPLOYMENT}/scale": {"replicas": 6}}),
        (4, 12, {HPA: {"minReplicas": 6, "maxReplicas": 12}}),
        (11, 12, {HPA: {"minReplicas": 13, "maxReplicas": 13}}),
    ],
    ids=["a plain deployment", "an autoscaler with room", "an autoscaler at its most"],
)
def test_add_pods_requests_two_more_than_now(
    tmp_path: Path, replicas: int, most: int | None, expected: dict[str, Any]
) -> None:
    """With an autoscaler and without one."""
    _, changes = typed(ADD_PODS, tmp_path, answers(replicas, most))
    assert {where: sent["spec"] for where, sent in changes.items()} == expected


def test_a_misspelt_command_fails(tmp_path: Path) -> None:
    """An unknown flag, kind or name gives an exit code."""
    slips = ("get pods --outptu wide", "get podz", "describe job/GONE")
    codes, _ = typed("\n".join(f"kubectl --namespace ticket-router {slip}" for slip in slips), tmp_path, answers())
    assert all(code != "0" for code, _ in codes)
