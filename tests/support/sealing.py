"""Changed manifests with a recomputed version id: only a signature or the golden rows can reveal the change."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from models.bundle.bundle import MANIFEST


def manifest_of(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
    return content


def fields_of(folder: Path) -> list[dict[str, Any]]:
    """The calibration of the first graph."""
    fields: list[dict[str, Any]] = manifest_of(folder)["models"][0]["fields"]
    return fields


def spell(folder: Path, content: Mapping[str, Any]) -> None:
    """Write a manifest in the canonical spelling."""
    (folder / MANIFEST).write_text(json.dumps(content, indent=1, ensure_ascii=False))


def resealed(folder: Path, **changes: Any) -> Path:
    """Change the manifest and recompute its version; `fields=…` is every graph's calibration."""
    content = manifest_of(folder)
    if "fields" in changes:
        fields = changes.pop("fields")
        content["models"] = [model | {"fields": fields} for model in content["models"]]
    content |= changes
    body = {key: value for key, value in content.items() if key not in ("version", "created_at")}
    deciding = {"tokenizer.json", "golden.jsonl", *(model["file"] for model in body["models"] or ())}
    body["files"] = {name: entry for name, entry in body["files"].items() if name in deciding}
    canonical = json.dumps(body, sort_keys=True, separators=(",", ":"))
    content["version"] = hashlib.sha256(canonical.encode()).hexdigest()[:16]
    spell(folder, content)
    return folder


def replaced(folder: Path, name: str, content: bytes) -> Path:
    """Replace a file, and update its digest and size and the version."""
    (folder / name).write_bytes(content)
    entry = {"sha256": hashlib.sha256(content).hexdigest(), "size": len(content)}
    return resealed(folder, files=manifest_of(folder)["files"] | {name: entry})


def as_first_schema(folder: Path) -> Path:
    """The manifest in the first schema: one calibration for all graphs, nothing about pooled vectors."""
    content = manifest_of(folder)
    old = ("variant", "file", "tolerance", "devices", "instructions")
    content["schema_version"] = 1
    content["fields"] = fields_of(folder)
    content["models"] = [{name: model[name] for name in old} for model in content["models"]]
    del content["encoder"]["width"]
    order = ("schema_version", "version", "created_at", "text_version", "base_model", "encoder", "fields", "models")
    spell(folder, {name: content[name] for name in (*order, *(name for name in content if name not in order))})
    return resealed(folder)
