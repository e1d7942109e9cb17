"""The manifest's schema and its version id."""

from typing import Any

import pytest
from pydantic import ValidationError

from models.bundle.manifest import Manifest
from models.scoring import Scope, Threshold
from tests.support.plain import draft, fields, model

ENTRY = {"sha256": "0" * 64, "size": 3}
SCOPE = {
    "language": -6.0,
    "similarity": {"mean": 0.8, "deviation": 0.1},
    "energy": {"mean": 3.0, "deviation": 0.5},
    "threshold": -4.25,
    "refused": 0.02,
}
REFERENCE: dict[str, Any] = {
    "rows": 20,
    "labels": {"department": (10, 6, 4), "priority": (20, 0)},
    "confidence": {"edges": (0.5,), "counts": (12, 8)},
    "length": {"edges": (), "counts": (20,)},
    "scripts": {"latin": 19, "none": 1},
    "familiarity": None,
}
FILES = {"tokenizer.json": ENTRY, "golden.jsonl": ENTRY, "model.onnx": ENTRY}


def manifest(**changes: Any) -> Manifest:
    return Manifest.model_validate({**draft(), "version": "0" * 16, "files": FILES, **changes})


def test_a_manifest_survives_its_json() -> None:
    """Reading its JSON gives an equal manifest."""
    found = manifest()
    assert Manifest.model_validate_json(found.model_dump_json()) == found


def test_a_reference_survives_its_json_and_a_bundle_without_one_names_none() -> None:
    """A manifest of before there was one keeps its JSON, and so its version."""
    found = manifest(models=[model(reference=REFERENCE)])
    assert Manifest.model_validate_json(found.to_json()) == found
    assert found.expected_version() != manifest().expected_version()
    assert b"reference" not in manifest().to_json()


@pytest.mark.parametrize(
    "change",
    [
        {"labels": {"department": (10, 6, 4)}},
        {"labels": {"department": (10, 10), "priority": (20, 0)}},
        {"confidence": {"edges": (0.5, 0.5), "counts": (1, 2, 3)}},
        {"confidence": {"edges": (0.5, 0.4), "counts": (1, 2, 3)}},
        {"confidence": {"edges": (0.5,), "counts": (1, 2, 3)}},
        {"scripts": {"latin": -1}},
        {"scripts": {"runes": 1}},
        {"rows": 0},
    ],
)
def test_a_reference_that_does_not_fit_is_refused(change: dict[str, Any]) -> None:
    """Other fields or labels, falling edges, counts without a bin, an unknown script."""
    with pytest.raises(ValidationError):
        manifest(models=[model(reference=REFERENCE | change)])


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
        {"encoder": {"max_tokens": 31, "pad_id": 2, "width": 4}},
        {"encoder": {"max_tokens": 32, "pad_id": 3, "width": 4}},
        {"encoder": {"max_tokens": 32, "pad_id": 2, "width": 5}},
        {"models": [model(tolerance=0.002)]},
        {"models": [model(pooled_tolerance=0.002)]},
        {"models": [model(instructions=["avx2"])]},
        {"provenance": {"made_by": "another"}},
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
        changed = fields()
        holder = changed[1] if place == "temperature" else changed[1]["labels"][0]
        holder[place] = value
        assert manifest(models=[model(fields=changed)]).expected_version() != base


def test_scorings_carry_every_labels_thresholds() -> None:
    """Scorings have the manifest's temperatures and thresholds, the department's first."""
    department, priority = manifest().models[0].scorings()
    assert (department.field.name, priority.field.name) == ("department", "priority")
    assert priority.temperature == 1.5
    assert priority.thresholds == (Threshold(0.9, 0.6, False),) * 2


def test_the_scope_is_part_of_the_scoring_and_of_the_version() -> None:
    """A field with a scope refuses what lies below it, and is another bundle."""
    scoped = manifest(**field_with(scope=SCOPE))
    expected = Scope(-6.0, (0.8, 0.1), (3.0, 0.5), -4.25)
    assert [scoring.scope for scoring in scoped.models[0].scorings()] == [expected, None]
    assert scoped.expected_version() != manifest().expected_version()


def field_with(**changes: Any) -> dict[str, Any]:
    first, *further = fields()
    return {"models": [model(fields=[first | changes, *further])]}


def label_with(**changes: Any) -> dict[str, Any]:
    labels = fields()[0]["labels"]
    return field_with(labels=[labels[0] | changes, *labels[1:]])


@pytest.mark.parametrize(
    "change",
    [
        {"schema_version": 1},
        {"schema_version": 3},
        {"version": "not hex"},
        {"version": "0" * 16 + "\n"},
        {"created_at": "yesterday\x1b[31m"},
        {"surprise": 1},
        {"golden_rows": 0},
        {"models": []},
        {"models": [model(variant="fp64")]},
        {"models": [model(variant="int8")]},
        {"models": [model(file="other.onnx")]},
        {"models": [model(tolerance=float("inf"))]},
        {"models": [model(pooled_tolerance=0)]},
        {"models": [model(devices=[])]},
        {"models": [model(devices=["tpu"])]},
        {"models": [model(instructions=["a b\n"])]},
        {"models": [model(), model()]},
        {"models": [model(), model(variant="int8")]},
        {"encoder": {"max_tokens": 4, "pad_id": 0, "width": 4}},
        {"encoder": {"max_tokens": 32, "pad_id": -1, "width": 4}},
        {"encoder": {"max_tokens": 32, "pad_id": 2, "width": 0}},
        {"encoder": {"max_tokens": 32, "pad_id": 2}},
        {"fields": fields()},
        {"models": [model(fields=[])]},
        {"models": [model(fields=fields()[1:])]},
        {"models": [model(fields=[*fields(), fields()[1]])]},
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
        field_with(labels=fields()[0]["labels"][:1]),
        field_with(labels=fields()[0]["labels"][:1] * 2),
        field_with(scope={**SCOPE, "threshold": float("inf")}),
        field_with(scope={**SCOPE, "energy": {"mean": 0.0, "deviation": 0.0}}),
        field_with(promise={**fields()[0]["promise"], "aim": "luck"}),
        field_with(promise={**fields()[0]["promise"], "achieved_precision": 1.5}),
        label_with(route=1.5),
        label_with(suggest=float("nan")),
        label_with(name=""),
        label_with(calibration_rows=-1),
    ],
)
def test_a_manifest_out_of_bounds_is_refused(change: dict[str, Any]) -> None:
    """Unknown keys, NaN, names outside the folder and repeated names are refused."""
    with pytest.raises(ValidationError):
        manifest(**change)


GRAPHS = {**FILES, "a.onnx": ENTRY, "b.onnx": ENTRY}


def int8(file: str, *instructions: str, **changes: Any) -> dict[str, Any]:
    return model(variant="int8", file=file, instructions=list(instructions), **changes)


def test_a_variant_may_have_a_graph_for_each_instruction_set() -> None:
    found = manifest(models=[model(), int8("a.onnx", "avx512_vnni"), int8("b.onnx", "avx2")], files=GRAPHS)
    assert [entry.file for entry in found.models] == ["model.onnx", "a.onnx", "b.onnx"]


@pytest.mark.parametrize("instructions", [("avx2",), ("avx2", "avx512_vnni")])
def test_two_graphs_of_a_variant_for_the_same_processor_are_refused(instructions: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError, match="two int8 graphs are for the same processors"):
        manifest(models=[model(), int8("a.onnx", "avx2"), int8("b.onnx", *instructions)], files=GRAPHS)


def test_a_graph_with_other_labels_is_refused() -> None:
    """Other names and another order, too."""
    for spoil in (lambda labels: labels[::-1], lambda labels: [labels[0] | {"name": "other"}, *labels[1:]]):
        first, *further = fields()
        other = [first | {"labels": spoil(first["labels"])}, *further]
        with pytest.raises(ValidationError, match=r"a\.onnx has other fields or labels than the fp32 graph"):
            manifest(models=[model(), int8("a.onnx", "avx2", fields=other)], files=GRAPHS)


def test_the_fields_of_a_bundle_are_the_fp32_graphs() -> None:
    warmer = [field | {"temperature": 3.0} for field in fields()]
    found = manifest(models=[int8("a.onnx", fields=warmer), model()], files=GRAPHS)
    assert [field.temperature for field in found.fields] == [1.5, 1.5]
    assert [scoring.temperature for scoring in found.models[0].scorings()] == [3.0, 3.0]
