"""Manifests with matching digests or valid syntax that are refused nevertheless."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from models.bundle.bundle import MANIFEST
from tests.support.plain import fields, model, refusal
from tests.support.sealing import as_first_schema, manifest_of, resealed, spell


def test_a_bundle_of_a_later_release_is_refused(copied: Path) -> None:
    assert "written by a later release (schema 3, this release reads 2)" in refusal(resealed(copied, schema_version=3))


def test_a_bundle_of_the_first_schema_is_refused_with_the_command_that_converts_it(copied: Path) -> None:
    message = refusal(as_first_schema(copied))
    assert "written by an older release (schema 1, this release reads 2)" in message
    assert "python -m training train --data" in message


@pytest.mark.parametrize(
    ("models", "said"),
    [
        ([model(variant="int8")], "one graph, and only one, must be the fp32 one"),
        ([model(), model(file="golden.jsonl")], "one graph, and only one, must be the fp32 one"),
        ([model(), model(variant="int8")], "two graphs have the same file"),
        (
            [model(), model(variant="int8", file="golden.jsonl", fields=fields()[:1])],
            "golden.jsonl has other fields or labels than the fp32 graph",
        ),
    ],
)
def test_inconsistent_graphs_are_refused_with_the_reason(copied: Path, models: list[dict[str, Any]], said: str) -> None:
    assert said in refusal(resealed(copied, models=models))


@pytest.mark.parametrize("name", ["../golden.jsonl", "/etc/hostname", "sub/../model.onnx", "..", "a\x00b", "a\nb", ""])
def test_a_file_name_outside_the_folder_is_refused(copied: Path, name: str) -> None:
    """Before any file there is touched, and with matching digests."""
    listed = manifest_of(copied)["files"]
    assert "damaged or from another release" in refusal(resealed(copied, files={**listed, name: listed["model.onnx"]}))


@pytest.mark.parametrize(
    "changes",
    [
        {"fields": []},
        {"fields": fields() + fields()[1:]},
        {"models": [model(), model()]},
        {"encoder": None},
        {"provenance": [1]},
        {"files": {}},
    ],
)
def test_an_invalid_manifest_with_matching_digests_is_refused(copied: Path, changes: dict[str, Any]) -> None:
    """With one line."""
    refusal(resealed(copied, **changes))


@pytest.mark.parametrize(
    "name", ["weights.bin", "model.pt", "model.pkl", "run.py", "model.onnx.data", "lib.so", "onnx"]
)
def test_a_manifest_that_lists_an_executable_file_is_refused(copied: Path, name: str) -> None:
    """Only data and documents may be listed; matching digests do not help."""
    listed = manifest_of(copied)["files"]
    (copied / name).write_bytes((copied / "model.onnx").read_bytes())
    assert "damaged or from another release" in refusal(resealed(copied, files=listed | {name: listed["model.onnx"]}))


def test_a_wrong_file_size_is_refused(copied: Path) -> None:
    """Memory is allocated by the declared size, so it is checked first: a declared petabyte allocates nothing."""
    listed = manifest_of(copied)["files"]
    for size in (257, 2**31, 2**50):
        entry = listed["model.onnx"] | {"size": size}
        message = refusal(resealed(copied, files=listed | {"model.onnx": entry}))
        assert "not a regular file of" in message or "from another release" in message


@pytest.mark.parametrize(
    "respelled",
    [
        lambda text: text.replace('"golden_rows": 1,', '"golden_rows": 9,\n "golden_rows": 1,'),
        lambda text: text.replace('"route": 0.9,', '"route": 0.1, "route": 0.9,'),
        lambda text: text.replace('"route": 0.9', '"route": 0.90'),
        lambda text: text.replace('"plain"', '"pl\\u0061in"'),
        lambda text: text + "\n",
        lambda text: json.dumps(json.loads(text)),
    ],
)
def test_only_the_canonical_spelling_of_a_manifest_is_accepted(copied: Path, respelled: Callable[[str], str]) -> None:
    """Another spelling of the same content is refused: parsers read a duplicate key differently."""
    text = (copied / MANIFEST).read_text()
    assert respelled(text) != text
    (copied / MANIFEST).write_text(respelled(text))
    assert "changed after export" in refusal(copied)


@pytest.mark.parametrize("value", ["NaN", "1e999", "[" * 150 + "]" * 150, "1" * 5000, '"\\ud800"'])
def test_provenance_must_be_plain_json(copied: Path, value: str) -> None:
    """Provenance is the only part of the manifest without a schema; other values are refused in one line."""
    content = manifest_of(copied)
    spell(copied, content | {"provenance": {"made_by": "?"}})
    path = copied / MANIFEST
    path.write_text(path.read_text().replace('"?"', value))
    refusal(copied)
