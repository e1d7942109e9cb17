"""The retraining CronJob: its commands are valid, and none of them promotes."""

import os
import re
from pathlib import Path
from typing import Any

import yaml

from tests.manifests.render import ROOT, Rendered, render
from training.recipe import load_recipe

NAME = "ticket-router-retraining"
TRAINING = "ticket-router-training"


def _job(retraining: Rendered) -> dict[str, Any]:
    spec: dict[str, Any] = retraining.one("CronJob", NAME)["spec"]
    return spec


def _mounts(container: dict[str, Any]) -> dict[str, bool]:
    """Where the container mounts volumes, and whether it may write there."""
    return {mount["mountPath"]: not mount.get("readOnly", False) for mount in container["volumeMounts"]}


def test_no_container_promotes(rendered: Rendered) -> None:
    """A person promotes: no container runs the command, and only the bundle desk pod can write the current bundle."""
    for one in (one for pod in rendered.pods() for one in pod.containers):
        assert "promote" not in " ".join([*one.get("command", ()), *one.get("args", ())])
        writes = [mount["name"] for mount in one["volumeMounts"] if not mount.get("readOnly")]
        assert "bundles" not in writes or one["name"] in ("fetch", "desk")


def test_the_job_trains_first_and_then_compares(retraining: Rendered) -> None:
    """One container after the other, each with the training image, without a shell between them."""
    pod = retraining.pod(NAME)
    steps = [one for one in pod.containers if TRAINING in one["image"]]
    assert [one["args"][0] for one in steps] == ["train", "compare"]
    assert [one["name"] for one in pod.spec["containers"]] == ["compare"]
    assert not any("command" in one for one in pod.containers)


def test_only_the_runs_own_folder_is_written(retraining: Rendered) -> None:
    """The export, the recipe and the champion are read-only; output goes under the job's name."""
    pod = retraining.pod(NAME)
    train, compare = pod.container("train"), pod.container("compare")
    assert _mounts(train) == {"/export": False, "/recipe": False, "/runs": True, "/tmp": True}
    assert _mounts(compare) == {"/export": False, "/bundles": False, "/runs": True, "/tmp": True}
    assert "--out=/runs/$(JOB_NAME)" in train["args"]
    assert {"--challenger=/runs/$(JOB_NAME)/current", "--champion=/bundles/current"} < set(compare["args"])


def test_every_path_of_a_command_is_mounted(retraining: Rendered) -> None:
    """No argument is a path in the image's read-only root."""
    for one in retraining.pod(NAME).containers:
        paths = re.findall(r"=?(/[a-z]+)", " ".join(one["args"]))
        assert set(paths) - {"/current"} <= set(_mounts(one)) | {"/train", "/held", "/recipe", "/comparison"}


def test_one_run_at_a_time_with_a_time_limit(retraining: Rendered) -> None:
    """No concurrent runs, a deadline, a limited history, and no retry after a configuration error."""
    spec, job = _job(retraining), _job(retraining)["jobTemplate"]["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert "suspend" in spec
    assert spec["startingDeadlineSeconds"] > 10  # below ten seconds the controller may miss every start
    assert job["activeDeadlineSeconds"] < 7 * 24 * 3600
    assert max(spec["successfulJobsHistoryLimit"], spec["failedJobsHistoryLimit"]) <= 5
    rules = job["podFailurePolicy"]["rules"]
    failing = {rule["onExitCodes"]["containerName"] for rule in rules if rule["action"] == "FailJob"}
    assert failing == {"train", "compare"}


def test_the_mounted_recipe_is_valid(retraining: Rendered, tmp_path: Path) -> None:
    """The real reader reads the ConfigMap's recipe."""
    volumes = {volume["name"]: volume for volume in retraining.pod(NAME).spec["volumes"]}
    data = retraining.one("ConfigMap", volumes["recipe"]["configMap"]["name"])["data"]
    (tmp_path / "recipe.toml").write_text(data["recipe.toml"])
    assert load_recipe(tmp_path / "recipe.toml").seed == 13


def test_retraining_without_a_champion_is_refused(tmp_path: Path) -> None:
    """Without a bundle the job has a mount that no volume defines, which the API server refuses."""
    base, *components = (
        os.path.relpath(ROOT / "k8s" / name, tmp_path.resolve())
        for name in ("base", "components/retraining", "components/bundle-baked")
    )
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump({"resources": [base], "components": components}))
    pod = render(tmp_path).pod(NAME)
    assert "/bundles" in _mounts(pod.container("compare"))
    assert "bundles" not in {volume["name"] for volume in pod.spec["volumes"]}
