"""The manifest's schema and its version id."""

import json
from typing import Any

import pytest
from pydantic import ValidationError

from models.bundle.manifest import Manifest
from models.scoring import Threshold
from tests.support.plain import draft

ENTRY = {"sha256": "0" * 64, "size": 3}
FILES = {"tokenizer.json": ENTRY, "golden.jsonl": ENTRY, "model.onnx": ENTRY}


def manifest(**changes: Any) -> Manifest:
    return Manifest.model_validate({**draft(), "version": "0" * 16, "files": FILES, **changes})


def test_a_manifest_survives_its_json() -> None:
    """What is written is what is read."""
    found = manifest()
    assert Manifest.model_validate_json(found.model_dump_json()) == found


def test_the_version_follows_from_the_content_alone() -> None:
    """Neither the day it was made nor the old version id counts, and the order of the keys neither."""
    base = manifest().expected_version()
    assert manifest(created_at="2030-01-01T00:00:00+00:00", version="f" * 16).expected_version() == base
    assert manifest(files=dict(reversed(FILES.items()))).expected_version() == base


@pytest.mark.parametrize(
    "change",
    [
        {"base_model": "other"},
        {"text_version": 99},
        {"golden_rows": 2},
        {"encoder": {"max_tokens": 31, "pad_id": 2}},
        {"encoder": {"max_tokens": 32, "pad_id": 3}},
        {"models": [{"variant": "fp32", "file": "model.onnx", "tolerance": 0.002}]},
        {"models": [{"variant": "fp32", "file": "model.onnx", "tolerance": 0.001, "instructions": ["avx2"]}]},
        {"provenance": {"made_by": "somebody"}},
        {"files": {**FILES, "model.onnx": {"sha256": "1" * 64, "size": 3}}},
    ],
)
def test_everything_that_decides_an_answer_changes_the_version(change: dict[str, Any]) -> None:
    """Another encoder, file, tolerance or origin is another bundle."""
    assert manifest(**change).expected_version() != manifest().expected_version()


def test_documents_do_not_change_the_version() -> None:
    """A report, model card or figures file, there or not, with whatever digest, leaves the version as it is."""
    documents = dict.fromkeys(("report.html", "metrics.json", "MODEL_CARD.md"), ENTRY)
    assert manifest(files=FILES | documents).expected_version() == manifest().expected_version()


def test_thresholds_and_temperature_change_the_version() -> None:
    """Another threshold or temperature is another bundle."""
    base = manifest().expected_version()
    for place, value in (("temperature", 1.6), ("route", 0.91)):
        fields = json.loads(json.dumps(draft()["fields"]))
        holder = fields[1] if place == "temperature" else fields[1]["labels"][0]
        holder[place] = value
        assert manifest(fields=fields).expected_version() != base


def test_scorings_carry_every_labels_thresholds() -> None:
    """What judges a ticket is what the manifest says, the department first."""
    department, priority = manifest().scorings()
    assert (department.field.name, priority.field.name) == ("department", "priority")
    assert priority.temperature == 1.5
    assert priority.thresholds == (Threshold(0.9, 0.6, False),) * 2


def test_the_scope_is_part_of_the_scoring_and_of_the_version() -> None:
    """A field with a scope refuses what lies below it, and is another bundle."""
    scoped = manifest(**field_with(scope={"score": "centred_energy", "threshold": 1.25, "refused": 0.02}))
    assert [scoring.scope for scoring in scoped.scorings()] == [1.25, None]
    assert scoped.expected_version() != manifest().expected_version()


def field_with(**changes: Any) -> dict[str, Any]:
    fields = draft()["fields"]
    return {"fields": [fields[0] | changes, *fields[1:]]}


def label_with(**changes: Any) -> dict[str, Any]:
    labels = draft()["fields"][0]["labels"]
    return field_with(labels=[labels[0] | changes, *labels[1:]])


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 2},
        {"version": "not hex"},
        {"version": "0" * 16 + "\n"},
        {"created_at": "yesterday\x1b[31m"},
        {"surprise": 1},
        {"golden_rows": 0},
        {"models": []},
        {"models": [{"variant": "fp64", "file": "model.onnx", "tolerance": 0.001}]},
        {"models": [{"variant": "fp32", "file": "other.onnx", "tolerance": 0.001}]},
        {"models": [{"variant": "fp32", "file": "model.onnx", "tolerance": float("inf")}]},
        {"models": [{"variant": "fp32", "file": "model.onnx", "tolerance": 0.001}] * 2},
        {"models": [{"variant": "fp32", "file": "model.onnx", "tolerance": 0.001, "devices": []}]},
        {"models": [{"variant": "fp32", "file": "model.onnx", "tolerance": 0.001, "devices": ["tpu"]}]},
        {"models": [{"variant": "fp32", "file": "model.onnx", "tolerance": 0.001, "instructions": ["a b\n"]}]},
        {"encoder": {"max_tokens": 4, "pad_id": 0}},
        {"encoder": {"max_tokens": 32, "pad_id": -1}},
        {"fields": []},
        {"fields": draft()["fields"][1:]},
        {"fields": [draft()["fields"][0], draft()["fields"][1], draft()["fields"][1]]},
        {"files": {"tokenizer.json": ENTRY, "model.onnx": ENTRY}},
        {"files": {**FILES, "../evil": ENTRY}},
        {"files": {**FILES, "a/b": ENTRY}},
        {"files": {**FILES, ".hidden": ENTRY}},
        {"files": {**FILES, "x\n": ENTRY}},
        {"files": {**FILES, "/etc/passwd": ENTRY}},
        {"files": {**FILES, "x": {"sha256": "A" * 64, "size": 1}}},
        {"files": {**FILES, "x": {"sha256": "a" * 64, "size": -1}}},
        field_with(name="Department"),
        field_with(temperature=0),
        field_with(temperature=float("nan")),
        field_with(temperature=1e-300),
        field_with(labels=draft()["fields"][0]["labels"][:1]),
        field_with(labels=draft()["fields"][0]["labels"][:1] * 2),
        field_with(scope={"score": "centred_energy", "threshold": float("inf"), "refused": 0.02}),
        field_with(scope={"score": "tea leaves", "threshold": 1.0, "refused": 0.02}),
        field_with(promise={**draft()["fields"][0]["promise"], "aim": "luck"}),
        field_with(promise={**draft()["fields"][0]["promise"], "achieved_precision": 1.5}),
        label_with(route=1.5),
        label_with(suggest=float("nan")),
        label_with(name=""),
        label_with(calibration_rows=-1),
    ],
)
def test_a_manifest_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    """Unknown keys, numbers that are none, names that leave the folder, names that stand twice: refused."""
    with pytest.raises(ValidationError):
        manifest(**change)
