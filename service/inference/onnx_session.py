"""Token ids → logits (and pooled vectors) with onnxruntime, independent of text, HTTP and the meaning of the labels.

`engine.py` opens a runner from the verified bytes of a bundle; `batcher.py` calls `run` from several threads on one
session, which onnxruntime allows.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray

from models.encoding import Batch, Encoding
from models.errors import BundleError, TicketRouterError
from models.scoring import Logits, Outputs

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"
TENSORRT = "TensorrtExecutionProvider"
PROVIDERS = {"cpu": CPU, "cuda": CUDA, "tensorrt": TENSORRT}
_ERROR_SEVERITY = 3
_INPUTS = frozenset({"input_ids", "attention_mask"})
_NO_FOLDER = "/dev/null/no-folder"
"""Cannot exist: its parent is not a folder."""


class DeviceError(TicketRouterError):
    """The requested device is not available."""


@dataclass(frozen=True, slots=True)
class Runner:
    """A loaded graph. `provider` is the execution provider that onnxruntime uses."""

    session: ort.InferenceSession
    provider: str
    bound: bool
    """Whether inputs and outputs are bound to the device: onnxruntime then copies once in each direction."""

    def run(self, batch: Batch) -> Logits:
        """Logits of a padded batch, float32, shape [rows, labels]."""
        return self._run(batch, "logits")[0]

    def run_with_pooled(self, batch: Batch) -> Outputs:
        """Logits and pooled vectors of a padded batch, float32."""
        return Outputs(*self._run(batch, "logits", "pooled"))

    def _run(self, batch: Batch, *names: str) -> list[NDArray[np.float32]]:
        feed = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        outputs: Any
        if self.bound:
            binding = self.session.io_binding()
            for name, array in feed.items():
                binding.bind_cpu_input(name, array)
            for name in names:
                binding.bind_output(name, "cpu")
            self.session.run_with_iobinding(binding)
            outputs = binding.copy_outputs_to_cpu()
        else:
            outputs = self.session.run(list(names), feed)
        return [np.asarray(output, dtype=np.float32) for output in outputs]


def open_runner(graph: bytes, device: str, intra_op_threads: int, engines: Path | None = None) -> Runner:
    """Load a graph.

    Args:
        graph: a verified ONNX file.
        device: "cpu", "cuda" or "tensorrt".
        intra_op_threads: threads inside one run.
        engines: folder of the engines that TensorRT builds; building one takes minutes.

    Raises:
        DeviceError: onnxruntime does not use the device (onnxruntime itself would only warn).
        BundleError: onnxruntime cannot load the graph, or the graph is not a sequence classifier.
    """
    provider = PROVIDERS[device]
    if provider not in ort.get_available_providers():
        raise DeviceError(f"device {device}: this onnxruntime has no {provider}; install onnxruntime-gpu or use cpu")
    try:
        session = ort.InferenceSession(graph, _options(intra_op_threads), providers=_providers(device, engines))
    except Exception as error:  # onnxruntime raises a dozen classes of its own, without a common public base
        raise BundleError(f"onnxruntime cannot load the bundle's graph ({type(error).__name__})") from error
    if session.get_providers()[0] != provider:
        raise DeviceError(f"device {device}: onnxruntime could not start {provider}; check the driver, or use cpu")
    inputs, outputs = ({node.name for node in nodes} for nodes in (session.get_inputs(), session.get_outputs()))
    if inputs != _INPUTS or "logits" not in outputs:
        raise BundleError("the bundle's graph is no sequence classifier: it has other inputs or outputs than expected")
    if "pooled" not in outputs:
        raise BundleError("the bundle's graph has no output named pooled; train it again with this release")
    return Runner(session, provider, bound=device != "cpu")


class NgramTable:
    """What each n-gram says: `ngrams.onnx` of a bundle, on the CPU. Opened at its first use; use from any thread."""

    def __init__(self, read: Callable[[], bytes]) -> None:
        self._read = read
        self._lock = threading.Lock()
        self._session: ort.InferenceSession | None = None

    def weights(self, encoding: Encoding) -> NDArray[np.float32]:
        """Of each wordpiece, then of each pair of neighbours, [2 x tokens - 1, labels of all fields + 1]; the last
        column is idf². 15 to 30 µs; the first time 0.1 s.

        Raises:
            BundleError: the file cannot be read or loaded.
        """
        with self._lock:
            if self._session is None:
                graph = self._read()
                try:
                    self._session = ort.InferenceSession(graph, _options(1), providers=[CPU])
                except Exception as error:  # as in `open_runner`
                    raise BundleError(f"onnxruntime cannot load the n-grams ({type(error).__name__})") from error
        ids = np.array([encoding.ids], dtype=np.int64)
        return np.asarray(self._session.run(["ngrams"], {"input_ids": ids})[0][0], dtype=np.float32)


@contextlib.contextmanager
def runtime_errors_as_bundle_error(version: str) -> Iterator[None]:
    """Convert errors of onnxruntime, as for a graph that does not fit the tokenizer or the labels, to a `BundleError`.

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
    """The provider of the device and its fallbacks: a few shape operators have no GPU kernel."""
    if device == "cpu":
        return [CPU]
    if device == "cuda":
        return [CUDA, CPU]
    options = {"trt_fp16_enable": "1", "trt_engine_cache_enable": "1", "trt_engine_cache_path": str(engines or ".")}
    return [(TENSORRT, options), CUDA, CPU]


def _options(intra_op_threads: int) -> ort.SessionOptions:
    options = ort.SessionOptions()
    options.intra_op_num_threads = intra_op_threads
    options.inter_op_num_threads = 1
    options.execution_mode = ort.ExecutionMode.ORT_SEQUENTIAL
    options.log_severity_level = _ERROR_SEVERITY
    # Shapes vary from batch to batch: the cache of memory patterns per shape would only grow.
    options.enable_mem_pattern = False
    # Spinning workers burn cores while idle and starve the event loop: 0.95 against 3.39 CPU-seconds per 4 s.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.add_session_config_entry("session.inter_op.allow_spinning", "0")
    # Use only the verified bytes: a graph can refer to weights in files of the working folder, and onnxruntime would
    # read them. Accept only the ONNX format: for onnxruntime's own format the checks of the graph are skipped.
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", _NO_FOLDER)
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return options
