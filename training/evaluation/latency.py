"""Two bundles' time per ticket on one core, measured in turns, so that other load affects both equally."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from models.bundle.bundle import Bundle, Graph
from models.bundle.manifest import Frozen, Variant
from training.evaluation.bundle_answers import graph_here, load_graph
from training.export.onnx import OnnxModel

TEXTS = 100
_WARM_UP = 3


class Cost(Frozen):
    """The cost of running a bundle's graph: median milliseconds per ticket on one core, and megabytes of its file."""

    milliseconds: float
    megabytes: float


@dataclass(frozen=True, slots=True)
class _Runner:
    bundle: Bundle
    graph: Graph
    model: OnnxModel

    def seconds(self, text: str) -> float:
        """One ticket from prepared text to verdict."""
        begin = time.perf_counter()
        outputs = self.model.infer(self.bundle.encoder.batch([self.bundle.encode(text)]))
        self.graph.judge(outputs.logits[0])
        return time.perf_counter() - begin


def costs(bundles: Sequence[Bundle], variant: Variant, texts: Sequence[str]) -> list[Cost]:
    """Each bundle's cost on up to TEXTS of these prepared texts (at least one), evenly spaced.

    Raises:
        TicketRouterError: a bundle has no such variant, or onnxruntime cannot load it.
    """
    graphs = [(bundle, graph_here(bundle, variant)) for bundle in bundles]
    runners = [_Runner(bundle, graph, load_graph(bundle, graph, threads=1)) for bundle, graph in graphs]
    chosen = texts[:: max(1, len(texts) // TEXTS)][:TEXTS]
    for runner in runners:
        for text in chosen[:_WARM_UP]:
            runner.seconds(text)
    times = [[runner.seconds(text) for runner in runners] for text in chosen]
    medians = [median(column) for column in zip(*times, strict=True)]
    return [
        Cost(milliseconds=1000 * seconds, megabytes=bundle.manifest.files[graph.entry.file].size / 1e6)
        for seconds, (bundle, graph) in zip(medians, graphs, strict=True)
    ]
