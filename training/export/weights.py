"""A bundle's fp32 graph → torch weights: parameters keep their names in the graph, except weights of linear layers.

A bundle holds its weights only once; `training.commands.distil` reads the teacher's from the served graph.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper

from models.errors import TicketRouterError
from training.learn.classifier import TicketClassifier


def restore_weights(graph: bytes, model: TicketClassifier) -> None:
    """Load the weights of an fp32 graph, written by `export_onnx` from the same kind of network, into `model`.

    Raises:
        TicketRouterError: a parameter is not in the graph, or has another shape there.
    """
    found = dict(_tensors(onnx.load_from_string(graph).graph))
    for name, parameter in model.named_parameters():
        values = found.get(name)
        if values is None or values.shape != tuple(parameter.shape):
            raise TicketRouterError(
                f"the bundle's graph has no {name} of this encoder; is --base the model that the teacher came from?"
            )
        with torch.no_grad():
            parameter.copy_(torch.from_numpy(values.copy()))


def _tensors(graph: Any) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """Every parameter by its name in torch."""
    stored = {each.name: numpy_helper.to_array(each) for each in graph.initializer}
    yield from stored.items()
    products = {node.output[0]: node for node in graph.node if node.op_type == "MatMul"}
    for node in graph.node:
        if node.op_type == "Identity" and node.input[0] in stored:  # equal tensors are stored once
            yield node.output[0], stored[node.input[0]]
        elif node.op_type == "Add":
            # A linear layer is MatMul and Add: the bias kept its name; the weight was transposed and renamed.
            bias = next((name for name in node.input if name.endswith(".bias")), None)
            product = next((products[name] for name in node.input if name in products), None)
            if bias and product is not None and product.input[1] in stored:
                yield f"{bias.removesuffix('.bias')}.weight", stored[product.input[1]].T
