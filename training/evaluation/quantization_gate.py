"""Smaller and faster graphs beside fp32: each is written and compared with fp32 on closed tickets; it ships if it
passes.

`export.int8` and `export.fp16` write the graphs; `run.write_bundle` puts the passed graphs into the bundle, and every
figure into the record. Timings decide nothing: whether a graph ships must not depend on other load on the machine.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Device, Frozen, ModelEntry, Variant
from models.encoding import Encoder, Encoding
from models.scoring import FieldScoring, Logits
from training.evaluation.metrics import FieldFigures, field_figures
from training.export.fp16 import write_fp16
from training.export.int8 import FULL, REDUCED, write_int8
from training.export.onnx import PARITY_TOLERANCE, OnnxModel, outcomes
from training.recipe import ExportRecipe

ECE_GROWTH = 0.01
VNNI = ("amx_int8", "asimddp", "avx512_vnni", "avx_vnni")
"""A processor with any of these instructions adds products of 8 bits without saturation."""
_TIMED_ROWS = 30
_ROUNDS = 3
_TOLERANCE_MARGIN = 1.5
"""Factor on the tolerance of golden rows: they are a sample of the measured rows, and processors round differently."""


class VariantFigures(Frozen):
    """One graph compared with fp32 on the validation rows."""

    variant: str
    passed: bool
    why: str
    """The reason why it ships, or why not."""
    megabytes: float
    accuracy_loss: float
    """Loss of accuracy relative to fp32 (0…1), the worst field's."""
    agreement: float
    """Share of the rows with the same verdict as fp32, the worst field's."""
    ece: float
    """Calibration error with fp32's temperature, the worst field's."""
    speedup: float | None
    """Speed relative to fp32 per ticket on one core, measured at export; None: not made for a CPU."""


@dataclass(frozen=True, slots=True)
class AnsweredRows:
    """Closed tickets with fp32's answers: labels [rows, fields], logits [rows, labels of all fields]."""

    encodings: Sequence[Encoding]
    labels: NDArray[np.int64]
    logits: Logits


@dataclass(frozen=True, slots=True)
class Reference:
    """The fp32 graph, and the rows for comparing other graphs with it. `promised` is each field's route precision.

    Quality is judged on the validation rows. The calibration rows, which set the thresholds, show whether the guarantee
    also holds with the variant's logits.
    """

    onnx: Path
    encoder: Encoder
    scorings: Sequence[FieldScoring]
    promised: Mapping[str, float]
    validation: AnsweredRows
    calibration: AnsweredRows


@dataclass(frozen=True, slots=True)
class Variants:
    """The variants that ship: manifest entries, files, validation logits for the golden rows; and all figures."""

    entries: tuple[ModelEntry, ...]
    files: Mapping[str, Path]
    logits: tuple[Logits, ...]
    figures: tuple[VariantFigures, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    variant: Variant
    what: str
    write: Callable[[Path, Path], None]
    devices: tuple[Device, ...]
    instructions: tuple[str, ...] = ()

    @property
    def file(self) -> str:
        return f"model.{self.variant}.onnx"


_CANDIDATES = (
    _Candidate("int8", "7-bit weights", partial(write_int8, largest_weight=REDUCED), ("cpu",), (*VNNI, "avx2")),
    _Candidate("int8", "8-bit weights", partial(write_int8, largest_weight=FULL), ("cpu",), VNNI),
    _Candidate(
        "int8",
        "8-bit weights, the upper layers' narrowing products in fp32",
        partial(write_int8, largest_weight=FULL, exact_share=1 / 3),
        ("cpu",),
        VNNI,
    ),
    _Candidate("fp16", "half precision", write_fp16, ("cuda",)),
)
"""In the order of trial; of each variant, the first one that passes ships. With 7 bits every processor computes the
same. 8 bits are more exact, but need VNNI. fp32 for a part of the layers is the most exact, and less fast."""


def make_variants(reference: Reference, recipe: ExportRecipe, folder: Path) -> Variants:
    """Write every variant of the recipe into `folder`, and decide which ones ship.

    A graph that cannot be converted or run is a failed variant, not an error: the bundle still has fp32.
    """
    wanted = {"int8": recipe.int8, "fp16": recipe.fp16}
    figures: list[VariantFigures] = []
    shipped: dict[str, tuple[ModelEntry, Logits]] = {}
    for candidate in _CANDIDATES:
        if wanted[candidate.variant] and candidate.variant not in shipped:
            path = folder / candidate.file
            found, logits = _tried(candidate, path, reference, recipe)
            figures.append(found)
            if found.passed:
                shipped[candidate.variant] = (_entry(candidate, reference.validation.logits, logits), logits)
    return Variants(
        entries=tuple(entry for entry, _ in shipped.values()),
        files={entry.file: folder / entry.file for entry, _ in shipped.values()},
        logits=tuple(logits for _, logits in shipped.values()),
        figures=tuple(figures),
    )


def _tried(
    candidate: _Candidate, path: Path, reference: Reference, recipe: ExportRecipe
) -> tuple[VariantFigures, Logits]:
    try:
        candidate.write(reference.onnx, path)
        served = OnnxModel.load(path.read_bytes(), reference.encoder)
        validation = served.logits(reference.validation.encodings)
        calibration = served.logits(reference.calibration.encodings)
    except Exception as error:  # onnx, onnxruntime and its converters raise many types for an unusual encoder
        return _failed(
            candidate, f"cannot be made of this encoder ({type(error).__name__})"
        ), reference.validation.logits
    if not (np.isfinite(validation).all() and np.isfinite(calibration).all()):
        return _failed(candidate, "gives logits that are no numbers"), validation
    fields = _fields(reference.validation, validation, reference.scorings)
    promises = _fields(reference.calibration, calibration, reference.scorings)
    agreement = agreement_of(reference.validation.logits, validation, reference.scorings)
    faults = [*quality_faults(fields, agreement, recipe), *promise_faults(promises, reference.promised)]
    return VariantFigures(
        variant=candidate.variant,
        passed=not faults,
        why=f"{candidate.what}: {'; '.join(faults) or 'passed every gate'}",
        megabytes=path.stat().st_size / 1e6,
        accuracy_loss=max((before.accuracy - after.accuracy for before, after in fields.values()), default=0.0),
        agreement=agreement,
        ece=max((after.ece for _, after in fields.values()), default=0.0),
        speedup=_speedup(path, reference) if "cpu" in candidate.devices else None,
    ), validation


def _failed(candidate: _Candidate, why: str) -> VariantFigures:
    return VariantFigures(
        variant=candidate.variant, passed=False, why=f"{candidate.what}: {why}", megabytes=0.0, accuracy_loss=1.0,
        agreement=0.0, ece=1.0, speedup=None,
    )  # fmt: skip


_Pair = tuple[FieldFigures, FieldFigures]
"""fp32's and the variant's figures."""


def _fields(rows: AnsweredRows, logits: Logits, scorings: Sequence[FieldScoring]) -> dict[str, _Pair]:
    """Both graphs' figures by field, for fields with labels."""
    found = {}
    for column, scoring in enumerate(scorings):
        before = field_figures(rows.logits, rows.labels[:, column], scoring)
        after = field_figures(logits, rows.labels[:, column], scoring)
        if before is not None and after is not None:
            found[scoring.field.name] = (before, after)
    return found


def agreement_of(before: Logits, after: Logits, scorings: Sequence[FieldScoring]) -> float:
    """Share of the rows with the same outcome and answer, in the field with the lowest share."""
    pairs = zip(before, after, strict=True)
    same = [[a == b for a, b in zip(outcomes(x, scorings), outcomes(y, scorings), strict=True)] for x, y in pairs]
    return float(np.mean(same, axis=0).min())


def quality_faults(fields: Mapping[str, _Pair], agreement: float, recipe: ExportRecipe) -> Iterator[str]:
    """The reasons why a variant fails on the validation rows."""
    for name, (before, after) in fields.items():
        loss = before.accuracy - after.accuracy
        if loss > recipe.accuracy_loss:
            yield f"{name}: {100 * loss:.1f} points of accuracy lost, allowed are {100 * recipe.accuracy_loss:.1f}"
        if after.ece > before.ece + ECE_GROWTH:
            yield f"{name}: calibration error {after.ece:.3f}, fp32 has {before.ece:.3f}"
    if agreement < recipe.agreement:
        yield f"agrees with {agreement:.1%} of the verdicts, {recipe.agreement:.1%} are asked for"


def promise_faults(fields: Mapping[str, _Pair], promised: Mapping[str, float]) -> Iterator[str]:
    """Fields whose guaranteed precision is not proven with the variant's logits on the calibration rows.

    Thresholds were set on fp32's logits. The variant's bound must reach the target precision (or fp32's own bound, if
    that
    is lower: guarantees per label do not add up to one for all labels).
    """
    for name, (before, after) in fields.items():
        low, own = after.outcomes.route_precision_low, before.outcomes.route_precision_low
        if low is not None and low < min(promised[name], 1.0 if own is None else own):
            yield f"{name}: what it routes is proven right to {low:.1%} only, {promised[name]:.1%} are promised"


def _entry(candidate: _Candidate, expected: Logits, logits: Logits) -> ModelEntry:
    apart = max(PARITY_TOLERANCE, _TOLERANCE_MARGIN * float(np.abs(expected - logits).max()))
    step = 10.0 ** (math.floor(math.log10(apart)) - 1)  # two digits, so that rounding elsewhere gives the same entry
    return ModelEntry(
        variant=candidate.variant,
        file=candidate.file,
        tolerance=round(math.ceil(apart / step) * step, 6),
        devices=candidate.devices,
        instructions=candidate.instructions,
    )


def _speedup(path: Path, reference: Reference) -> float:
    """The median ratio of fp32's time to the variant's over some rows, short to long, each alone on one thread."""
    graphs = [OnnxModel.load(graph.read_bytes(), reference.encoder, threads=1) for graph in (reference.onnx, path)]
    rows = sorted(reference.validation.encodings, key=lambda row: len(row.ids))
    chosen = rows[:: max(1, len(rows) // _TIMED_ROWS)]
    ratios = []
    for row in [chosen[0], *chosen * _ROUNDS]:
        slow, fast = (_seconds(graph, row) for graph in graphs)
        ratios.append(slow / fast)
    return round(median(ratios[1:]), 2)  # the first run warms up


def _seconds(graph: OnnxModel, row: Encoding) -> float:
    """Processor time, not wall-clock time: other load on the machine does not count."""
    batch = graph.encoder.batch([row])
    begin = time.thread_time()
    graph.infer(batch)
    return time.thread_time() - begin
