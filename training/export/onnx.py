"""Torch → ONNX through optimum, compared with torch on every validation row, and written as a bundle."""

import contextlib
import logging
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from models.bundle.manifest import Frozen
from models.encoding import Batch, Encoder, Encoding
from models.errors import TicketRouterError
from models.scoring import FieldScoring, Logits, judge
from training.learn.classifier import TicketClassifier
from training.learn.rows import rows_through

PARITY_TOLERANCE = 1e-3
"""Largest allowed absolute difference of a logit between torch and onnxruntime."""


OPSET = 18


class Parity(Frozen):
    """Comparison of onnxruntime with torch: rows, largest difference of a logit, verdicts that differ."""

    rows: int
    largest_difference: float
    different_verdicts: int


@dataclass(frozen=True, slots=True)
class OnnxModel:
    """An exported graph in onnxruntime on the CPU, as in the service."""

    session: ort.InferenceSession
    encoder: Encoder

    @classmethod
    def load(cls, onnx: bytes, encoder: Encoder, threads: int = 0) -> "OnnxModel":
        """A session on the graph, on this number of threads; 0: as many as there are cores.

        Raises:
            TicketRouterError: onnxruntime cannot load it.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return cls(ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"]), encoder)
        except Exception as error:  # onnxruntime has one exception type per status
            raise TicketRouterError("onnxruntime cannot load the bundle's graph; export it anew") from error

    def infer(self, batch: Batch) -> Logits:
        """Logits of one padded batch, shape [rows, labels]."""
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        return np.asarray(self.session.run(["logits"], inputs)[0])

    def logits(self, encodings: Sequence[Encoding], batch_size: int = 16) -> Logits:
        """Logits of all rows in their order, shape [rows, labels]."""
        return rows_through(self.infer, encodings, self.encoder, batch_size)


def export_onnx(model: TicketClassifier, folder: Path) -> Path:
    """Write `model.onnx` (fp32, inputs `input_ids` and `attention_mask`, output `logits`) into the folder.

    Raises:
        TicketRouterError: optimum has no ONNX configuration for this kind of encoder.
    """
    from optimum.exporters.onnx import export
    from optimum.exporters.tasks import TasksManager

    kind = model.config.model_type
    try:
        constructor = TasksManager.get_exporter_config_constructor(
            "onnx", model_type=kind, task="text-classification", library_name="transformers"
        )
    except (KeyError, ValueError) as error:
        raise TicketRouterError(f"optimum cannot export a {kind} model; choose another --base") from error
    path = folder / "model.onnx"
    with quiet():
        export(model.cpu().float().eval(), _two_inputs(constructor(model.config)), path, opset=OPSET)
    return path


def _two_inputs(config: Any) -> Any:
    """The encoder's ONNX configuration without `token_type_ids`: for a single text they are all zero."""
    kind = type(config)
    wanted = {name: axes for name, axes in config.inputs.items() if name in ("input_ids", "attention_mask")}
    config.__class__ = type(f"TwoInputs{kind.__name__}", (kind,), {"inputs": property(lambda _: wanted)})
    return config


def check_parity(torch_logits: Logits, onnx_logits: Logits, scorings: Sequence[FieldScoring]) -> Parity:
    """Compare onnxruntime's logits with torch's, both [rows, labels].

    Raises:
        TicketRouterError: a logit differs by more than PARITY_TOLERANCE, or a verdict differs.
    """
    difference = float(np.abs(torch_logits - onnx_logits).max())
    pairs = zip(torch_logits, onnx_logits, strict=True)
    different = sum(outcomes(a, scorings) != outcomes(b, scorings) for a, b in pairs)
    # `not … <=` instead of `>`, so that NaN fails too.
    if different or not difference <= PARITY_TOLERANCE:
        raise TicketRouterError(
            f"export failed its check: onnxruntime is off by {difference:.2g} per logit (allowed {PARITY_TOLERANCE}) "
            f"and gives {different} other verdicts on {len(torch_logits)} rows; nothing was written"
        )
    return Parity(rows=len(torch_logits), largest_difference=difference, different_verdicts=different)


def outcomes(logits: Logits, scorings: Sequence[FieldScoring]) -> list[tuple[str, str | None]]:
    """Each field's outcome and answer on one row's logits, [labels]: small differences of logits must not change
    them."""
    verdict = judge(logits, scorings)
    return [(field.outcome, field.predicted) for field in (verdict.department, *verdict.fields.values())]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress warnings of exporter and converters that concern only their own developers."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
