"""`training tune`: search the recipe with the best macro-F1 on the validation rows; other parts stay unused."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import optuna
import torch
from transformers import AutoConfig, TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError
from training.commands.tune_study import (
    Dimension,
    TrialFigures,
    dimensions,
    finished,
    open_study,
    start_values,
    trial_figures,
)
from training.data.source import digest_of
from training.learn.classifier import load_classifier, load_encoder, seeded
from training.learn.finetune import finetune
from training.learn.general import GeneralExamples, TrainingData, read_general
from training.learn.optimizer import encoder_weights, learning_rate
from training.recipe import Recipe
from training.run.dataset import Material, encode_parts, read_material
from training.run.request import Say, TrainRequest
from training.run.trained import candidate_of, learn_ngrams, settle_base_share
from training.toml_files import toml_text

_STAGES = 4
"""Trials are compared after each quarter of their epochs."""


@dataclass(frozen=True, slots=True)
class TuneRequest:
    """The options of the command. `train` holds data, base and start recipe; `trials` includes those of earlier runs of
    the same study; no trial starts after `timeout_minutes`. `start` is the text of the start recipe: the result keeps
    its comments and order."""

    train: TrainRequest
    study: Path
    out: Path
    trials: int
    timeout_minutes: float | None = None
    start: str = ""


class TuneResult(Frozen):
    """Every trial so far, the number of the best one, and its recipe, written to `out`."""

    trials: tuple[TrialFigures, ...]
    best: int
    recipe: Recipe
    out: Path


def tune(request: TuneRequest, say: Say, callbacks: Sequence[TrainerCallback] = ()) -> TuneResult:
    """Run trials until the study has the requested number; write the best recipe after each trial.

    Raises:
        TicketRouterError: the data, the base model, the study or the output path is not valid.
    """
    start = request.train.recipe
    refuse_no_folder(request.out)
    material = read_material(request.train, say)
    rate = learning_rate(_width(material.base), start)
    space = dimensions(start, rate)
    with open_study(request.study, _about(request.train), start.seed) as study:
        _begin_with(study, start_values(space, start, rate))

        def report(study: optuna.Study, trial: optuna.trial.FrozenTrial) -> None:
            """After each trial: print its result, and write the best recipe."""
            figures = trial_figures(study)[-1]
            value = "–" if figures.macro_f1 is None else f"{figures.macro_f1:.4f}"
            say(f"trial {trial.number}: {figures.state}, macro-F1 {value}; {len(finished(study))} of {request.trials}")
            _result(study, request)

        missing = request.trials - len(finished(study))
        if missing > 0:
            study.optimize(
                _Objective(start, space, material.base, material, read_general(start), tuple(callbacks)),
                n_trials=missing,
                timeout=request.timeout_minutes and request.timeout_minutes * 60,
                catch=(torch.OutOfMemoryError,),
                callbacks=[report],
            )
        return _result(study, request)


def refuse_no_folder(out: Path) -> None:
    """Check before the search that the result can be written.

    Raises:
        TicketRouterError: the folder does not exist, or the file is a folder.
    """
    if not out.parent.is_dir() or out.is_dir():
        raise TicketRouterError(f"--out {out}: cannot be written; name a file in a folder that is there")


class Pruning(TrainerCallback):
    """Reports each quarter's macro-F1 to the study, and stops a trial below the median of the others at that point.

    Trials are compared by share of the schedule, not by epochs: after the same epoch a long run has a lower score,
    because
    its learning rate has fallen less.
    """

    def __init__(self, trial: optuna.Trial, epochs: int) -> None:
        self._trial = trial
        self._epochs = epochs
        self._stage = 0

    def on_evaluate(
        self,
        args: TrainingArguments,  # noqa: ARG002 the Trainer defines the signature
        state: TrainerState,
        control: TrainerControl,  # noqa: ARG002
        **kwargs: Any,
    ) -> None:
        stage = int(_STAGES * (state.epoch or 0.0) / self._epochs + 1e-6)
        if stage <= self._stage:
            return
        self._stage = stage
        self._trial.report(kwargs["metrics"]["eval_macro_f1"], stage)
        if stage < _STAGES and self._trial.should_prune():
            raise optuna.TrialPruned


@dataclass(frozen=True, slots=True)
class _Objective:
    """One trial: values → recipe → fine-tuning → macro-F1 with the n-grams on the validation rows."""

    start: Recipe
    space: tuple[Dimension, ...]
    base: Path
    material: Material
    general: GeneralExamples | None
    callbacks: tuple[TrainerCallback, ...]

    def __call__(self, trial: optuna.Trial) -> float:
        recipe = tried(self.start, {each.name: each.suggest(trial) for each in self.space})
        seeded(recipe.seed)
        model = load_classifier(self.base, self.material.space, recipe)
        encoder = load_encoder(self.base, model.config, recipe)
        parts = encode_parts(self.material, encoder, recipe)
        data = TrainingData(encoder, self.material.space, parts["train"], parts["validation"], self.general)
        weights = encoder_weights(model)
        pruning = Pruning(trial, recipe.epochs)
        with tempfile.TemporaryDirectory(prefix="ticket-router-") as folder:
            # A killed trial is never resumed, so it needs no checkpoints.
            finetune(model, data, recipe, Path(folder), [pruning, *self.callbacks], checkpoint_seconds=math.inf)
        ngrams = learn_ngrams(model, encoder, self.material.space, data.train, recipe, lambda _: None)
        settle_base_share(model, weights, data, ngrams, recipe)
        return candidate_of(model, encoder, self.material.space, ngrams, {"validation": data.validation}).macro_f1


def tried(start: Recipe, values: dict[str, Any]) -> Recipe:
    """The recipe of a trial: the start recipe with these values."""
    return Recipe.model_validate({**start.model_dump(), **values})


def _width(base: Path) -> int:
    try:
        return int(AutoConfig.from_pretrained(base, trust_remote_code=False).hidden_size)
    except Exception as error:  # damaged files raise a dozen kinds
        raise TicketRouterError(f"{base}: not an encoder that transformers can load from safetensors") from error


def _about(request: TrainRequest) -> dict[str, Any]:
    """The identity of a search: rows, encoder and start recipe. A study of another search is not continued."""
    return {
        "data": [digest_of(path) for path in request.file.paths],
        **request.file.reading,
        "base": request.base,
        "recipe": request.recipe.model_dump(mode="json"),
        "fields": list(request.fields),
    }


def _begin_with(study: optuna.Study, values: dict[str, Any]) -> None:
    """Put the start recipe first in the study, and again if an interruption ended its trial."""
    waiting = study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.WAITING,))
    known = [trial.params for trial in finished(study)] + [trial.system_attrs["fixed_params"] for trial in waiting]
    if values not in known:
        study.enqueue_trial(values)


def _result(study: optuna.Study, request: TuneRequest) -> TuneResult:
    try:
        best = study.best_trial
    except ValueError as error:
        raise TicketRouterError(f"--study {request.study}: no trial has come to its end yet; go on with it") from error
    recipe = tried(request.train.recipe, best.params)
    head = f"# The best of {len(finished(study))} trials: number {best.number}, validation macro-F1 {best.value:.4f}.\n"
    aside = request.out.with_name(f".{request.out.name}.new")
    try:
        aside.write_text(head + toml_text(recipe, request.start), "utf-8")
        aside.replace(request.out)
    except OSError as error:
        raise TicketRouterError(f"--out {request.out}: cannot be written ({error.strerror})") from error
    return TuneResult(trials=trial_figures(study), best=best.number, recipe=recipe, out=request.out)
