"""docs/deploy.md agrees with k8s/: folders, secrets, and patches that build."""

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.manifests.render import CLAIMS, CONFIG_MAPS, FOLDERS, ROOT, SECRETS, Rendered, render

GUIDE = (ROOT / "docs/deploy.md").read_text()
SIZING = (ROOT / "docs/sizing.md").read_text()
MONITORING = ROOT / "k8s/components/monitoring"
PATCHES = re.findall(r"^```yaml\n(patches:\n.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def test_every_folder_that_the_guide_names_exists() -> None:
    named = re.findall(r"k8s/[a-z/.-]+\b", GUIDE)
    assert [path for path in named if not (ROOT / path).exists()] == []
    components = re.findall(r"`(bundle-[a-z]+|autoscaling[a-z-]*|tracing|retraining|monitoring|keys)`", GUIDE)
    assert {name for name in components if not (ROOT / "k8s/components" / name).is_dir()} == set()


def test_the_guide_describes_every_component() -> None:
    assert [path.name for path in (ROOT / "k8s/components").iterdir() if f"`{path.name}`" not in GUIDE] == []


def test_the_guide_lists_every_object_that_the_administrator_creates() -> None:
    """The guide names each object that a pod waits for (test_pods.py: there are no others), and no other."""
    named = set(re.findall(r"^\| `(ticket-router-[a-z-]+)` \|", GUIDE, re.MULTILINE))
    assert named == SECRETS | CLAIMS | CONFIG_MAPS


def test_the_guides_record_is_what_the_pods_get(tmp_path: Path) -> None:
    """The URL comes before the base's `off`, and the way out leads to the database's address alone."""
    (example,) = re.findall(r"^```yaml\n(namespace: .*?)^```", GUIDE, re.MULTILINE | re.DOTALL)
    patched = _patched(example.replace("../..", os.path.relpath(ROOT / "k8s", tmp_path.resolve())), tmp_path)
    assert patched.settings()["TICKET_ROUTER_RECORDS"].startswith("postgresql://router@db.example.com:5432/router?")
    (rule,) = patched.one("NetworkPolicy", "records")["spec"]["egress"]
    assert rule["to"] == [{"ipBlock": {"cidr": "192.0.2.5/32"}}]


@pytest.mark.parametrize("patch", PATCHES)
def test_each_patch_of_the_guide_builds(patch: str, tmp_path: Path) -> None:
    """In an overlay it makes its change, and leaves the grace period of a stopping pod long enough."""
    patched = _patched(patch, tmp_path)
    assert patched != render(FOLDERS["cpu"])
    pod = patched.pod("ticket-router")
    waits = pod.container("service")["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = int(patched.settings()["TICKET_ROUTER_DRAIN_SECONDS"])
    assert waits + drain + 10 <= pod.spec["terminationGracePeriodSeconds"]


def test_the_guides_training_arguments_are_valid(tmp_path: Path) -> None:
    """They apply to the container `train`, and leave the other containers unchanged."""
    (patch,) = (patch for patch in PATCHES if "CronJob" in patch)
    pod = _patched(patch, tmp_path).pod("ticket-router-retraining")
    assert {one["name"]: one["args"][0] for one in pod.containers} == {
        name: name for name in ("fetch", "train", "compare")
    }
    assert "--base=/export/roberta-base" in pod.container("train")["args"]


def test_the_bases_memory_agrees_with_the_sizing_guide() -> None:
    """One table has the figures; the base and the guide's patch for the small model request them."""
    memory = dict(re.findall(r"^\| (\S+) \| fp32 .*\| (\d+Gi)[^|]*\|$", SIZING, re.MULTILINE))
    (small,) = re.findall(r"limits: \{cpu: .*, memory: (\d+Gi)\}", GUIDE)
    base = render(ROOT / "k8s/base").pod("ticket-router").container("service")
    assert base["resources"]["limits"]["memory"] == memory["roberta-base"]
    assert small == memory["all-MiniLM-L6-v2"]


def test_alerts_and_panels_named_by_the_sizing_guide_exist() -> None:
    """Under exactly that name."""
    alerts = set(re.findall(r"`(TicketRouter\w+)`", SIZING))
    rules = (MONITORING / "rules.yaml").read_text()
    assert alerts
    assert [name for name in alerts if f"alert: {name}\n" not in rules] == []
    (panel,) = re.findall(r"dashboard's \"([^\"]+)\"", SIZING)
    assert f'"title": "{panel}"' in (MONITORING / "dashboard.json").read_text()


def _patched(patch: str, folder: Path) -> Rendered:
    """The overlay `cpu` with a patch or component of the guide."""
    kustomization = yaml.safe_load(patch) | {"resources": [os.path.relpath(FOLDERS["cpu"], folder.resolve())]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)
