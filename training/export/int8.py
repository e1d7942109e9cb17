"""fp32 graph → int8 graph with a scale per token: a ticket's answer does not depend on the other tickets of its batch.

onnxruntime's own dynamic quantisation has one scale per batch: one ticket's outlier makes the others less exact, and a
ticket's logits depend on its batch (differences of up to 1.0 on banking77; here 1e-6), at twice the error and the same
speed. Method: token-wise activations and column-wise weights, Yao et al., "ZeroQuant", NeurIPS 2022.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

FULL, REDUCED = 127, 63
"""Largest weight. Processors without VNNI add pairs of products in 16 bits: 255 x 63 x 2 fits; 255 x 127 x 2 would
saturate."""
_LARGEST_ACTIVATION = 127
_ZERO = 128
"""Activations are unsigned bytes with the zero point in the middle: processors are fast at unsigned x signed
products."""
_SMALLEST = 1e-9
_MICROSOFT = "com.microsoft"


def write_int8(source: Path, target: Path, largest_weight: int, exact_share: float = 0.0) -> None:
    """Write `source` with its linear layers and embeddings in int8. The head (a `Gemm`) and all other nodes stay fp32.

    Args:
        source: an fp32 graph written by `export_onnx`.
        target: the new file.
        largest_weight: FULL or REDUCED.
        exact_share: this share of the narrowing products (the second of each feed-forward layer) stays fp32, the last
            ones first: outliers in their inputs cause the largest errors.
    """
    model = onnx.load(str(source))
    weights = {each.name: each for each in model.graph.initializer}
    products = [node.input[1] for node in model.graph.node if node.op_type == "MatMul" and node.input[1] in weights]
    narrowing = [name for name in products if len(dims := weights[name].dims) == 2 and dims[0] > dims[1]]
    exact = narrowing[len(narrowing) - round(exact_share * len(narrowing)) :]
    graph = _Int8Graph(weights, largest_weight, frozenset(exact))
    nodes = [new for node in model.graph.node for new in graph.quantised(node)]
    used = {name for node in nodes for name in node.input}
    initializers = [each for each in (*model.graph.initializer, *graph.initializers()) if each.name in used]
    del model.graph.node[:], model.graph.initializer[:]
    model.graph.node.extend(nodes)
    model.graph.initializer.extend(initializers)
    model.opset_import.append(helper.make_opsetid(_MICROSOFT, 1))
    onnx.save(model, str(target))


@dataclass(frozen=True)
class _Int8Graph:
    """A graph during conversion: its initializers, and their replacements."""

    weights: dict[str, Any]
    largest_weight: int
    exact: frozenset[str] = frozenset()
    """Weights that stay fp32."""
    constants: dict[str, Any] = field(default_factory=dict)
    """The new initializers, by name."""
    byte_inputs: set[str] = field(default_factory=set)
    """Activations already in bytes: queries, keys and values share one input."""

    def initializers(self) -> Iterator[Any]:
        fixed = {
            "int8.step": np.float32(1 / _LARGEST_ACTIVATION),
            "int8.zero": np.uint8(_ZERO),
            "int8.smallest": np.float32(_SMALLEST),
            "int8.last_axis": np.array([-1], np.int64),
        }
        for name, values in (fixed | self.constants).items():
            yield numpy_helper.from_array(np.asarray(values), name)

    def quantised(self, node: Any) -> list[Any]:
        """The replacement of this node; the node itself if it has no matrix of weights."""
        if node.op_type == "MatMul" and self._is_matrix(node.input[1]) and node.input[1] not in self.exact:
            return [*self._to_bytes(node.input[0]), *self._linear(node)]
        if node.op_type == "Gather" and self._is_matrix(node.input[0]):
            return self._embedding(node)
        return [node]

    def _is_matrix(self, name: str) -> bool:
        found = self.weights.get(name)
        return found is not None and len(found.dims) == 2 and found.data_type == onnx.TensorProto.FLOAT

    def _to_bytes(self, name: str) -> list[Any]:
        """Divide each token's vector by its largest value, round it to bytes, and keep the largest value as the
        scale."""
        if name in self.byte_inputs:
            return []
        self.byte_inputs.add(name)
        return [
            helper.make_node("Abs", [name], [f"{name}.absolute"]),
            helper.make_node("ReduceMax", [f"{name}.absolute", "int8.last_axis"], [f"{name}.peak"]),
            helper.make_node("Max", [f"{name}.peak", "int8.smallest"], [f"{name}.scale"]),
            helper.make_node("Div", [name, f"{name}.scale"], [f"{name}.unit"]),
            helper.make_node("QuantizeLinear", [f"{name}.unit", "int8.step", "int8.zero"], [f"{name}.bytes"]),
        ]

    def _linear(self, node: Any) -> list[Any]:
        values, weight = node.input
        self._quantise_matrix(weight, axis=0, largest=self.largest_weight)
        inputs = [f"{values}.bytes", f"{weight}.int8", "int8.step", f"{weight}.scale", "int8.zero"]
        product = f"{node.output[0]}.unit"
        return [
            helper.make_node("MatMulIntegerToFloat", inputs, [product], domain=_MICROSOFT, name=node.name),
            helper.make_node("Mul", [product, f"{values}.scale"], list(node.output)),
        ]

    def _embedding(self, node: Any) -> list[Any]:
        table, (ids, out) = node.input[0], (node.input[1], node.output[0])
        self._quantise_matrix(table, axis=1, largest=FULL)
        return [
            helper.make_node("Gather", [f"{table}.int8", ids], [f"{out}.int8"], name=node.name),
            helper.make_node("Cast", [f"{out}.int8"], [f"{out}.unit"], to=onnx.TensorProto.FLOAT),
            helper.make_node("Gather", [f"{table}.scale", ids], [f"{out}.scale"]),
            helper.make_node("Mul", [f"{out}.unit", f"{out}.scale"], [out]),
        ]

    def _quantise_matrix(self, name: str, axis: int, largest: int) -> None:
        """Add the matrix in int8 with a scale per column (axis 0: [columns]) or per row (axis 1: [rows, 1])."""
        if f"{name}.int8" in self.constants:
            return
        matrix = numpy_helper.to_array(self.weights[name])
        scale = np.maximum(np.abs(matrix).max(axis=axis, keepdims=True), _SMALLEST) / largest
        self.constants[f"{name}.int8"] = np.round(matrix / scale).astype(np.int8)
        self.constants[f"{name}.scale"] = (
            scale.astype(np.float32).reshape(-1) if axis == 0 else scale.astype(np.float32)
        )
