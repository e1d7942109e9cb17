"""Fine-tuning: which weights learn and how fast, what is measured, and what the recipe's switches do."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import EvalPrediction, TrainerCallback

from models.encoding import Encoder
from models.errors import TicketRouterError
from tests.support.learning import RECIPE, SPACE, fresh, learn, rows, weights
from tests.support.rows import prepared
from training.data.prepared import MISSING
from training.learn.classifier import TicketClassifier, load_classifier, mean_pool
from training.learn.finetune import DepartmentF1, epoch_figures, predict
from training.learn.general import GeneralExamples
from training.learn.optimizer import freeze, learning_rate, parameter_groups
from training.recipe import Recipe
from training.run.metrics import peak_megabytes


def test_every_parameter_learns_once(model: TicketClassifier) -> None:
    """The groups hold each parameter exactly once."""
    grouped = [parameter for group in parameter_groups(model, Recipe()) for parameter in group["params"]]
    assert len(grouped) == len({id(parameter) for parameter in grouped}) == len(list(model.parameters()))


def test_lower_layers_learn_slower(model: TicketClassifier) -> None:
    """From the head down over two layers to the embeddings, each learns slower by the recipe's factor."""
    recipe = Recipe(learning_rate=1e-3, layer_decay=0.5, head_multiplier=10)
    rates = {id(p): group["lr"] for group in parameter_groups(model, recipe) for p in group["params"]}
    found = {name: rates[id(parameter)] for name, parameter in model.named_parameters()}
    assert found["head.weight"] == found["head.bias"] == pytest.approx(1e-2)
    for name, rate in found.items():
        if ".layer.1." in name:
            assert rate == pytest.approx(1e-3)
        if ".layer.0." in name:
            assert rate == pytest.approx(5e-4)
        if ".embeddings." in name:
            assert rate == pytest.approx(2.5e-4)


def test_norms_and_biases_do_not_decay(model: TicketClassifier) -> None:
    """Weight decay is for matrices; vectors (biases, norms) are left alone."""
    for group in parameter_groups(model, Recipe(weight_decay=0.1)):
        for parameter in group["params"]:
            assert group["weight_decay"] == (0.1 if parameter.ndim >= 2 else 0.0)


def test_the_learning_rate_follows_the_width() -> None:
    """Narrow encoders learn faster than wide ones, which break at that rate; a recipe's own rate wins."""
    assert learning_rate(384, Recipe()) == 3e-4
    assert learning_rate(768, Recipe()) == 5e-5
    assert learning_rate(768, Recipe(learning_rate=1e-4)) == 1e-4


def test_padding_does_not_change_a_logit(model: TicketClassifier, encoder: Encoder) -> None:
    """A row's logits are the same alone as in a batch with longer rows, and come back in their order."""
    texts = ["refund", "I was charged twice for the same month " * 5, "the label cannot be printed", "a"]
    encodings = [encoder.encode(text) for text in texts]
    together = predict(model, encoder, encodings, batch_size=2)
    alone = np.concatenate([predict(model, encoder, [each]) for each in encodings])
    assert together.dtype == np.float32
    assert np.abs(together - alone).max() < 1e-5


def test_prediction_is_repeatable(model: TicketClassifier, encoder: Encoder) -> None:
    """Dropout is off while predicting, whatever mode the model was left in."""
    encodings = [encoder.encode("refund"), encoder.encode("invoice")]
    model.train()
    first = predict(model, encoder, encodings)
    assert (predict(model, encoder, encodings) == first).all()


def test_the_mean_is_over_real_tokens() -> None:
    """Padding does not count in the pooled vector, and a row of nothing but padding is zero, not NaN."""
    hidden = torch.tensor([[[1.0], [3.0], [99.0]], [[5.0], [5.0], [5.0]]])
    pooled = mean_pool(hidden, torch.tensor([[1, 1, 0], [0, 0, 0]]))
    assert pooled.tolist() == [[2.0], [0.0]]


def test_both_poolings_give_logits(tiny_base: Path, encoder: Encoder) -> None:
    """`cls` takes the first token, `mean` all of them: two networks of the same shape and different answers."""
    batch = encoder.batch([encoder.encode("I was charged twice")])
    inputs = torch.from_numpy(batch.input_ids), torch.from_numpy(batch.attention_mask)
    answers = []
    for pooling in ("mean", "cls"):
        torch.manual_seed(3)
        model = load_classifier(tiny_base, SPACE, Recipe(pooling=pooling)).eval()
        answers.append(model(*inputs)["logits"])
    assert answers[0].shape == answers[1].shape == (1, SPACE.size)
    assert not torch.allclose(*answers)


def test_early_stopping_looks_at_the_department_alone() -> None:
    """Macro-F1 is of the department's slice, whatever the other fields do."""
    values = np.array([[9.0, 0, 0, 0, 99], [0, 9, 0, 99, 0], [0, 9, 0, 0, 99]])
    labels = np.array([[0, 0], [1, 1], [2, MISSING]])
    found = DepartmentF1(SPACE)(EvalPrediction(predictions=values, label_ids=labels))
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


def changed(before: dict[str, torch.Tensor], model: TicketClassifier) -> set[str]:
    return {name for name, value in weights(model).items() if not torch.equal(value, before[name])}


def test_the_same_seed_gives_the_same_weights(tiny_base: Path, tmp_path: Path) -> None:
    """Two runs of one recipe end bit by bit alike, with the same figures; another seed ends elsewhere."""
    recipe = RECIPE.model_copy(update={"epochs": 1})
    runs = [learn(tiny_base, tmp_path / name, recipe) for name in ("a", "b")]
    assert changed(weights(runs[0][0]), runs[1][0]) == set()
    assert runs[0][1] == runs[1][1]
    other, _ = learn(tiny_base, tmp_path / "c", recipe.model_copy(update={"seed": 14}))
    assert changed(weights(runs[0][0]), other)


class Watch(TrainerCallback):
    """Keeps each epoch's raw weights, and those that its measuring sees."""

    def __init__(self) -> None:
        self.raw: list[dict[str, torch.Tensor]] = []
        self.measured: list[dict[str, torch.Tensor]] = []

    def on_evaluate(self, *_: object, model: TicketClassifier, **__: object) -> None:
        self.measured.append(weights(model))

    def on_epoch_end(self, *_: object, model: TicketClassifier, **__: object) -> None:
        self.raw.append(weights(model))


def test_the_averaged_weights_of_the_best_epoch_are_measured_and_kept(tiny_base: Path, tmp_path: Path) -> None:
    """Measuring sees other weights than the raw ones, training goes on from the raw ones, the best measured stay."""
    watch = Watch()
    model, figures = learn(tiny_base, tmp_path / "run", RECIPE, watch)
    best = max(range(len(figures)), key=lambda epoch: figures[epoch].macro_f1)
    assert changed(watch.measured[best], model) == set()
    assert changed(watch.raw[best], model)
    encoder = fresh(tiny_base, RECIPE)[1]
    validation = rows(encoder, 21, 200)
    logits = predict(model, encoder, validation.encodings)
    assert DepartmentF1(SPACE)(EvalPrediction(logits, validation.labels))["macro_f1"] == figures[best].macro_f1


def test_averaging_does_not_touch_the_training(tiny_base: Path, tmp_path: Path) -> None:
    """With and without averaging, the raw weights take the same way."""
    ways = []
    for averaging in (0.0, 0.9):
        watch = Watch()
        recipe = RECIPE.model_copy(update={"averaging": averaging, "epochs": 2})
        learn(tiny_base, tmp_path / str(averaging), recipe, watch)
        ways.append(watch.raw)
    for without, averaged in zip(*ways, strict=True):
        assert all(torch.equal(value, averaged[name]) for name, value in without.items())


def test_training_stops_when_nothing_gets_better(tiny_base: Path, tmp_path: Path) -> None:
    """A rate too small to change an answer: after the first epoch and the recipe's patience it ends."""
    recipe = RECIPE.model_copy(update={"epochs": 9, "patience": 2, "learning_rate": 1e-12})
    _, figures = learn(tiny_base, tmp_path / "run", recipe)
    assert len(figures) == 3


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "focal"},
        {"class_weights": "balanced"},
        {"r_drop": 1.0},
        {"gradient_accumulation": 2},
        {"arithmetic": "bf16"},
        {"pooling": "cls"},
        {"dropout": 0.0},
        {"frozen_layers": 2},
    ],
    ids=str,
)
def test_a_switch_of_the_recipe_reaches_the_weights(
    tiny_base: Path, tmp_path: Path, plain: dict[str, torch.Tensor], changes: dict[str, object]
) -> None:
    """Each way of learning learns, and ends with other weights than the plain one."""
    recipe = RECIPE.model_copy(update={"epochs": 1, **changes})
    model, figures = learn(tiny_base, tmp_path / "run", recipe)
    assert figures[0].loss is not None
    assert all(torch.isfinite(value).all() for value in weights(model).values())
    assert changed(plain, model)


@pytest.fixture(scope="module")
def plain(tiny_base: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, torch.Tensor]:
    """The weights after one plain epoch."""
    recipe = RECIPE.model_copy(update={"epochs": 1})
    return weights(learn(tiny_base, tmp_path_factory.mktemp("plain") / "run", recipe)[0])


def test_gradient_checkpointing_changes_the_memory_and_no_weight(
    tiny_base: Path, tmp_path: Path, plain: dict[str, torch.Tensor]
) -> None:
    """Activations computed twice give the very same gradients."""
    recipe = RECIPE.model_copy(update={"epochs": 1, "gradient_checkpointing": True})
    assert changed(plain, learn(tiny_base, tmp_path / "run", recipe)[0]) == set()


def test_a_run_does_not_inherit_the_arithmetic_of_the_one_before(
    tiny_base: Path, tmp_path: Path, plain: dict[str, torch.Tensor]
) -> None:
    """After a bf16 run in the same process, fp32 is fp32 again."""
    for name, arithmetic in (("a", "bf16"), ("b", "fp32")):
        recipe = RECIPE.model_copy(update={"epochs": 1, "arithmetic": arithmetic})
        model, _ = learn(tiny_base, tmp_path / name, recipe)
    assert changed(plain, model) == set()


def test_frozen_layers_stay_as_they_are(tiny_base: Path) -> None:
    """1 freezes the embeddings, 2 the lowest layer too; neither is handed to the optimiser."""
    for frozen, still in ((0, set[str]()), (1, {"embeddings"}), (2, {"embeddings", "layer.0"})):
        model = load_classifier(tiny_base, SPACE, Recipe())
        freeze(model, frozen)
        for name, parameter in model.named_parameters():
            assert parameter.requires_grad != any(f".{part}." in name for part in still)
        learning = {id(parameter) for group in parameter_groups(model, Recipe()) for parameter in group["params"]}
        assert learning == {id(parameter) for parameter in model.parameters() if parameter.requires_grad}


def test_more_frozen_layers_than_the_encoder_has_are_refused(tiny_base: Path) -> None:
    """The tiny encoder has two layers: 3 freezes all of it, 4 is a mistake and says what there is."""
    model = load_classifier(tiny_base, SPACE, Recipe())
    freeze(model, 3)
    assert {name.split(".")[0] for name, value in model.named_parameters() if value.requires_grad} == {"head"}
    with pytest.raises(TicketRouterError, match="frozen_layers = 4, but the encoder has 2 layers"):
        freeze(model, 4)


def test_dropout_is_the_recipes_outside_attention(tiny_base: Path) -> None:
    """The recipe's dropout reaches every hidden layer and the head; attention has none, or its fused kernel is lost."""
    model = load_classifier(tiny_base, SPACE, Recipe(dropout=0.3))
    found = {name: part.p for name, part in model.named_modules() if isinstance(part, torch.nn.Dropout)}
    assert {name for name, p in found.items() if p != 0.3} == {name for name in found if ".attention.self." in name}
    assert all(p == 0 for name, p in found.items() if ".attention.self." in name)
    assert load_classifier(tiny_base, SPACE, Recipe()).dropout.p == 0.1


def test_general_texts_are_learned_and_leave_no_trace_in_the_head(tiny_base: Path, tmp_path: Path) -> None:
    """The encoder ends elsewhere for having learned them too; the model has the own labels' outputs alone."""
    texts = (prepared(n, f"a happy text {n}", ("anger", "joy")[n % 2]) for n in range(30))
    general = GeneralExamples(tuple(texts), ("anger", "joy"), 0.2)
    recipe = RECIPE.model_copy(update={"epochs": 1})
    model, figures = learn(tiny_base, tmp_path / "run", recipe, general=general)
    assert model.head.out_features == SPACE.size
    assert figures[0].epoch == 1


def test_an_epochs_loss_is_the_mean_over_its_steps() -> None:
    """Log entries are means over the steps since the one before; an epoch weighs them, and starts anew after it."""
    log = [
        {"loss": 4.0, "step": 10, "epoch": 0.5},
        {"loss": 1.0, "step": 15, "epoch": 1.0},
        {"eval_macro_f1": 0.5, "step": 15, "epoch": 1.0},
        {"loss": 0.5, "step": 30, "epoch": 2.0},
        {"eval_macro_f1": 0.7, "step": 30, "epoch": 2.0},
        {"train_loss": 1.5, "step": 30, "epoch": 2.0},
    ]
    assert [(each.epoch, each.loss, each.macro_f1) for each in epoch_figures(log)] == [(1, 3.0, 0.5), (2, 0.5, 0.7)]


def test_peak_memory_is_in_megabytes() -> None:
    """A process with torch in it takes between a hundred megabytes and what a machine has."""
    assert 100 < peak_megabytes() < 1_000_000
