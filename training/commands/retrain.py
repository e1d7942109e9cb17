"""`training retrain`: the service's record → a bundle beside the serving one, and both on the same held-out tickets.

Nothing is promoted: the last line is the command that would.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from transformers import TrainerCallback

from models.bundle.bundle import Bundle, open_bundle
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.commands.compare import Comparison, compare_bundles
from training.commands.export_feedback import ExportRequest, FeedbackExport, export_feedback, export_lines
from training.commands.train import train
from training.data.labels import load_rules
from training.data.source import TicketFile, read_tickets
from training.data.split import split_rows
from training.learn.distributed import processes
from training.recipe import Recipe
from training.registry import current_version
from training.run.request import Say, TrainRequest, TrainResult, refuse_unwritable


@dataclass(frozen=True, slots=True)
class RetrainRequest:
    """`export`: the record, and where the training file goes; `rules`, `label_level`: as in `TicketFile`; `recipe` and
    `base` None: the champion's."""

    export: ExportRequest
    store: Path
    recipe: Recipe | None = None
    base: str | None = None
    quick: bool = False
    rules: Path | None = None
    label_level: int | None = None


@dataclass(frozen=True, slots=True)
class Retrained:
    """The training file, the new bundle, and its comparison with the serving one."""

    exported: FeedbackExport
    trained: TrainResult
    comparison: Comparison

    def summary(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        comparison = {**self.comparison.model_dump(mode="json"), "verdict": self.comparison.verdict}
        return {"export": self.exported.summary(), **self.trained.summary(), "comparison": comparison}


def retrain(request: RetrainRequest, say: Say, callbacks: Sequence[TrainerCallback] = ()) -> Retrained:
    """Write the training file, train on it, and compare the result with the store's current bundle.

    The tickets compared on are the test rows of the split that trains: the new bundle has not seen them. After an
    interruption, the same command writes the same file and resumes from the last checkpoint.

    Raises:
        TicketRouterError: any error that the user can fix; no partial bundle is left.
    """
    if processes() > 1:
        raise TicketRouterError(
            "retrain runs in one process; for several GPUs: export-feedback, then torchrun … train, then compare"
        )
    champion = _champion(request.store)
    refuse_unwritable(request.store)
    recipe = request.recipe or _recipe(champion)
    # Tickets from before the router have people's labels: without them the model would unlearn what it did well.
    exported = export_feedback(replace(request.export, undecided=request.export.data is not None))
    for line in export_lines(exported):
        say(line)
    skip = request.export.skip_faulty
    file = TicketFile(exported.out, rules=request.rules, label_level=request.label_level, skip_faulty=skip)
    fields = tuple(field.name for field in champion.manifest.label_space())
    held_out = split_rows(read_tickets(file, fields).rows, recipe, recipe.seed)["test"]
    if not held_out:
        raise TicketRouterError(
            f"{exported.out}: no ticket is left to compare on; add tickets, or raise split.test in the recipe"
        )
    made = datetime.fromisoformat(champion.manifest.created_at)
    early = sum(example.created_at is None or example.created_at < made for example in held_out)
    if early:
        say(f"warning: the champion may have learned from {early} of {len(held_out)} held-out tickets: they are older")
    base = request.base or champion.manifest.base_model
    trained = train(TrainRequest(file, recipe, base, request.store, fields, request.quick), say, callbacks)
    assert trained is not None  # None only in torchrun's helper processes
    say(f"comparison: {len(held_out)} held-out tickets")
    aliases = load_rules(request.rules).of(DEPARTMENT).aliases
    comparison = compare_bundles(champion, open_bundle(trained.bundle), held_out, aliases=aliases)
    return Retrained(exported, trained, comparison)


def _champion(store: Path) -> Bundle:
    if current_version(store) is None:
        raise TicketRouterError(
            f"{store}: no bundle is current there, so there is none to compare with; make the first one with "
            "export-feedback and train"
        )
    return open_bundle(store / "current")


def _recipe(champion: Bundle) -> Recipe:
    try:
        return Recipe.model_validate(champion.manifest.provenance.get("recipe"))
    except ValidationError as error:
        raise TicketRouterError(f"{champion.path}: its recipe is not of this release; give --recipe") from error
