"""A student: which layers it keeps, what its loss is, where the teacher's weights come from, how its training ends."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.distributed as dist
from transformers import EvalPrediction

from models.errors import TicketRouterError
from models.fields import LabelSpace
from tests.support import learning
from tests.support.plain import draft, plain_bundle
from training.commands.distil import DistilRequest, distil
from training.data.source import TicketFile
from training.export.onnx import export_onnx
from training.export.weights import restore_weights
from training.learn.classifier import TicketClassifier, load_classifier
from training.learn.distillation import SOFTNESS, smaller, soft_loss, teach
from training.learn.finetune import DepartmentF1, predict
from training.learn.general import TrainingData
from training.recipe import Recipe

SPACE = LabelSpace.of({"department": ["a", "b"], "priority": ["x", "y", "z"]})


@pytest.fixture
def teacher(tiny_base: Path) -> TicketClassifier:
    return load_classifier(tiny_base, SPACE, Recipe()).eval()


def test_the_weights_come_back_from_the_graph(tiny_base: Path, teacher: TicketClassifier, tmp_path: Path) -> None:
    """Every parameter of the exported graph, equal tensors among them, is restored to the last bit."""
    with torch.no_grad():
        for parameter in teacher.parameters():
            parameter.add_(torch.randn_like(parameter) * (parameter.ndim > 1))  # the vectors stay equal to each other
    graph = export_onnx(teacher, tmp_path).read_bytes()
    fresh = load_classifier(tiny_base, SPACE, Recipe())
    restore_weights(graph, fresh)
    wanted = teacher.state_dict()
    for name, values in fresh.state_dict().items():
        assert torch.equal(values, wanted[name]), name


def test_another_encoders_graph_is_refused(tiny_base: Path, teacher: TicketClassifier, tmp_path: Path) -> None:
    """A graph with other labels, or of another encoder, is one line that names the parameter."""
    graph = export_onnx(teacher, tmp_path).read_bytes()
    other = load_classifier(tiny_base, LabelSpace.of({"department": ["a", "b", "c"]}), Recipe())
    with pytest.raises(TicketRouterError, match=r"no head\.weight of this encoder") as caught:
        restore_weights(graph, other)
    assert "\n" not in str(caught.value)


def test_a_student_keeps_the_last_layer_and_the_head(teacher: TicketClassifier) -> None:
    """One of two layers: the upper one. The teacher itself stays whole, and the student still answers."""
    student = smaller(teacher, 1)
    layers, kept = teacher.encoder.encoder.layer, student.encoder.encoder.layer
    assert (len(layers), len(kept), student.config.num_hidden_layers) == (2, 1, 1)
    for ours, theirs in zip(kept[0].parameters(), layers[1].parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert torch.equal(student.head.weight, teacher.head.weight)
    ids = torch.tensor([[0, 5, 6, 2]])
    assert student(ids, torch.ones_like(ids))["logits"].shape == (1, SPACE.size)


@pytest.mark.parametrize("layers", [0, 2, 3, -1])
def test_a_student_that_is_no_smaller_is_refused(teacher: TicketClassifier, layers: int) -> None:
    """As many layers as the teacher, more, or none: one line that says how many it has."""
    with pytest.raises(TicketRouterError, match="the teacher has 2 layers"):
        smaller(teacher, layers)


def test_the_soft_loss_is_the_softened_divergence_over_the_fields() -> None:
    """By hand: per field, the divergence of softened probabilities; 0 for the teacher's own answers."""
    generator = np.random.default_rng(3)
    student, wanted = (generator.normal(size=(4, 5)).astype(np.float32) for _ in range(2))

    def probabilities(logits: np.ndarray) -> np.ndarray:
        raised = np.exp(logits / SOFTNESS)
        return np.asarray(raised / raised.sum(axis=1, keepdims=True))

    per_field = []
    for part in (slice(0, 2), slice(2, 5)):
        p, q = probabilities(wanted[:, part]), probabilities(student[:, part])
        per_field.append((p * np.log(p / q)).sum(axis=1).mean())
    found = soft_loss(torch.from_numpy(student), torch.from_numpy(wanted), SPACE)
    assert float(found) == pytest.approx(SOFTNESS**2 * np.mean(per_field), rel=1e-5)
    assert float(soft_loss(torch.from_numpy(wanted), torch.from_numpy(wanted), SPACE)) == pytest.approx(0, abs=1e-6)


@pytest.fixture
def alone_in_a_group() -> Iterator[None]:
    """This process as torchrun's only one."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    if dist.is_initialized():
        dist.destroy_process_group()


@pytest.mark.usefixtures("alone_in_a_group")
def test_teaching_ends_as_fine_tuning_does(tiny_base: Path, tmp_path: Path) -> None:
    """The best epoch's weights are kept, in evaluation mode, and the common work of torchrun's processes is over."""
    teacher, encoder = learning.fresh(tiny_base, learning.RECIPE)
    train, validation = learning.rows(encoder, 46), learning.rows(encoder, 21, 200)
    soft = replace(train, soft=predict(teacher, encoder, train.encodings))
    student = smaller(teacher, 1)
    data = TrainingData(encoder, learning.SPACE, soft, validation)
    figures = teach(student, data, learning.RECIPE, tmp_path / "run")
    assert not dist.is_initialized()
    assert not student.training
    logits = predict(student, encoder, validation.encodings)
    found = DepartmentF1(learning.SPACE)(EvalPrediction(logits, validation.labels))["macro_f1"]
    assert (len(figures), found) == (learning.RECIPE.epochs, max(each.macro_f1 for each in figures))


@pytest.mark.skipif(torch.cuda.is_available(), reason="fp16 is possible here")
def test_a_teachers_recipe_that_cannot_run_here_is_refused_at_once(tmp_path: Path) -> None:
    """One line on the arithmetic, before any file of tickets is looked for."""
    recipe = Recipe(arithmetic="fp16").model_dump(mode="json")
    teacher = plain_bundle(tmp_path / "teachers", draft(provenance={"recipe": recipe}))
    request = DistilRequest(teacher, TicketFile(tmp_path / "missing.csv"), tmp_path / "students")
    with pytest.raises(TicketRouterError, match=r'^recipe: arithmetic = "fp16" needs a GPU[^\n]*$'):
        distil(request, print)
    assert not (tmp_path / "students").exists()
