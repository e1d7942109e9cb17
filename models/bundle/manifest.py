"""The frozen schema of a bundle's `manifest.json`.

`training` fills it in, `service` reads it; the version id is a digest of everything in it that decides an answer, so
two bundles with one version id are the same bundle.
"""

import hashlib
import json
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, model_validator
from pydantic import Field as Constrained

from models.fields import FIELD_NAME, Field, LabelSpace
from models.scoring import FieldScoring, Scope, Threshold
from models.text.script import Script

SCHEMA_VERSION = 2

FileName = Annotated[str, Constrained(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
ListedName = Annotated[str, Constrained(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,92}\.(json|jsonl|onnx|md|html)$")]
"""A file of a bundle: data or a document. Formats that can run code when loaded (pickle, `.pt`, `.py`) are refused."""
Sha256 = Annotated[str, Constrained(pattern=r"^[0-9a-f]{64}$")]
Finite = Annotated[float, Constrained(allow_inf_nan=False)]
Probability = Annotated[float, Constrained(ge=0, le=1, allow_inf_nan=False)]
Moment = Annotated[str, Constrained(pattern=r"^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(Z|[+-]\d{2}:\d{2})$")]
Temperature = Annotated[float, Constrained(ge=0.001, le=1000, allow_inf_nan=False)]
"""Far wider than any fit, and narrow enough that dividing a logit by it stays a number."""
Tolerance = Annotated[float, Constrained(gt=0, allow_inf_nan=False)]
Variant = Literal["fp32", "int8", "fp16"]
Device = Literal["cpu", "cuda"]
Instructions = Annotated[str, Constrained(pattern=r"^[a-z0-9_]{1,32}$")]
"""A set of processor instructions as Linux names it, e.g. `avx512_vnni`."""


class Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class FileEntry(Frozen):
    """A file of the bundle: its SHA-256 and its size in bytes, at most what one ONNX file can hold."""

    sha256: Sha256
    size: Annotated[int, Constrained(ge=0, le=2**31)]


class LabelEntry(Frozen):
    """One label: its thresholds, and on how many calibration rows of its own they rest."""

    name: Annotated[str, Constrained(min_length=1, max_length=200)]
    route: Probability | None
    suggest: Probability | None
    pooled: bool
    calibration_rows: Annotated[int, Constrained(ge=0)]


PromiseKind = Literal["exact", "measured"]


class Promise(Frozen):
    """The precision asked of a field's thresholds, and the one measured on the calibration rows; all values in 0…1.

    With `aim` cost the thresholds follow from minutes, and `route_precision` was asked for but is not promised.
    """

    kind: PromiseKind = "exact"
    """exact: the served model answered rows that it had not learned from, so the test of its thresholds holds for any
    data; measured: the models of the folds answered, and their mean is served."""
    aim: Literal["precision", "cost"] = "precision"
    per_label: Literal["auto", "strict", "off"] = "auto"
    route_precision: Probability
    suggest_precision: Probability
    confidence: Probability
    achieved_coverage: Probability | None = None
    """Share of the calibration rows that is routed."""
    achieved_precision: Probability | None = None
    """Of those, the share that is right: slightly optimistic, because the same rows set the thresholds."""
    achieved_precision_low: Probability | None = None
    """Proven with `confidence`: the precision asked for, or in cost mode the bound. None: nothing is routed."""


class Scale(Frozen):
    """Mean and standard deviation of a score on ordinary mail."""

    mean: Finite
    deviation: Annotated[float, Constrained(gt=0, allow_inf_nan=False)]


class ScopeEntry(Frozen):
    """The bounds below which a ticket goes to review because it is unlike the training rows.

    `language`: the lowest familiarity of the wordpieces. `threshold`: the lowest sum of similarity and energy, each in
    standard deviations from its mean. At most the share `refused` of the validation rows is below either.
    """

    language: Finite
    similarity: Scale
    energy: Scale
    threshold: Finite
    refused: Probability

    def bounds(self) -> Scope:
        similarity, energy = ((scale.mean, scale.deviation) for scale in (self.similarity, self.energy))
        return Scope(self.language, similarity, energy, self.threshold)


class FieldEntry(Frozen):
    """A predicted field: its ordered labels, its calibration, its scope (None: every ticket) and its promise."""

    name: Annotated[str, Constrained(pattern=FIELD_NAME)]
    temperature: Temperature
    scope: ScopeEntry | None = None
    promise: Promise
    labels: Annotated[tuple[LabelEntry, ...], Constrained(min_length=2)]

    def scoring(self, field: Field) -> FieldScoring:
        """How the field's logits are judged; `field` says where they lie."""
        thresholds = tuple(Threshold(label.route, label.suggest, label.pooled) for label in self.labels)
        return FieldScoring(field, self.temperature, thresholds, self.scope.bounds() if self.scope else None)


Count = Annotated[int, Constrained(ge=0)]


class Bins(Frozen):
    """How many rows had a number below the first edge, from each edge up to the next, and from the last one on."""

    edges: tuple[Finite, ...]
    counts: tuple[Count, ...]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.counts) != len(self.edges) + 1 or list(self.edges) != sorted(set(self.edges)):
            raise ValueError("bins need rising edges and one count more than edges")
        return self


class Reference(Frozen):
    """What a graph said of the rows that stand for future mail: drift is measured against these counts.

    `labels`: by field, how often each label was the likeliest, in the field's order. `confidence`: of the department's
    likeliest label. `length`: in tokens. `familiarity`: of the wordpieces; None: the graph has no such score.
    """

    rows: Annotated[int, Constrained(ge=1)]
    labels: Mapping[Annotated[str, Constrained(pattern=FIELD_NAME)], tuple[Count, ...]]
    confidence: Bins
    length: Bins
    scripts: Mapping[Script, Count]
    familiarity: Bins | None


class EncoderEntry(Frozen):
    """How texts become token ids, and the width of the pooled vector. `max_tokens` counts special tokens too."""

    max_tokens: Annotated[int, Constrained(ge=8, le=8192)]
    pad_id: Annotated[int, Constrained(ge=0)]
    width: Annotated[int, Constrained(ge=1, le=65536)]


class ModelEntry(Frozen):
    """One ONNX graph: its own calibration, its distance from torch on the golden rows, and what it suits."""

    variant: Variant
    file: ListedName
    tolerance: Tolerance
    """Largest absolute difference of a logit from the golden rows' torch logits."""
    pooled_tolerance: Tolerance
    """Likewise of a number of the pooled vector."""
    devices: Annotated[tuple[Device, ...], Constrained(min_length=1)] = ("cpu", "cuda")
    instructions: tuple[Instructions, ...] = ()
    """On a CPU, one of these must be there for sound and fast answers; empty: any processor will do."""
    fields: Annotated[tuple[FieldEntry, ...], Constrained(min_length=1)]
    """Temperatures, scope, thresholds and promises of this graph's logits; the department's first."""
    reference: Reference | None = Constrained(default=None, exclude_if=lambda reference: reference is None)
    """None: a bundle of before there was one. Left out of the JSON then, whose form decides the version."""

    @model_validator(mode="after")
    def _reference_fits(self) -> Self:
        if self.reference is not None and {name: len(counts) for name, counts in self.reference.labels.items()} != {
            field.name: len(field.labels) for field in self.fields
        }:
            raise ValueError(f"{self.file}: its reference is of other fields or labels")
        return self

    def suits(self, device: str, instructions: Collection[str]) -> bool:
        """Whether it is made for this device, and for a processor with these instructions."""
        return device in self.devices and (device != "cpu" or self.suits_processor(instructions))

    def suits_processor(self, instructions: Collection[str]) -> bool:
        return not self.instructions or not set(self.instructions).isdisjoint(instructions)

    def label_space(self) -> LabelSpace:
        return LabelSpace.of({field.name: [label.name for label in field.labels] for field in self.fields})

    def scorings(self) -> tuple[FieldScoring, ...]:
        """How each field's logits of this graph are judged, the department's first."""
        return scorings_of(self.label_space(), self.fields)


class Manifest(Frozen):
    """All that a service needs to answer with a bundle, and the bundle's origin."""

    schema_version: Literal[2]
    version: Annotated[str, Constrained(pattern=r"^[0-9a-f]{16}$")]
    created_at: Moment
    text_version: int
    base_model: str
    encoder: EncoderEntry
    models: Annotated[tuple[ModelEntry, ...], Constrained(min_length=1)]
    golden_rows: Annotated[int, Constrained(ge=1)]
    provenance: Mapping[str, Any]
    files: Mapping[ListedName, FileEntry]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        """Check: one fp32 graph; the same labels in all graphs; no field, file, or variant for a processor repeated;
        every named file listed."""
        if sum(model.variant == "fp32" for model in self.models) != 1:
            raise ValueError("one graph, and only one, must be the fp32 one")
        names = [field.name for field in self.fields]
        if len(set(names)) != len(names):
            raise ValueError("a field stands twice")
        space = self.label_space()
        suited: set[tuple[str, str]] = set()
        for model in self.models:
            if model.label_space() != space:
                raise ValueError(f"{model.file} has other fields or labels than the fp32 graph")
            suits = {(model.variant, each) for each in model.instructions or ("any processor",)}
            if not suited.isdisjoint(suits):
                raise ValueError(f"two {model.variant} graphs are for the same processors")
            suited |= suits
        if len({model.file for model in self.models}) != len(self.models):
            raise ValueError("two graphs have the same file")
        if missing := sorted(self.deciding_files - set(self.files)):
            raise ValueError(f"{missing[0]} is not among the manifest's files")
        return self

    @property
    def deciding_files(self) -> frozenset[str]:
        """The files that decide an answer. The others are documents and what explains an answer: verified too, but not
        part of the version."""
        return frozenset({"tokenizer.json", "golden.jsonl", *(model.file for model in self.models)})

    @property
    def fields(self) -> tuple[FieldEntry, ...]:
        """The fp32 graph's fields: what the bundle predicts. Another graph's logits are judged by its own entry."""
        return next(model for model in self.models if model.variant == "fp32").fields

    def label_space(self) -> LabelSpace:
        return LabelSpace.of({field.name: [label.name for label in field.labels] for field in self.fields})

    def to_json(self) -> bytes:
        """The content of `manifest.json` in its canonical form, the only form that `open_bundle` accepts."""
        return json.dumps(self.model_dump(mode="json"), indent=1, ensure_ascii=False).encode()

    def expected_version(self) -> str:
        """The version id this manifest's content gives: 16 hex digits of a SHA-256.

        `created_at` and the digests of documents (report, model card, figures) are left out: documents contain timings,
        and the same inputs must give the same version on another day.
        """
        content = self.model_dump(mode="json", exclude={"version", "created_at"})
        content["files"] = {name: entry for name, entry in content["files"].items() if name in self.deciding_files}
        canonical = json.dumps(content, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def scorings_of(space: LabelSpace, entries: Sequence[FieldEntry]) -> tuple[FieldScoring, ...]:
    """How each field's logits are judged, the department's first."""
    return tuple(entry.scoring(field) for field, entry in zip(space, entries, strict=True))
