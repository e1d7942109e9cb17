"""The recipe: one frozen, typed configuration of a run, read from TOML. With the data, it decides the bundle."""

from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from models.bundle.manifest import Frozen
from training.toml_files import load_toml

Share = Annotated[float, Field(ge=0, lt=1)]
Precision = Annotated[float, Field(gt=0.5, lt=1)]
Contradictions = Literal["first", "majority", "leave_out"]


class DataRecipe(Frozen):
    """The choice of rows to learn from."""

    minimum_rows: Annotated[int, Field(ge=2)] = 10
    """A label with fewer training rows is not learned: its rows are left out and named. Below 30 there is a warning."""
    near_duplicates: Annotated[float, Field(ge=0.5, le=1)] = 0.8
    """Texts whose word 3-grams overlap at least this much (Jaccard) stay in the same part; 1: only equal texts."""
    months: Annotated[int, Field(ge=1)] | None = None
    """Use only tickets of this number of months before the newest one; None: all. Teams and products change."""
    mail_frames: Share = 0.1
    """Copies of this share of the training rows get greeting, signature and disclaimer around them, so that the model
    learns to ignore these. 0: off, e.g. if all tickets come from mailboxes."""
    unchecked_weight: Annotated[float, Field(ge=0, le=1)] = 0.5
    """Weight in training of a row with a label that the router set and no person checked (`router_unchecked`); 0: left
    out."""
    contradictions: Contradictions = "first"
    """What to do with a text that stands under several departments: keep its first row, one of its most frequent
    department, or none."""
    exclude_suspects: bool = False
    """Leave out training rows whose label looks wrong. Off by default: a person should review the list first."""


class SplitRecipe(Frozen):
    """The split of rows that the file does not assign itself, in shares of all rows."""

    validation: Share | None = None
    """For early stopping, temperature and the plan of the threshold tests. None: 500 rows, but 5 to 10 % of all."""
    calibration: Share | None = None
    """For testing the thresholds. None: 800 rows, but 10 to 20 % of all: the tests need a number of rows, not a
    share."""
    test: Share = 0.1
    """For the report. Used only if the file has no split of its own: otherwise the file's split decides the test."""
    order: Literal["auto", "random", "time"] = "auto"
    """time: the newest tickets are the test, as in production; auto: time if every row has a date."""

    @model_validator(mode="after")
    def _leaves_training_rows(self) -> Self:
        if (self.validation or 0) + (self.calibration or 0) + self.test >= 0.95:
            raise ValueError("the shares leave less than 5 % of the rows for training")
        return self


class PromiseRecipe(Frozen):
    """The target precision of the thresholds, and the required confidence."""

    aim: Literal["precision", "cost"] = "precision"
    """precision: route as much as the target allows; cost: route where `[effect]` says that routing saves minutes."""
    route_precision: Precision = 0.95
    """At least this share of the routed tickets is right."""
    suggest_precision: Precision = 0.8
    """At least this share of the answers at or above the suggestion threshold is right."""
    confidence: Precision = 0.95
    """The probability (over the draw of the calibration rows) that all guarantees of a field hold together."""
    folds: Literal[0, 3, 6, 9, 12] | None = None
    """Out-of-fold answers over all rows instead of validation and calibration rows: each row is answered by a model
    that was fitted without its fold; a third of the folds plans, the rest tests, and their mean is served. A full run
    fine-tunes an encoder per fold, and serves all of them: training and tickets cost as much as in that many models.
    None: 6 for quick runs, otherwise 0: one split."""
    per_label: Literal["auto", "strict", "off"] = "auto"
    """auto: labels with enough rows get a test of their own, the others share one; strict: a label without a passed
    test of its own is never automatic; off: one test for all labels."""
    scope_refused: Share = 0.02
    """At most this share of ordinary mail (the validation rows) is refused as strange; 0 switches the detection off."""


class EffectRecipe(Frozen):
    """Costs and savings of a decision: the assumptions for the report's minutes and for `aim = "cost"`."""

    tickets_per_week: Annotated[int, Field(ge=1)] = 1000
    triage_minutes: Annotated[float, Field(gt=0)] = 3.0
    """A person reads a ticket and picks the team."""
    suggestion_minutes: Annotated[float, Field(ge=0)] = 1.0
    """A person confirms or corrects a suggested team."""
    misroute_minutes: Annotated[float, Field(gt=0)] = 20.0
    """A wrong team reads the ticket, notices the error, and hands the ticket on."""
    triage_wait_minutes: Annotated[float, Field(ge=0)] = 60.0
    """A ticket waits for its triage."""
    misroute_wait_minutes: Annotated[float, Field(ge=0)] = 240.0
    """A misrouted ticket waits in the wrong queue."""
    manual_precision: Annotated[float, Field(gt=0.5, le=1)] = 0.9
    """People pick the right team in this share of the cases."""


class ExportRecipe(Frozen):
    """The graphs to try beside fp32. Each ships unless its accuracy is shown to be lower."""

    int8: bool = True
    fp16: bool = True
    """For GPUs. The gate runs on the CPU, where fp16 works too, but slowly."""
    accuracy_loss: Share = 0.003
    """The allowed loss of accuracy relative to fp32, on the validation and calibration rows: a graph whose whole 95 %
    interval is above it does not ship."""


class GeneralRecipe(Frozen):
    """General labelled texts, learned beside the company's own, against overfitting on small data."""

    data: Path
    """A file with `text` and `label`, in any known format; any labels: their head is removed after training."""
    share: Annotated[float, Field(gt=0, le=0.5)] = 0.2
    """Share of the rows of an epoch."""


class Recipe(Frozen):
    """The settings of a run. The defaults suit some thousands of tickets; each field states its reason."""

    seed: Annotated[int, Field(ge=0, lt=2**32)] = 13
    epochs: Annotated[int, Field(ge=1, le=200)] = 6
    patience: Annotated[int, Field(ge=1)] = 3
    """Stop after this many epochs without a better macro-F1 on the validation rows."""
    batch_size: Annotated[int, Field(ge=1)] = 32
    gradient_accumulation: Annotated[int, Field(ge=1)] = 1
    """Batches per step (gradient accumulation), if a larger batch does not fit into memory."""
    learning_rate: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Of the top layer. None: 3e-4 for encoders narrower than 512, 5e-5 for wider ones, which diverge at 3e-4."""
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 0.85
    """Factor on the learning rate for each lower layer: lower layers hold general language knowledge, which should
    stay."""
    head_start: Literal["centroids", "random"] = "centroids"
    """centroids: the head begins as a nearest-centroid classifier on the base encoder's vectors."""
    head_multiplier: Annotated[float, Field(gt=0)] = 3.0
    """Factor on the top layer's learning rate for the head; 10 suits a random start."""
    frozen_layers: Annotated[int, Field(ge=0)] = 0
    """0: everything is trained; 1: the embeddings are frozen; n: the embeddings and the n - 1 lowest layers are
    frozen."""
    warmup_share: Share = 0.06
    weight_decay: Annotated[float, Field(ge=0, lt=1)] = 0.01
    averaging: Annotated[float, Field(ge=0, lt=1)] = 0.998
    """Decay per step of the weights' moving average; the averaged weights are measured and exported. 0: off."""
    base_share: Share | None = None
    """Share of the base encoder's weights in the exported ones: fine-tuning on few tickets forgets general language.
    None: the share with the best likelihood on the validation rows."""
    dropout: Share | None = None
    """Hidden dropout. None: the base model's own."""
    loss: Literal["cross_entropy", "focal"] = "cross_entropy"
    """focal: rows with a high probability of their label count less."""
    focal_gamma: Annotated[float, Field(gt=0, le=10)] = 2.0
    class_weights: Literal["none", "sqrt", "balanced"] = "none"
    """Rare labels count more: balanced, by the inverse of their frequency; sqrt, by its square root."""
    label_smoothing: Share = 0.1
    r_drop: Annotated[float, Field(ge=0, le=20)] = 0.0
    """Weight of R-Drop: the divergence between two passes with different dropout. Doubles the time of a step. 0:
    off."""
    pooling: Literal["mean", "cls"] = "mean"
    """mean: average of the last layer over the tokens; cls: its first token."""
    max_tokens: Annotated[int, Field(ge=16, le=512)] = 256
    """Longer tickets are cut to their head and tail. Twice as many tokens double the time of every long ticket."""
    gradient_checkpointing: bool = False
    """Recompute activations instead of storing them: a third more time for a fraction of the memory."""
    arithmetic: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """auto: bf16 if the processor supports it, otherwise fp32; fp16 is for GPUs without bf16. The export is fp32."""
    ngrams: bool = True
    """Words beside the encoder: a linear model over wordpieces and pairs of them; it ships only if it helps."""
    track: tuple[Literal["tensorboard", "mlflow"], ...] = ()
    """Further targets of the Trainer's figures."""
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
