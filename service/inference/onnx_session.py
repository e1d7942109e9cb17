"""Token ids → logits with onnxruntime: knows neither text nor HTTP nor what the labels mean.

`engine.py` opens one from a bundle's verified bytes; `batcher.py` calls `run` from its own threads, all of them on one
session, which onnxruntime allows.
"""

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from models.encoding import Batch
from models.errors import BundleError, TicketRouterError
from models.scoring import Logits

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
LEADING = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
_ERROR_SEVERITY = 3
_INPUTS = frozenset({"input_ids", "attention_mask"})
_NO_FOLDER = "/dev/null/no-folder"
"""Cannot be made, for its parent is no folder."""


class DeviceError(TicketRouterError):
    """The device asked for is not there."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A loaded graph. `provider` is the one onnxruntime really took."""

    session: ort.InferenceSession
    provider: str
    bound: bool
    """Whether inputs and outputs are bound to the device: one copy there and one back, made by onnxruntime."""

    def run(self, batch: Batch) -> Logits:
        """Logits of a padded batch, float32, shape [rows, labels]."""
        feed = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        logits = self._run_bound(feed) if self.bound else self.session.run(["logits"], feed)[0]
        return np.asarray(logits, dtype=np.float32)

    def _run_bound(self, feed: Mapping[str, Any]) -> Any:
        binding = self.session.io_binding()
        for name, array in feed.items():
            binding.bind_cpu_input(name, array)
        binding.bind_output("logits", "cpu")
        self.session.run_with_iobinding(binding)
        return binding.copy_outputs_to_cpu()[0]


def open_runner(graph: bytes, device: str, intra_op_threads: int, engines: Path | None = None) -> Runner:
    """Load a graph.

    Args:
        graph: a verified ONNX file.
        device: "cpu", "cuda" or "tensorrt".
        intra_op_threads: threads inside one run.
        engines: where TensorRT keeps the engines it builds; building one takes minutes.

    Raises:
        DeviceError: onnxruntime did not take the device (it only warns about that itself).
        BundleError: onnxruntime cannot load the graph, or it is no sequence classifier.
    """
    wanted = LEADING[device]
    if wanted not in ort.get_available_providers():
        raise DeviceError(f"device {device}: this onnxruntime has no {wanted}; install onnxruntime-gpu or use cpu")
    session = _session(graph, _providers(device, engines), _options(intra_op_threads))
    if session.get_providers()[0] != wanted:
        raise DeviceError(f"device {device}: onnxruntime could not start {wanted}; check the driver, or use cpu")
    _refuse_other_graphs(session)
    return Runner(session, wanted, bound=device != "cpu")


@contextlib.contextmanager
def faults_of(version: str) -> Iterator[None]:
    """Inside, whatever onnxruntime makes of a graph that does not fit its tokenizer or labels is the bundle's fault.

    Raises:
        BundleError: the graph cannot run.
    """
    try:
        yield
    except TicketRouterError:
        raise
    except Exception as error:
        raise BundleError(f"bundle {version}: its graph cannot run ({type(error).__name__}); export it anew") from error


def cuda_offered() -> bool:
    return CUDA in ort.get_available_providers()


def _providers(device: str, engines: Path | None) -> list[Any]:
    """The leading provider and those behind it: a few shape operators have no GPU kernel."""
    if device == "cpu":
        return [CPU]
    if device == "cuda":
        return [CUDA, CPU]
    options = {"trt_fp16_enable": "1", "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engines or ".")}
    return [(TENSORRT, options), CUDA, CPU]


def _session(graph: bytes, providers: Sequence[Any], options: ort.SessionOptions) -> ort.InferenceSession:
    try:
        return ort.InferenceSession(graph, options, providers=list(providers))
    except Exception as error:  # onnxruntime raises a dozen classes of its own, without a common public base
        raise BundleError(f"onnxruntime cannot load the bundle's graph ({type(error).__name__})") from error


def _options(intra_op_threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERROR_SEVERITY
    # Shapes vary from batch to batch: a remembered memory pattern per shape only grows.
    options.enable_mem_pattern = False
    # Spinning workers burn cores while idle and starve the event loop: 0.95 against 3.39 CPU-seconds per 4 s.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # The verified bytes are all there is of the graph: onnxruntime would read its weights from files of the working
    # folder if it said so. And ONNX they must be: the runtime's own format skips the checks of a graph.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options


def _refuse_other_graphs(session: ort.InferenceSession) -> None:
    inputs = {node.name for node in session.get_inputs()}
    if inputs != _INPUTS or "logits" not in {node.name for node in session.get_outputs()}:
        raise BundleError("the bundle's graph is no sequence classifier: it takes or gives other things than expected")
