"""Token ids → logits with onnxruntime: knows neither text nor HTTP nor what the labels mean.

`engine.py` opens one from a bundle's verified bytes; `batcher.py` calls `run` from its own threads, all of them on one
session, which onnxruntime allows.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import onnxruntime as ort

from models.encoding import Batch
from models.errors import BundleError, TicketRouterError
from models.scoring import Logits

PROVIDERS = {"cpu": ["CPUExecutionProvider"], "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"]}
"""On a GPU the CPU stays in the list: a few shape operators have no GPU kernel. Which one leads is checked after."""
_ERROR_SEVERITY = 3
_INPUTS = frozenset({"input_ids", "attention_mask", "token_type_ids"})


class DeviceError(TicketRouterError):
    """The device asked for is not there."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A loaded graph. `provider` is the one onnxruntime really took."""

    session: ort.InferenceSession
    inputs: frozenset[str]
    provider: str

    def run(self, batch: Batch) -> Logits:
        """Logits of a padded batch, float32, shape [rows, labels]."""
        feed = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        if "token_type_ids" in self.inputs:  # BERT's kind has them, always zero for one text
            feed["token_type_ids"] = np.zeros_like(batch.input_ids)
        (logits,) = self.session.run(["logits"], feed)
        return np.asarray(logits, dtype=np.float32)


def open_runner(graph: bytes, device: str, intra_op_threads: int) -> Runner:
    """Load a graph.

    Args:
        graph: a verified ONNX file.
        device: "cpu" or "cuda".
        intra_op_threads: threads inside one run.

    Raises:
        DeviceError: onnxruntime did not take the device (it only warns about that itself).
        BundleError: onnxruntime cannot load the graph, or it is no sequence classifier.
    """
    wanted = PROVIDERS[device]
    if wanted[0] not in ort.get_available_providers():
        raise DeviceError(f"device {device}: this onnxruntime has no {wanted[0]}; install onnxruntime-gpu or use cpu")
    session = _session(graph, wanted, intra_op_threads)
    if session.get_providers()[0] != wanted[0]:
        raise DeviceError(f"device {device}: onnxruntime could not start {wanted[0]}; check the driver, or use cpu")
    return Runner(session, _inputs(session), wanted[0])


def cuda_offered() -> bool:
    return "CUDAExecutionProvider" in ort.get_available_providers()


def _session(graph: bytes, providers: Sequence[str], intra_op_threads: int) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(graph, _options(intra_op_threads), providers=list(providers))
    except Exception as error:  # onnxruntime raises a dozen classes of its own, without a common public base
        raise BundleError(f"onnxruntime cannot load the bundle's graph ({type(error).__name__})") from error


def _options(intra_op_threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    options.log_severity_level = _ERROR_SEVERITY
    # Shapes vary from batch to batch: a remembered memory pattern per shape only grows.
    options.enable_mem_pattern = False
    # Spinning workers burn cores while idle and starve the event loop: 0.95 against 3.39 CPU-seconds per 4 s.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    return options


def _inputs(session: ort.InferenceSession) -> frozenset[str]:
    inputs = frozenset(node.name for node in session.get_inputs())
    if not inputs <= _INPUTS or "logits" not in {node.name for node in session.get_outputs()}:
        raise BundleError("the bundle's graph is no sequence classifier: it takes or gives other things than expected")
    return inputs
