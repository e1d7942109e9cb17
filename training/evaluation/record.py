"""`metrics.json`: all findings of a training run as one frozen value, for report, model card and promotion."""

from collections.abc import Mapping
from typing import Literal

from models.bundle.manifest import Frozen
from training.calibration.precision_curve import TargetFigures
from training.calibration.remedies import Remedies
from training.data.split import Removed
from training.evaluation.advice import Advice
from training.evaluation.business_impact import EffectFigures
from training.evaluation.label_errors import Suspect
from training.evaluation.measured import WorstError
from training.evaluation.metrics import AccuracyFigures, FieldFigures, ScopeFigures
from training.evaluation.quantization_gate import VariantFigures
from training.evaluation.robustness.behavioural import BehaviourFigures
from training.evaluation.robustness.strangers import StrangerFigures
from training.evaluation.slices import SliceFigures
from training.export.onnx import Parity
from training.learn.finetune import EpochFigures

StageName = Literal["baseline", "n-grams", "frozen encoder", "quick", "encoder", "full", "student"]


class StageFigures(Frozen):
    """One model's department figures by part (validation, test), the minutes from the start of the learning.

    baseline: TF-IDF of words; n-grams: of wordpieces, as in the graph; frozen encoder: a linear head on the base
    encoder's vectors; quick: these two together; encoder: fine-tuned; full: fine-tuned, with the n-grams.
    """

    name: StageName
    figures: Mapping[str, AccuracyFigures]
    minutes: float


class NgramFigures(Frozen):
    """The n-gram model beside the encoder: its size, its share by field (0: left out), and each label's most telling
    n-grams of the department."""

    ngrams: int
    shares: Mapping[str, float]
    telling: Mapping[str, tuple[str, ...]] = {}


class CostFigures(Frozen):
    """The resources that the run used."""

    seconds: float
    peak_megabytes: float
    """Largest resident memory of this process."""


class Findings(Frozen):
    """Findings on measured rows, by field if a mapping: from training, and from `evaluate`."""

    slices: Mapping[str, tuple[SliceFigures, ...]] = {}
    worst: Mapping[str, tuple[WorstError, ...]] = {}
    targets: Mapping[str, tuple[TargetFigures, ...]] = {}
    advice: tuple[Advice, ...] = ()
    scope: ScopeFigures | None = None
    effect: EffectFigures | None = None
    behaviour: tuple[BehaviourFigures, ...] = ()
    strangers: tuple[StrangerFigures, ...] = ()
    remedies: Remedies | None = None
    """What would change that no department is routed; None: some are."""


class Record(Findings):
    """A training run's findings. `encoder` and `baseline` are figures by field and part (validation, test, …).
    `Findings`
    are measured on the test rows, or on the validation rows if there is no test."""

    rows: Mapping[str, int]
    removed: Removed
    epochs: tuple[EpochFigures, ...]
    baseline: Mapping[str, Mapping[str, AccuracyFigures]]
    encoder: Mapping[str, Mapping[str, FieldFigures]]
    beats_baseline: bool
    parity: Parity
    suspects: tuple[Suspect, ...] = ()
    variants: tuple[VariantFigures, ...] = ()
    cost: CostFigures | None = None
    stages: tuple[StageFigures, ...] = ()
    kept: StageName = "full"
    """The stage that the bundle holds."""
    ngrams: NgramFigures | None = None
    recalibrated: str | None = None
    """The version whose weights these are, if later rows set the thresholds anew: `rows` and figures are theirs."""

    @property
    def measured(self) -> str:
        """The part whose figures are shown to people."""
        return "test" if self.rows.get("test") else "validation"

    def figures(self) -> dict[str, FieldFigures]:
        """Each field's figures on the measured part, otherwise on the validation rows; a field with neither is left
        out."""
        return {
            field: by_part[part]
            for field, by_part in self.encoder.items()
            if (part := self.measured if self.measured in by_part else "validation") in by_part
        }
