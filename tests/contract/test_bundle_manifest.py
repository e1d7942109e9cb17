"""Manifests that are well sealed or well formed, and refused all the same."""

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


def test_a_bundle_of_the_first_schema_is_refused_with_the_command_that_renews_it(copied: Path) -> None:
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
def test_graphs_that_do_not_go_together_are_refused_with_the_reason(
    copied: Path, models: list[dict[str, Any]], said: str
) -> None:
    assert said in refusal(resealed(copied, models=models))


@pytest.mark.parametrize("name", ["../golden.jsonl", "/etc/hostname", "sub/../model.onnx", "..", "a\x00b", "a\nb", ""])
def test_a_name_that_leaves_the_folder_is_refused(copied: Path, name: str) -> None:
    """A manifest that names a file elsewhere is refused before anything there is touched, however well it is sealed."""
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
def test_a_well_sealed_manifest_that_makes_no_sense_is_refused(copied: Path, changes: dict[str, Any]) -> None:
    """A manifest whose digest agrees but whose content cannot serve is refused with one line."""
    refusal(resealed(copied, **changes))


@pytest.mark.parametrize(
    "name", ["weights.bin", "model.pt", "model.pkl", "run.py", "model.onnx.data", "lib.so", "onnx"]
)
def test_what_could_run_has_no_name_in_a_bundle(copied: Path, name: str) -> None:
    """A manifest that lists anything but data and documents is refused, however well it is sealed."""
    listed = manifest_of(copied)["files"]
    (copied / name).write_bytes((copied / "model.onnx").read_bytes())
    assert "damaged or from another release" in refusal(resealed(copied, files=listed | {name: listed["model.onnx"]}))


def test_a_size_that_is_not_the_files_is_refused(copied: Path) -> None:
    """Memory is set aside by the manifest's word, so its word must be true: a petabyte declared asks for none."""
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
def test_a_manifest_has_one_spelling(copied: Path, respelled: Callable[[str], str]) -> None:
    """The same content written otherwise is refused: a key that stands twice says one thing here and another there."""
    text = (copied / MANIFEST).read_text()
    assert respelled(text) != text
    (copied / MANIFEST).write_text(respelled(text))
    assert "changed after export" in refusal(copied)


@pytest.mark.parametrize("value", ["NaN", "1e999", "[" * 150 + "]" * 150, "1" * 5000, '"\\ud800"'])
def test_provenance_may_not_hold_what_cannot_be_written_back(copied: Path, value: str) -> None:
    """The one part of the manifest without a schema is refused in one line, too, if it is not plain JSON."""
    content = manifest_of(copied)
    spell(copied, content | {"provenance": {"made_by": "?"}})
    path = copied / MANIFEST
    path.write_text(path.read_text().replace('"?"', value))
    refusal(copied)
