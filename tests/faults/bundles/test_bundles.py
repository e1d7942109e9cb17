"""Damaged, forged and half-written bundles never serve, at start or at a reload. The short form of `mutations.py`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import numpy_helper

from models.bundle.bundle import MANIFEST, SIGNATURE, open_bundle, point_current
from models.errors import BundleError
from service.inference.onnx_session import open_runner
from tests.faults import mutations
from tests.faults.bundles.damage import DAMAGE
from tests.faults.bundles.forgeries import FORGERIES, UNSEEN
from tests.support.process import ROOT, Service, run_cli, serving
from tests.support.sealing import fields_of, resealed
from tests.support.signing import Signer, new_signer
from tests.support.tiny import rewritten

EACH = 10
RELOADED = 12


@pytest.fixture(scope="module")
def signer(tmp_path_factory: pytest.TempPathFactory) -> Signer:
    return new_signer(tmp_path_factory.mktemp("keys"))


@pytest.fixture(scope="module")
def sound(tiny_bundle_path: Path, signer: Signer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed bundle that is also the store's current one; tests leave both as they found them."""
    made = signer.sign(rewritten(tiny_bundle_path, tmp_path_factory.mktemp("store")))
    point_current(made.parent, made.name)
    return made


@pytest.fixture(scope="module")
def service(sound: Path, signer: Signer) -> Iterator[Service]:
    """Requires a signature."""
    with serving(sound.parent / "current", "--bundle-key", str(signer.public)) as running:
        yield running


@pytest.mark.parametrize("kind", [*DAMAGE, *FORGERIES])
def test_no_damaged_or_forged_bundle_serves(sound: Path, signer: Signer, kind: str) -> None:
    """Every kind of damage and forgery is refused with one line, with and without a required signature."""
    found = mutations.run(sound, signer, EACH, only=kind)
    assert (found.served, found.crashed) == ([], [])
    assert found.refused.total() + found.harmless == EACH
    assert found.refused.total() >= EACH - 1


def test_only_a_required_signature_reveals_slight_forgeries(sound: Path, signer: Signer) -> None:
    """A slightly forged bundle with matching digests serves where no signature is required, and is refused where one
    is."""
    found = mutations.run(sound, signer, EACH, only=next(iter(UNSEEN)))
    assert found.refused.total() == EACH // 2
    assert len(found.served) + found.harmless == EACH // 2


def test_a_seed_reproduces_its_mutations(sound: Path, signer: Signer) -> None:
    """A finding of a long run can be reproduced."""
    assert mutations.run(sound, signer, 20, seed=5) == mutations.run(sound, signer, 20, seed=5)


def test_onnxruntime_loads_a_graph_with_a_flipped_bit(sound: Path) -> None:
    """The reason for checking digests first: onnxruntime loads a graph with a changed weight without an error."""
    graph = onnx.load(str(sound / "model.onnx"))
    weight = next(each for each in graph.graph.initializer if "word_embeddings" in each.name)
    content = (sound / "model.onnx").read_bytes()
    place = content.index(weight.raw_data) + len(weight.raw_data) // 2
    assert open_runner(content[:place] + bytes([content[place] ^ 64]) + content[place + 1 :], "cpu", 1)


def test_weights_in_external_files_are_refused(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A graph that names a file of the working folder, which onnxruntime alone would read, is refused."""
    graph = onnx.load(str(sound / "model.onnx"))
    weight = next(each for each in graph.graph.initializer if "word_embeddings" in each.name)
    numpy_helper.to_array(weight).astype(np.float32).tofile(tmp_path / "weights")
    weight.ClearField("raw_data")
    weight.data_location = onnx.TensorProto.EXTERNAL
    weight.external_data.add(key="location", value="weights")
    monkeypatch.chdir(tmp_path)
    assert ort.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    with pytest.raises(BundleError, match="cannot load"):
        open_runner(graph.SerializeToString(), "cpu", 1)


def test_only_onnx_graphs_are_loaded(sound: Path, tmp_path: Path) -> None:
    """onnxruntime's own format, which it recognises by its first bytes, is refused."""
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "model.ort")
    options.add_session_config_entry("session.save_model_format", "ORT")
    ort.InferenceSession(str(sound / "model.onnx"), options, providers=["CPUExecutionProvider"])
    graph = (tmp_path / "model.ort").read_bytes()
    assert ort.InferenceSession(graph, providers=["CPUExecutionProvider"])
    with pytest.raises(BundleError, match="cannot load"):
        open_runner(graph, "cpu", 1)


@pytest.mark.parametrize("kind", ["unsigned", "another's"])
def test_a_service_does_not_start_with_an_unsigned_or_foreign_bundle(
    sound: Path, signer: Signer, tmp_path: Path, kind: str
) -> None:
    """One line on standard error and exit status 2."""
    copy = Path(shutil.copytree(sound, tmp_path / sound.name))
    if kind == "unsigned":
        (copy / SIGNATURE).unlink()
    else:
        new_signer(tmp_path, "other").sign(copy)
    run = run_cli("--bundle", str(copy), "--bundle-key", str(signer.public), "--port", "0", "--management-port", "0")
    assert run.returncode == 2
    assert run.stderr.count("\n") == 1
    assert ("not signed" if kind == "unsigned" else "signed with key") in run.stderr


def reload(service: Service, version: str) -> httpx.Response:
    return httpx.post(service.management_url + "/admin/reload", json={"bundle": version}, timeout=60)


def serves(service: Service, version: str) -> bool:
    answer = httpx.post(service.url + "/v1/route", json={"body": "hello"}, timeout=30)
    return bool(answer.json()["model"]["version"] == version)


def test_a_running_service_keeps_its_bundle_when_a_reload_is_refused(
    service: Service, sound: Path, tmp_path: Path
) -> None:
    """A damaged or forged bundle under a version's name is refused at the reload, and the sound bundle serves on."""
    for number, (name, spoiled, _) in enumerate(mutations.spoiled_bundles(sound, tmp_path, RELOADED, seed=1)):
        version = f"{number:016x}"
        shutil.rmtree(sound.parent / version, ignore_errors=True)
        spoiled.rename(sound.parent / version)
        answer = reload(service, version)
        assert answer.status_code == 409, name
        assert serves(service, sound.name)
        (sound.parent / version).rename(spoiled)


def test_a_reload_accepts_only_signed_bundles(service: Service, sound: Path, signer: Signer) -> None:
    """A sound bundle is refused until it is signed, without a restart in between."""
    other = rewritten(sound, sound.parent, base_model="other")
    answer = reload(service, other.name)
    assert answer.status_code == 409
    assert "not signed" in answer.json()["detail"]
    assert serves(service, sound.name)
    assert reload(service, signer.sign(other).name).status_code == 200
    assert serves(service, other.name)
    assert reload(service, sound.name).status_code == 200


def test_a_bundle_changed_after_signing_is_refused_despite_matching_digests(
    service: Service, sound: Path, tmp_path: Path
) -> None:
    """Thresholds are lowered and the version id recomputed: the folder's name is right, the signature is not."""
    copy = Path(shutil.copytree(sound, tmp_path / "copy"))
    fields = fields_of(copy)
    fields[0]["labels"][0]["route"] = 0.01
    version = json.loads((resealed(copy, fields=fields) / MANIFEST).read_text())["version"]
    assert open_bundle(copy).version == version
    copy.rename(sound.parent / version)
    assert "no signature of this manifest" in reload(service, version).json()["detail"]
    assert serves(service, sound.name)


def test_a_kill_at_any_moment_leaves_current_whole() -> None:
    """Writing, promoting and fetching, killed repeatedly: see kills.py."""
    command = [sys.executable, "-m", "tests.faults.kills", "--count", "30"]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stderr
