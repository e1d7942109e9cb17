"""The recipe: one frozen, typed run configuration, read from TOML. Everything that decides a bundle but the data."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.bundle.manifest import Frozen
from training.toml_files import load_toml

Share = Annotated[float, Field(ge=0, lt=1)]
Precision = Annotated[float, Field(gt=0.5, lt=1)]


class DataRecipe(Frozen):
    """Which rows are learned from."""

    minimum_rows: Annotated[int, Field(ge=2)] = 10
    """A label with fewer training rows is not learned: its rows are left out and named. Under 30, a warning."""
    near_duplicates: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """Texts whose word 3-grams overlap this much (Jaccard) stay whole in one split; 1: only equal texts."""
    months: Annotated[int, Field(ge=1)] | None = None
    """Only tickets of this many months before the newest one; None: all. Teams and products change."""
    exclude_suspects: bool = False
    """Leave training rows out whose label looks wrong. Off: a person should look at the list first."""


class SplitRecipe(Frozen):
    """How rows that the file does not assign itself are split, in shares of all rows."""

    validation: Share | None = None
    """Early stopping, temperature, the plan of the thresholds. None: 500 rows, but 5 to 10 % of all."""
    calibration: Share | None = None
    """Tests the thresholds. None: 800 rows, but 10 to 20 % of all: a promise takes rows, whatever the share."""
    test: Share = 0.1
    """The report. Taken only when the file has no split of its own: a file that has one says what its test is."""
    order: Literal["auto", "random", "time"] = "auto"
    """time: the newest tickets are the test, as in real life; auto: time when every row has a date."""

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> Self:
        if (self.validation or 0) + (self.calibration or 0) + self.test >= 0.95:
            raise ValueError("the shares leave less than 5 % of the rows for training")
        return self


class PromiseRecipe(Frozen):
    """The precision that thresholds are set for, and how sure we must be of it."""

    aim: Literal["precision", "cost"] = "precision"
    """precision: route all that the promise lets through; cost: route where `[effect]` says that it saves minutes."""
    route_precision: Precision = 0.95
    """Of what is routed without a person, at least this share is right."""
    suggest_precision: Precision = 0.8
    """Of the answers at or above the suggestion level, at least this share is right."""
    confidence: Precision = 0.95
    """The probability (over the draw of the calibration rows) with which all promises of a field hold together."""
    per_label: Literal["auto", "strict", "off"] = "auto"
    """auto: labels with rows enough get a promise of their own, the rest share one; strict: a label without its own
    is never automatic; off: one promise for all."""
    scope_refused: Share = 0.03
    """At most this share of ordinary mail may be refused as out of scope; 0 switches the detection off."""


class EffectRecipe(Frozen):
    """What a decision costs and saves: the assumptions behind the report's minutes, and behind `aim = "cost"`."""

    tickets_per_week: Annotated[int, Field(ge=1)] = 1000
    triage_minutes: Annotated[float, Field(gt=0)] = 3.0
    """A person reads a ticket and picks the team."""
    suggestion_minutes: Annotated[float, Field(ge=0)] = 1.0
    """A person confirms or mends a suggested team."""
    misroute_minutes: Annotated[float, Field(gt=0)] = 20.0
    """A wrong team reads it, notices, and hands it on."""
    triage_wait_minutes: Annotated[float, Field(ge=0)] = 60.0
    """A ticket waits until somebody triages it."""
    misroute_wait_minutes: Annotated[float, Field(ge=0)] = 240.0
    """A misrouted ticket waits in the wrong queue."""
    manual_precision: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    """People pick the right team in this share of the cases."""


class ExportRecipe(Frozen):
    """Which graphs are tried beside fp32. Each ships only if it passes its gate on the validation rows."""

    int8: bool = True
    fp16: bool = True
    """For GPUs. Gated on the CPU, where it runs too, only slowly."""
    accuracy_loss: Share = 0.003
    """At most this much accuracy less than fp32."""
    agreement: Precision = 0.99
    """At least this share of the verdicts equal fp32's."""


class GeneralRecipe(Frozen):
    """General labelled texts learned beside the company's own, so that small data does not bend the language."""

    data: Path
    """CSV, JSONL or Parquet with `text` and `label`: any labels; they are learned by a head that is thrown away."""
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """Of the rows of an epoch."""


class Recipe(Frozen):
    """How a bundle is made. Defaults suit some thousands of tickets; the reasons stand beside them."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 13
    epochs: Annotated[int, Field(ge=1, le=200)] = 6
    patience: Annotated[int, Field(ge=1)] = 3
    """Stop after this many epochs without a better macro-F1 on the validation rows."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    gradient_accumulation: Annotated[int, Field(ge=1)] = 1
    """Batches added up to one step, where a whole one does not fit the memory."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of the top layer. None: 3e-4 for encoders narrower than 512, 5e-5 for wider ones, which break at 3e-4."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Each layer below learns this much slower: lower layers hold general language, which should stay."""
    head_start: Literal["centroids", "random"] = "centroids"
    """centroids: the head begins as a nearest-centroid classifier on the base encoder's vectors."""
    head_multiplier: Annotated[float, Field(gt=0)] = 3.0
    """The head learns this much faster than the top layer; 10 suits a random start."""
    frozen_layers: Annotated[int, Field(ge=0)] = 0
    """0: everything learns; 1: the embeddings stay as they are; n: the embeddings and the n - 1 lowest layers do."""
    warmup_share: Share = 0.06
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Exponential moving average of the weights, per step; the averaged ones are measured and exported. 0: off."""
    dropout: Share | None = None
    """Hidden dropout. None: the base model's own."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """focal: rows the model is sure of count less."""
    focal_gamma: Annotated[float, Field(gt=0, le=10)] = 2.0
    class_weights: Literal["none", "sqrt", "balanced"] = "none"
    """Rare labels count more: balanced, by the inverse of their frequency; sqrt, by its square root."""
    label_smoothing: Share = 0.1
    r_drop: Annotated[float, Field(ge=0, le=20)] = 0.0
    """Weight of the divergence between two passes with different dropout; doubles the time of a step. 0: off."""
    pooling: Literal["mean", "cls"] = "mean"
    """mean: average of the last layer over the tokens; cls: its first token."""
    max_tokens: Annotated[int, Field(ge=16, le=512)] = 256
    """Longer tickets keep their head and tail. Twice as many tokens cost twice the time of every long ticket."""
    gradient_checkpointing: bool = False
    """Compute activations twice instead of keeping them: a third more time for a fraction of the memory."""
    arithmetic: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """bf16 where the processor computes in it, fp32 elsewhere; fp16 on GPUs without bf16. Exported: fp32."""
    track: tuple[Literal["tensorboard", "mlflow"], ...] = ()
    """Where else the Trainer reports its figures to."""
    data: DataRecipe = DataRecipe()
    split: SplitRecipe = SplitRecipe()
    promise: PromiseRecipe = PromiseRecipe()
    effect: EffectRecipe = EffectRecipe()
    export: ExportRecipe = ExportRecipe()
    general: GeneralRecipe | None = None

    @model_validator(mode="after")
    def _passes_differ(self) -> Self:
        if self.r_drop and self.dropout == 0:
            raise ValueError("r_drop compares passes with different dropout; with dropout = 0 they are the same")
        return self


def load_recipe(path: Path | None) -> Recipe:
    """Read a recipe from TOML; without a path, the defaults.

    Raises:
        TicketRouterError: the file is unreadable, not TOML, or has a field that is unknown or out of bounds.
    """
    return Recipe() if path is None else load_toml(path, Recipe, "recipe")
