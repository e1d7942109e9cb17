"""Smaller and faster graphs beside fp32: each is written, calibrated on its own and compared with fp32 on closed
tickets. It ships unless its accuracy is shown to be lower.

`export.int8` and `export.fp16` write the graphs; `run.write_bundle` puts those that ship into the bundle, and every
figure into the record. Timings decide nothing: whether a graph ships must not depend on other load on the machine.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from types import MappingProxyType
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from models.bundle.manifest import Device, FieldEntry, Frozen, ModelEntry, Promise, PromiseKind, Variant, scorings_of
from models.encoding import Encoder
from models.fields import LabelSpace
from models.processor import instructions
from models.scoring import FieldScoring, Logits, Outputs
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored
from training.data.prepared import MISSING
from training.evaluation.intervals import Estimate, paired_loss
from training.evaluation.metrics import field_figures
from training.export.fp16 import write_fp16
from training.export.golden_rows import Answers
from training.export.int8 import FULL, REDUCED, write_int8
from training.export.ngram_nodes import add_ngrams
from training.export.novelty_nodes import add_novelty
from training.export.onnx import PARITY_TOLERANCE, POOLED_TOLERANCE, OnnxModel, outcomes
from training.export.reference import reference_of
from training.learn.linear.ngrams import NgramModel
from training.learn.linear.novelty import Novelty
from training.learn.rows import EncodedExamples
from training.recipe import Recipe

VNNI = ("amx_int8", "asimddp", "avx512_vnni", "avx_vnni")
"""A processor with any of these instructions adds products of 8 bits without saturation."""
AVX2 = ("avx2",)
_TIMED_ROWS = 30
_ROUNDS = 3
_TOLERANCE_MARGIN = 1.5
"""Factor on the tolerances of golden rows: they are a sample of the measured rows, and processors round differently."""


class FieldLoss(Frozen):
    """The accuracy that a graph loses in one field, over the validation and calibration rows that have a label."""

    field: str
    rows: int
    loss: Estimate
    """In 0…1, relative to fp32; negative: a gain."""
    verdict: Literal["passes", "not enough rows to tell", "fails"]
    """fails: the whole interval is above the allowance; passes: none of it is."""


class VariantFigures(Frozen):
    """One graph compared with fp32. A figure is None where the graph was not tried or could not be made."""

    variant: Variant
    what: str
    """Its difference from other graphs of the variant, e.g. its weights' bits."""
    file: str
    instructions: tuple[str, ...]
    ships: bool
    why: str
    """The reason why it ships, or why not."""
    megabytes: float | None = None
    loss: FieldLoss | None = None
    """Of the field that decides: the worst one."""
    promises: Mapping[str, Promise] = {}
    """By field: what the graph's own thresholds promise and route, on the calibration rows."""
    agreement: float | None = None
    """Share of the validation rows with the same verdict as fp32, the worst field's. For information."""
    ece: float | None = None
    """Calibration error on the validation rows with the graph's own temperature, the worst field's. For information."""
    speedup: float | None = None
    """Speed relative to fp32 per ticket on one core, measured at export; None, too: not made for a CPU."""


def own_logits(_: str, outputs: Outputs) -> Logits:
    return outputs.logits


@dataclass(frozen=True, slots=True)
class Reference:
    """The fp32 graph and its calibration, and the rows for comparing other graphs with it.

    Variants are written from `network`, the fp32 graph without n-grams and novelty scores: these are added in fp32.
    `rows` are the validation and calibration rows, `logits` are fp32's for them; `served` are fp32's own outputs for
    the validation rows. `judge` turns a graph's outputs for a part into the logits that calibrate it: its own, or those
    of folds.
    """

    onnx: Path
    network: Path
    ngrams: NgramModel | None
    novelty: Novelty | None
    encoder: Encoder
    space: LabelSpace
    entries: tuple[FieldEntry, ...]
    rows: Mapping[str, EncodedExamples]
    logits: Mapping[str, Logits]
    served: Outputs
    kind: PromiseKind
    recipe: Recipe
    judge: Callable[[str, Outputs], Logits] = own_logits


@dataclass(frozen=True, slots=True)
class Variants:
    """The variants that ship: manifest entries, files, answers to the validation rows; and the figures of all."""

    entries: tuple[ModelEntry, ...]
    files: Mapping[str, Path]
    answers: tuple[Answers, ...]
    figures: tuple[VariantFigures, ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    variant: Variant
    what: str
    file: str
    write: Callable[[Path, Path], None]
    devices: tuple[Device, ...]
    instructions: tuple[str, ...] = ()


def _int8(what: str, largest_weight: int, exact_share: float = 0.0) -> _Candidate:
    full = largest_weight == FULL
    file, processors = ("model.int8.onnx", VNNI) if full else ("model.int8-avx2.onnx", AVX2)
    write = partial(write_int8, largest_weight=largest_weight, exact_share=exact_share)
    return _Candidate("int8", what, file, write, ("cpu",), processors)


_NARROWING = ", the upper layers' narrowing products in fp32"
_GROUPS = (
    (_int8("8-bit weights", FULL), _int8(f"8-bit weights{_NARROWING}", FULL, 1 / 3)),
    (_int8("7-bit weights", REDUCED), _int8(f"7-bit weights{_NARROWING}", REDUCED, 1 / 3)),
    (_Candidate("fp16", "half precision", "model.fp16.onnx", write_fp16, ("cuda",)),),
)
"""Of each group, the first candidate that is not shown to lose accuracy ships. 8 bits are more exact, but processors
without VNNI saturate; with 7 bits every processor computes the same. fp32 for a part of the layers is more exact, and
less fast."""


@dataclass(frozen=True, slots=True)
class _Tried:
    figures: VariantFigures
    entry: ModelEntry | None = None
    """None: it does not ship."""
    answers: Answers | None = None


def make_variants(reference: Reference, folder: Path, *, quick: bool = False) -> Variants:
    """Write every variant of the recipe into `folder`, and decide which ones ship. A quick run tries those for this
    machine only: each variant answers all rows that calibrate it, and so takes as long as the run before it.

    A graph that cannot be converted or run is a failed variant, not an error: the bundle still has fp32.
    """
    wanted = {"int8": reference.recipe.export.int8, "fp16": reference.recipe.export.fp16}
    can_judge_8_bits = not instructions().isdisjoint(VNNI)
    tried: list[_Tried] = []
    for group in _GROUPS:
        if not wanted[group[0].variant]:
            continue
        if group[0].instructions == VNNI and not can_judge_8_bits:
            tried.append(_Tried(_left_out(group[0], "not tried: this machine has no VNNI")))
            continue
        on_gpu = "cuda" in group[0].devices
        is_for_here = torch.cuda.is_available() if on_gpu else (group[0].instructions == VNNI) == can_judge_8_bits
        if quick and not is_for_here:
            tried.append(_Tried(_left_out(group[0], "not tried: a quick run makes the graphs for this machine alone")))
            continue
        for candidate in group:
            suits = candidate.instructions
            if suits == AVX2 and not any(each.entry and each.entry.instructions == VNNI for each in tried):
                suits = (*VNNI, *AVX2)
            tried.append(_try(candidate, suits, folder / candidate.file, reference))
            if tried[-1].entry is not None:
                break
    entries = tuple(each.entry for each in tried if each.entry is not None)
    return Variants(
        entries=entries,
        files={entry.file: folder / entry.file for entry in entries},
        answers=tuple(each.answers for each in tried if each.answers is not None),
        figures=tuple(each.figures for each in tried),
    )


def _try(candidate: _Candidate, suits: tuple[str, ...], path: Path, reference: Reference) -> _Tried:
    try:
        candidate.write(reference.network, path)
        if reference.ngrams is not None:
            add_ngrams(path, reference.ngrams)
        if reference.novelty is not None:
            add_novelty(path, reference.novelty)
        served = OnnxModel.load(path.read_bytes(), reference.encoder)
        outputs = {part: served.outputs(rows.encodings) for part, rows in reference.rows.items()}
        judged = {part: reference.judge(part, found) for part, found in outputs.items()}
    except Exception as error:  # onnx, onnxruntime and its converters raise many types for an unusual encoder
        return _Tried(_left_out(candidate, f"cannot be made of this encoder ({type(error).__name__})"))
    answers = outputs["validation"]
    if not all(np.isfinite(found).all() for found in (*answers, *judged.values())):
        return _Tried(_left_out(candidate, "gives answers that are no numbers"))
    fields = calibrate_fields(reference.space, reference.rows, judged, reference.recipe, reference.kind)
    entry = ModelEntry(
        variant=candidate.variant,
        file=candidate.file,
        tolerance=_tolerance(reference.served.logits, answers.logits, PARITY_TOLERANCE),
        pooled_tolerance=_tolerance(reference.served.pooled, answers.pooled, POOLED_TOLERANCE),
        devices=candidate.devices,
        instructions=suits,
        fields=fields,
        reference=reference_of(reference.rows, judged, scorings_of(reference.space, fields)),
    )
    figures = compare_graph(entry, candidate.what, path, reference, answers.logits, judged)
    if not figures.ships:
        return _Tried(figures)
    return _Tried(figures, entry, Answers(answers.logits, entry.scorings()[0]))


def calibrate_fields(
    space: LabelSpace,
    rows: Mapping[str, EncodedExamples],
    logits: Mapping[str, Logits],
    recipe: Recipe,
    kind: PromiseKind,
    kept: Mapping[str, FieldEntry] = MappingProxyType({}),
) -> tuple[FieldEntry, ...]:
    """Each field's entry from one graph's logits of the validation and calibration rows; `kept`: entries of fields that
    are not calibrated anew."""

    def scored(part: str, column: int) -> Scored:
        return Scored(logits[part], rows[part].labels[:, column])

    return tuple(
        kept[field.name]
        if field.name in kept
        else calibrate_field(field, scored("validation", column), scored("calibration", column), recipe, kind)
        for column, field in enumerate(space)
    )


def compare_graph(
    entry: ModelEntry,
    what: str,
    path: Path,
    reference: Reference,
    served: Logits,
    judged: Mapping[str, Logits],
) -> VariantFigures:
    """A calibrated graph compared with fp32: whether it ships, and why.

    Args:
        entry: the graph's own temperatures and thresholds.
        what: its difference from other graphs of the variant.
        path: its file.
        reference: fp32's answers to the same rows.
        served: the graph's own logits of the validation rows.
        judged: those that calibrate it, of the validation and of the calibration rows.
    """
    allowed = reference.recipe.export.accuracy_loss
    verdicts = ("passes", "not enough rows to tell", "fails")
    loss = max(_losses(reference, judged, allowed), key=lambda found: (verdicts.index(found.verdict), found.loss.value))
    points = [100 * value for value in (loss.loss.value, loss.loss.low, loss.loss.high, allowed)]
    shown = "{:.2f} points of accuracy lost [{:.2f}, {:.2f}], allowed are {:.2f}".format(*points)
    own, fp32 = entry.scorings(), scorings_of(reference.space, reference.entries)
    labels = reference.rows["validation"].labels
    errors = [field_figures(judged["validation"], labels[:, column], scoring) for column, scoring in enumerate(own)]
    return VariantFigures(
        variant=entry.variant,
        what=what,
        file=entry.file,
        instructions=entry.instructions,
        ships=loss.verdict != "fails",
        why=f"{loss.verdict}: {loss.field}: {shown}, {loss.rows} rows",
        megabytes=path.stat().st_size / 1e6,
        loss=loss,
        promises={field.name: field.promise for field in entry.fields},
        agreement=agreement_of((reference.served.logits, fp32), (served, own)),
        ece=max((found.ece for found in errors if found is not None), default=None),
        speedup=_speedup(path, reference) if "cpu" in entry.devices else None,
    )


def _left_out(candidate: _Candidate, why: str) -> VariantFigures:
    return VariantFigures(
        variant=candidate.variant, what=candidate.what, file=candidate.file, instructions=candidate.instructions,
        ships=False, why=why,
    )  # fmt: skip


def _losses(reference: Reference, judged: Mapping[str, Logits], allowed: float) -> Iterator[FieldLoss]:
    """The loss of every field that has labels. The department has one in every row."""
    for column, field in enumerate(reference.space):
        before, after = [], []
        for part, rows in reference.rows.items():
            labels = rows.labels[:, column]
            present = labels != MISSING
            before.append((reference.logits[part][:, field.slice].argmax(axis=1) == labels)[present])
            after.append((judged[part][:, field.slice].argmax(axis=1) == labels)[present])
        right, still = np.concatenate(before), np.concatenate(after)
        if len(right):
            yield loss_of(field.name, int((right & ~still).sum()), int((still & ~right).sum()), len(right), allowed)


def loss_of(field: str, only_fp32: int, only_variant: int, rows: int, allowed: float) -> FieldLoss:
    """The loss of a field from the numbers of rows that only one of the two graphs has right, and its verdict."""
    loss = paired_loss(only_fp32, only_variant, rows)
    verdict: Literal["passes", "not enough rows to tell", "fails"] = (
        "fails" if loss.low > allowed else "passes" if loss.high <= allowed else "not enough rows to tell"
    )
    return FieldLoss(field=field, rows=rows, loss=loss, verdict=verdict)


_Judged = tuple[Logits, Sequence[FieldScoring]]


def agreement_of(one: _Judged, other: _Judged) -> float:
    """Share of the rows with the same outcome and answer, each graph judged by its own scorings, in the field with the
    lowest share."""
    pairs = zip(outcomes(*one), outcomes(*other), strict=True)
    same = [[a == b for a, b in zip(x, y, strict=True)] for x, y in pairs]
    return float(np.mean(same, axis=0).min())


def _tolerance(expected: NDArray[np.float32], found: NDArray[np.float32], least: float) -> float:
    apart = max(least, _TOLERANCE_MARGIN * float(np.abs(expected - found).max()))
    step = 10.0 ** (math.floor(math.log10(apart)) - 1)  # two digits, so that rounding elsewhere gives the same entry
    return round(math.ceil(apart / step) * step, 6)


def _speedup(path: Path, reference: Reference) -> float:
    """The median ratio of fp32's time to the variant's over some rows, short to long, each alone on one thread."""
    graphs = [OnnxModel.load(graph.read_bytes(), reference.encoder, threads=1) for graph in (reference.onnx, path)]
    rows = sorted(reference.rows["validation"].encodings, key=lambda row: len(row.ids))
    chosen = rows[:: max(1, len(rows) // _TIMED_ROWS)]
    ratios = []
    for row in [chosen[0], *chosen * _ROUNDS]:
        seconds = []
        for graph in graphs:
            batch = graph.encoder.batch([row])
            begin = time.thread_time()  # processor time: other load on the machine does not count
            graph.infer(batch)
            seconds.append(time.thread_time() - begin)
        ratios.append(seconds[0] / seconds[1])
    return round(median(ratios[1:]), 2)  # the first run warms up
