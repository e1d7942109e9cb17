"""A bundle with findings of training: the tiny one has none."""

import json
from pathlib import Path
from typing import Any

from models.bundle.bundle import open_bundle, write_bundle
from training.calibration.precision_curve import TargetFigures
from training.evaluation.business_impact import CaseCounts, effect_of
from training.recipe import EffectRecipe

TARGETS = (
    TargetFigures(target=0.80, coverage=0.9, precision=0.85),
    TargetFigures(target=0.90, coverage=0.7, precision=0.93),
    TargetFigures(target=0.95, coverage=0.5, precision=0.97),
    TargetFigures(target=0.99, coverage=0.0, precision=None),
)
EFFECT = EffectRecipe(tickets_per_week=2000, triage_minutes=4.0, misroute_minutes=30.0, manual_precision=0.8)


def metrics_json(**changes: Any) -> bytes:
    """As `training.evaluation.record.Record` is written, with the parts that the desk reads."""
    cases = CaseCounts(routed_right=60, routed_wrong=10, suggested=10, reviewed=20)
    content = {
        "targets": {"department": [each.model_dump(mode="json") for each in TARGETS]},
        "rows": {"train": 800, "validation": 100, "calibration": 100, "test": 200},
        "effect": effect_of(cases, EFFECT).model_dump(mode="json"),
    }
    return json.dumps(content | changes).encode()


def with_metrics(bundle: Path, store: Path, metrics: bytes) -> Path:
    """A copy of the bundle in `store`, with this `metrics.json`."""
    manifest = open_bundle(bundle).manifest
    draft = manifest.model_dump(mode="json", exclude={"version", "files"})
    files: dict[str, bytes | Path] = {name: bundle / name for name in manifest.files}
    return write_bundle(store, draft, files | {"metrics.json": metrics})
