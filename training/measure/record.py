"""`metrics.json`: all that a training run found out, as one frozen value for report, model card and promotion."""

from collections.abc import Mapping

from models.manifest import Frozen
from training.data.split import Removed
from training.deliver.export import Parity
from training.measure.baseline import BaselineFigures
from training.measure.metrics import FieldFigures


class EpochFigures(Frozen):
    """One epoch: the mean training loss, and macro-F1 of the department on the validation rows."""

    epoch: float
    loss: float | None
    macro_f1: float


class SliceFigures(Frozen):
    """One slice of the measured rows, e.g. kind `length`, name `over 256 words`; low and high: a 95 % interval."""

    kind: str
    name: str
    rows: int
    accuracy: float
    low: float
    high: float
    routed: float
    route_precision: float | None


class WorstError(Frozen):
    """A confident mistake on the measured rows, with the first words of its text."""

    line: int
    excerpt: str
    wanted: str
    predicted: str
    confidence: float


class Suspect(Frozen):
    """A row whose label looks wrong, by out-of-sample probabilities; likeliest mistakes first."""

    line: int
    part: str
    label: str
    suggested: str
    quality: float
    """cleanlab's label quality, 0…1: low is suspicious."""


class ScopeFigures(Frozen):
    """Out-of-scope detection: the share asked for, and what was achieved on the measured rows."""

    requested_refused: float
    refused: float
    """Share of the measured in-scope rows that are refused."""
    refused_high: float
    """Its upper 95 % bound (Clopper-Pearson)."""
    outside_rows: int
    recall: float | None
    """Share of the out-of-scope rows that are refused; None: the data has none."""


class EffectFigures(Frozen):
    """Minutes and hours a week under the recipe's assumptions, from the measured rows; low and high: 95 % interval."""

    tickets_per_week: int
    automatic_share: float
    minutes_saved: float
    minutes_saved_low: float
    minutes_saved_high: float
    misroutes_before: float
    misroutes_after: float
    wait_minutes_before: float
    """Mean minutes until a ticket stands with the right team."""
    wait_minutes_after: float


class VariantFigures(Frozen):
    """One graph held against fp32 on the validation rows."""

    variant: str
    passed: bool
    why: str
    """Why it ships, or why not."""
    megabytes: float
    accuracy_loss: float
    """Points of accuracy (0…1) less than fp32, over all fields' worst."""
    agreement: float
    ece: float
    speedup: float | None
    """Times faster than fp32 per ticket on one core, measured at export; None: not timed on this machine."""


class BehaviourFigures(Frozen):
    """One change that must not change the department: rows tried, and how many changed."""

    change: str
    rows: int
    changed: int
    outcomes_changed: int
    """Rows whose outcome (route, suggest, review) changed though the predicted department did not."""


class CostFigures(Frozen):
    """What the run took."""

    seconds: float
    peak_megabytes: float
    """Of this process's resident memory."""


class Record(Frozen):
    """A training run's findings. `encoder` and `baseline` are figures by field and part (validation, test, …)."""

    rows: Mapping[str, int]
    removed: Removed
    epochs: tuple[EpochFigures, ...]
    baseline: Mapping[str, Mapping[str, BaselineFigures]]
    encoder: Mapping[str, Mapping[str, FieldFigures]]
    beats_baseline: bool
    parity: Parity
    slices: Mapping[str, tuple[SliceFigures, ...]] = {}
    """By field, on the measured part: the test rows, or the validation rows where there are none."""
    worst: Mapping[str, tuple[WorstError, ...]] = {}
    suspects: tuple[Suspect, ...] = ()
    advice: tuple[str, ...] = ()
    scope: ScopeFigures | None = None
    effect: EffectFigures | None = None
    variants: tuple[VariantFigures, ...] = ()
    behaviour: tuple[BehaviourFigures, ...] = ()
    cost: CostFigures | None = None

    @property
    def measured(self) -> str:
        """The part that figures for people are taken from."""
        return "test" if self.rows.get("test") else "validation"
