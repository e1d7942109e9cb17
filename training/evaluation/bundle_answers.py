"""A bundle's department answers to many rows, as arrays for comparing two bundles."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from models.bundle.bundle import Bundle, Graph
from models.bundle.manifest import Variant
from models.processor import instructions
from models.scoring import FieldVerdict, Outcome
from training.export.onnx import OnnxModel

Predictor = Callable[[Sequence[str]], list[FieldVerdict]]
"""Prepared texts (none empty) → the department's verdict on each."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """The department's answers, each array of shape [rows].

    `predicted` numbers a label in the caller's catalogue; NO_LABEL: no answer. `outcome` holds `Outcome` values.
    """

    predicted: NDArray[np.int64]
    confidence: NDArray[np.float64]
    outcome: NDArray[np.str_]

    @property
    def routed(self) -> NDArray[np.bool_]:
        return np.asarray(self.outcome == Outcome.ROUTE.value)


NO_LABEL = -1


def graph_here(bundle: Bundle, variant: Variant) -> Graph:
    """The bundle's graph of this variant for this processor.

    Raises:
        BundleError: the bundle has no such variant, or none for this processor.
    """
    return bundle.graph(variant, instructions())


def load_graph(bundle: Bundle, graph: Graph, threads: int = 0) -> OnnxModel:
    """A graph of the bundle in onnxruntime, on this number of threads; 0: as many as there are cores.

    Raises:
        BundleError: the file changed since the bundle was opened.
        TicketRouterError: onnxruntime cannot load it.
    """
    return OnnxModel.load(bundle.read(graph.entry.file), bundle.encoder, threads)


def load_predictor(bundle: Bundle, variant: Variant) -> Predictor:
    """A function that answers as this bundle does in the service, with the same code.

    Raises:
        TicketRouterError: as in `graph_here` and `load_graph`.
    """
    graph = graph_here(bundle, variant)
    model = load_graph(bundle, graph)

    def answer(texts: Sequence[str]) -> list[FieldVerdict]:
        logits = model.logits([bundle.encode(text) for text in texts])
        return [verdict.department for verdict in graph.judge_batch(logits)]

    return answer


def verdicts_of(
    verdicts: Sequence[FieldVerdict], catalogue: Sequence[str], aliases: Mapping[str, str] = MappingProxyType({})
) -> Verdicts:
    """Verdicts as arrays, with labels numbered as in the catalogue, each under its alias if it has one."""
    numbers = {label: number for number, label in enumerate(catalogue)}
    labels = [verdict.candidates[0].label if verdict.candidates else None for verdict in verdicts]
    best = [aliases.get(label, label) if label is not None else None for label in labels]
    return Verdicts(
        predicted=np.array([NO_LABEL if label is None else numbers[label] for label in best], dtype=np.int64),
        confidence=np.array([verdict.confidence for verdict in verdicts], dtype=np.float64),
        outcome=np.array([verdict.outcome.value for verdict in verdicts], dtype=np.str_),
    )
