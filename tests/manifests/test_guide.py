"""docs/kubernetes.md says what k8s/ has: folders, secrets, and patches that build."""

import os
import re
from pathlib import Path

import pytest
import yaml

from tests.manifests.render import FOLDERS, ROOT, render

GUIDE = (ROOT / "docs/kubernetes.md").read_text()
PATCHES = re.findall(r"^```yaml\n(patches:\n.*?)^```", GUIDE, re.MULTILINE | re.DOTALL)


def test_every_folder_that_the_guide_names_is_there() -> None:
    """No command applies what does not exist."""
    named = re.findall(r"k8s/[a-z/.-]+\b", GUIDE)
    assert [path for path in named if not (ROOT / path).exists()] == []
    components = re.findall(r"`(bundle-[a-z]+|autoscaling[a-z-]*|tracing|retraining|monitoring)`", GUIDE)
    assert {name for name in components if not (ROOT / "k8s/components" / name).is_dir()} == set()


def test_every_component_stands_in_the_guide() -> None:
    """A component that nobody can read about does not exist."""
    assert [path.name for path in (ROOT / "k8s/components").iterdir() if f"`{path.name}`" not in GUIDE] == []


def test_every_secret_and_claim_stands_in_the_guide() -> None:
    """Whoever deploys is told of each Secret that a pod waits for."""
    text = "".join(path.read_text() for path in (ROOT / "k8s").rglob("*.yaml"))
    secrets = set(re.findall(r"secretName: (\S+)|secret(?:Key)?Ref: \{name: ([a-z-]+)", text))
    assert [name for pair in secrets for name in pair if name and f"| `{name}` |" not in GUIDE] == []


@pytest.mark.parametrize("patch", PATCHES)
def test_a_patch_of_the_guide_builds(patch: str, tmp_path: Path) -> None:
    """Put into an overlay, it changes what it says."""
    above = FOLDERS["cpu"]
    kustomization = yaml.safe_load(patch) | {"resources": [os.path.relpath(above, tmp_path.resolve())]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    assert render(tmp_path) != render(above)


def test_the_guides_training_arguments_are_the_commands_of_training(tmp_path: Path) -> None:
    """They go to the container `train`, and leave the others as they are."""
    (patch,) = (patch for patch in PATCHES if "CronJob" in patch)
    kustomization = yaml.safe_load(patch) | {"resources": [os.path.relpath(FOLDERS["cpu"], tmp_path.resolve())]}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
    pod = render(tmp_path).pod("ticket-router-retraining")
    assert {one["name"]: one["args"][0] for one in pod.containers} == {
        name: name for name in ("fetch", "train", "compare")
    }
    assert "--base=/export/roberta-base" in pod.container("train")["args"]
