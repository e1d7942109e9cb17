"""`metrics.json`: all findings of a training run as one frozen value, for report, model card and promotion."""

from collections.abc import Mapping

from models.bundle.manifest import Frozen
from training.calibration.precision_curve import TargetFigures
from training.data.split import Removed
from training.evaluation.advice import Advice
from training.evaluation.behavioural import BehaviourFigures
from training.evaluation.business_impact import EffectFigures
from training.evaluation.label_errors import Suspect
from training.evaluation.measured import WorstError
from training.evaluation.metrics import AccuracyFigures, FieldFigures, ScopeFigures
from training.evaluation.quantization_gate import VariantFigures
from training.evaluation.slices import SliceFigures
from training.evaluation.stages import NgramFigures, StageFigures, StageName
from training.export.onnx import Parity
from training.learn.finetune import EpochFigures


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
