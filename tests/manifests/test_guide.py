"""docs/deploy.md says what k8s/ has: folders, secrets, and patches that build."""

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


def test_every_folder_that_the_guide_names_is_there() -> None:
    """No command applies what does not exist."""
    named = re.findall(r"k8s/[a-z/.-]+\b", GUIDE)
    assert [path for path in named if not (ROOT / path).exists()] == []
    components = re.findall(r"`(bundle-[a-z]+|autoscaling[a-z-]*|tracing|retraining|monitoring|keys)`", GUIDE)
    assert {name for name in components if not (ROOT / "k8s/components" / name).is_dir()} == set()


def test_every_component_stands_in_the_guide() -> None:
    """A component that nobody can read about does not exist."""
    assert [path.name for path in (ROOT / "k8s/components").iterdir() if f"`{path.name}`" not in GUIDE] == []


def test_everything_that_a_person_makes_stands_in_the_guide() -> None:
    """Whoever deploys is told of each that a pod waits for (test_pods.py: there are no others), and of no other."""
    named = set(re.findall(r"^\| `(ticket-router-[a-z-]+)` \|", GUIDE, re.MULTILINE))
    assert named == SECRETS | CLAIMS | CONFIG_MAPS


@pytest.mark.parametrize("patch", PATCHES)
def test_a_patch_of_the_guide_builds(patch: str, tmp_path: Path) -> None:
    """Put into an overlay, it changes what it says, and leaves a stopping pod its time."""
    patched = _patched(patch, tmp_path)
    assert patched != render(FOLDERS["cpu"])
    pod = patched.pod("ticket-router")
    waits = pod.container("service")["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = int(patched.settings()["TICKET_ROUTER_DRAIN_SECONDS"])
    assert waits + drain + 10 <= pod.spec["terminationGracePeriodSeconds"]


def test_the_guides_training_arguments_are_the_commands_of_training(tmp_path: Path) -> None:
    """They go to the container `train`, and leave the others as they are."""
    (patch,) = (patch for patch in PATCHES if "CronJob" in patch)
    pod = _patched(patch, tmp_path).pod("ticket-router-retraining")
    assert {one["name"]: one["args"][0] for one in pod.containers} == {
        name: name for name in ("fetch", "train", "compare")
    }
    assert "--base=/export/roberta-base" in pod.container("train")["args"]


def test_the_bases_memory_is_the_sizing_guides() -> None:
    """One table has the figures; the base asks for what it says, and so does the guide's patch for the small model."""
    memory = dict(re.findall(r"^\| (\S+) \| fp32 .*\| (\d+Gi)[^|]*\|$", SIZING, re.MULTILINE))
    (small,) = re.findall(r"limits: \{cpu: .*, memory: (\d+Gi)\}", GUIDE)
    base = render(ROOT / "k8s/base").pod("ticket-router").container("service")
    assert base["resources"]["limits"]["memory"] == memory["roberta-base"]
    assert small == memory["all-MiniLM-L6-v2"]


def test_alerts_and_panels_that_the_sizing_guide_names_are_there() -> None:
    """Whoever is told to watch something finds it under that name."""
    alerts = set(re.findall(r"`(TicketRouter\w+)`", SIZING))
    rules = (MONITORING / "rules.yaml").read_text()
    assert alerts
    assert [name for name in alerts if f"alert: {name}\n" not in rules] == []
    (panel,) = re.findall(r"dashboard's \"([^\"]+)\"", SIZING)
    assert f'"title": "{panel}"' in (MONITORING / "dashboard.json").read_text()


def _patched(patch: str, folder: Path) -> Rendered:
    """The overlay `cpu` with a patch of the guide."""
    kustomization = yaml.safe_load(patch) | {"resources": [os.path.relpath(FOLDERS["cpu"], folder.resolve())]}
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    return render(folder)
