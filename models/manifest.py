"""The frozen schema of a bundle's `manifest.json`.

`training` fills it in, `service` reads it; the version id is a digest of everything in it that decides an answer, so
two bundles with one version id are the same bundle.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Constrained

from models.fields import FIELD_NAME, LabelSpace
from models.scoring import FieldScoring, Threshold

SCHEMA_VERSION = 1

FileName = Annotated[str, Constrained(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Sha256 = Annotated[str, Constrained(pattern=r"^[0-9a-f]{64}$")]
Probability = Annotated[float, Constrained(ge=0, le=1, allow_inf_nan=False)]
Moment = Annotated[str, Constrained(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})$")]
Temperature = Annotated[float, Constrained(ge=0.001, le=1000, allow_inf_nan=False)]
"""Far wider than any fit, and narrow enough that dividing a logit by it stays a number."""
Variant = Literal["fp32", "int8", "fp16"]


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileEntry(Frozen):
    """A file of the bundle: its SHA-256 and its size in bytes."""

    sha256: Sha256
    size: Annotated[int, Constrained(ge=0)]


class LabelEntry(Frozen):
    """One label: its thresholds, and on how many calibration rows of its own they rest."""

    name: Annotated[str, Constrained(min_length=1, max_length=200)]
    route: Probability | None
    suggest: Probability | None
    pooled: bool
    calibration_rows: Annotated[int, Constrained(ge=0)]


class Promise(Frozen):
    """What a field's thresholds were set for: at least this precision, with this confidence (both in 0…1)."""

    route_precision: Probability
    suggest_precision: Probability
    confidence: Probability


class FieldEntry(Frozen):
    """A predicted field: its ordered labels, its calibration and its promise."""

    name: Annotated[str, Constrained(pattern=FIELD_NAME)]
    temperature: Temperature
    promise: Promise
    labels: Annotated[tuple[LabelEntry, ...], Constrained(min_length=2)]


class EncoderEntry(Frozen):
    """How texts become token ids. `max_tokens` counts special tokens too."""

    max_tokens: Annotated[int, Constrained(ge=8, le=8192)]
    pad_id: Annotated[int, Constrained(ge=0)]


class ModelEntry(Frozen):
    """One ONNX graph, and how far (absolute, per logit) it may lie from the golden rows' torch logits."""

    variant: Variant
    file: FileName
    tolerance: Annotated[float, Constrained(gt=0, allow_inf_nan=False)]


class Manifest(Frozen):
    """Everything a service must know to answer with a bundle, and everything a person asks about its origin."""

    schema_version: Literal[1]
    version: Annotated[str, Constrained(pattern=r"^[0-9a-f]{16}$")]
    created_at: Moment
    text_version: int
    base_model: str
    encoder: EncoderEntry
    fields: Annotated[tuple[FieldEntry, ...], Constrained(min_length=1)]
    models: Annotated[tuple[ModelEntry, ...], Constrained(min_length=1)]
    golden_rows: Annotated[int, Constrained(ge=1)]
    provenance: Mapping[str, Any]
    files: Mapping[FileName, FileEntry]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """The label space can be laid out, nothing stands twice, and every file spoken of is one it lists."""
        self.label_space()
        for names in ([field.name for field in self.fields], [model.variant for model in self.models]):
            if len(set(names)) != len(names):
                raise ValueError("a field or a variant stands twice")
        for name in ("tokenizer.json", "golden.jsonl", *(model.file for model in self.models)):
            if name not in self.files:
                raise ValueError(f"{name} is not among the manifest's files")
        return self

    def label_space(self) -> LabelSpace:
        return LabelSpace.of({field.name: [label.name for label in field.labels] for field in self.fields})

    def scorings(self) -> tuple[FieldScoring, ...]:
        """How each field's logits are judged, the department's first."""
        return scorings_of(self.label_space(), self.fields)

    def expected_version(self) -> str:
        """The version id this manifest's content gives: 16 hex digits of a SHA-256.

        `created_at` is left out, so that the same inputs give the same version on another day.
        """
        content = self.model_dump(mode="json", exclude={"version", "created_at"})
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def scorings_of(space: LabelSpace, entries: Sequence[FieldEntry]) -> tuple[FieldScoring, ...]:
    """How each field's logits are judged, the department's first."""
    return tuple(
        FieldScoring(
            field,
            entry.temperature,
            tuple(Threshold(label.route, label.suggest, label.pooled) for label in entry.labels),
        )
        for field, entry in zip(space, entries, strict=True)
    )
