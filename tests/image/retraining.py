"""The training image as its CronJob runs it: arguments, environment and mounts are read from the job's manifest.

Only the recipe differs, with one epoch; the volumes are folders writable by the group, as in a cluster.
"""

import os
import re
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from models.bundle.bundle import open_bundle
from tests.image.build import Config
from tests.image.container import Container, Volume
from tests.image.host import check, step, tail
from tests.image.rehearsal import USER, check_writing
from tests.support.process import ROOT
from tests.support.training import RECIPE

MANIFEST = ROOT / "k8s/components/retraining/cronjob.yaml"
JOB = "retraining-rehearsed"
FROM_THE_CLUSTER = {"JOB_NAME": JOB, "OMP_NUM_THREADS": str(os.cpu_count())}
"""Variables whose value the cluster sets."""
ROWS = 400


@dataclass(frozen=True)
class Step:
    """One container of the job. `mounts`: paths, and whether each is read-only."""

    arguments: tuple[str, ...]
    env: Mapping[str, str]
    mounts: Mapping[str, bool]


def rehearse_training(root: Path, config: Config, store: Path) -> None:
    """Export made-up tickets, then run the job's steps; the champion is the store's current bundle.

    Raises:
        ImageTestError: a step failed, or an output is missing.
    """
    with tempfile.TemporaryDirectory() as folder:
        kept = _folders(Path(folder))
        _export(Container(root, config, (Volume("/tmp"), Volume("/export", kept["/export"]))))
        train, compare = read_steps(MANIFEST)
        sources = {"/tmp": None, "/bundles": store, **kept}
        training = _entered(root, config, train, sources)
        check_writing(training)
        _run(training, train)
        _check_bundle(kept["/runs"] / JOB / "current")
        said = _run(_entered(root, config, compare, sources), compare)
        check((kept["/runs"] / JOB / "comparison.html").is_file(), "compare wrote no comparison.html")
        step("comparison.html", next(line for line in said.splitlines() if line.startswith("verdict: ")))


def read_steps(manifest: Path) -> Sequence[Step]:
    """The containers of the CronJob, in order."""
    pod: dict[str, Any] = yaml.safe_load(manifest.read_text())["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return [_step(container) for container in (*pod["initContainers"], *pod["containers"])]


def _step(container: dict[str, Any]) -> Step:
    env = {entry["name"]: entry.get("value") or FROM_THE_CLUSTER[entry["name"]] for entry in container["env"]}
    return Step(
        arguments=tuple(re.sub(r"\$\((\w+)\)", lambda name: env[name[1]], word) for word in container["args"]),
        env=env,
        mounts={mount["mountPath"]: mount.get("readOnly", False) for mount in container["volumeMounts"]},
    )


def _folders(parent: Path) -> dict[str, Path]:
    """A folder for each volume that outlives a container; the group may write, as with a pod's fsGroup."""
    folders = {f"/{name}": parent / name for name in ("export", "recipe", "runs")}
    for folder in folders.values():
        folder.mkdir()
        os.chown(folder, 0, int(USER))
        folder.chmod(0o2775)
    (folders["/recipe"] / "recipe.toml").write_text(RECIPE)
    return folders


def _export(container: Container) -> None:
    """Two tables of made-up tickets, made by the image itself: one to train with, one to compare with."""
    for seed, name in enumerate(("train", "held-out")):
        done = container.run("sample", f"--out=/export/{name}.csv", f"--rows={ROWS}", f"--seed={seed}")
        check(done.returncode == 0, f"sample ends with {done.returncode}:\n{tail(done.stderr)}")
    step("sample", f"2 × {ROWS} tickets")


def _entered(root: Path, config: Config, one: Step, sources: Mapping[str, Path | None]) -> Container:
    volumes = tuple(Volume(path, sources[path], read_only) for path, read_only in one.mounts.items())
    return Container(root, config, volumes, one.env)


def _run(container: Container, one: Step) -> str:
    """Run a step to its end, and return its output."""
    name, *flags = one.arguments
    began = time.perf_counter()
    done = container.run(*one.arguments)
    check(done.returncode == 0, f"{name} ends with {done.returncode}:\n{tail(done.stdout)}\n{tail(done.stderr)}")
    step(name, f"exit 0, {time.perf_counter() - began:.0f} s: {' '.join(flags)}")
    return done.stdout


def _check_bundle(bundle: Path) -> None:
    """The bundle is whole, and written by the image's user."""
    version, owner = open_bundle(bundle).version, bundle.stat().st_uid
    check(owner == int(USER), f"it trained as {owner}")
    step("bundle", f"{version} is whole, written by {owner}")
