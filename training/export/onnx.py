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
from models.scoring import FieldScoring, Logits, Outputs, judge_batch
from training.learn.classifier import TicketClassifier
from training.learn.rows import outputs_through

PARITY_TOLERANCE = 1e-3
"""Largest allowed absolute difference of a logit between torch and onnxruntime."""
POOLED_TOLERANCE = 1e-3
"""Likewise of a number of the pooled vector."""

OPSET = 18


class Parity(Frozen):
    """Comparison of onnxruntime with torch: rows, largest differences of a logit and in a pooled vector, verdicts that
    differ."""

    rows: int
    largest_difference: float
    largest_pooled_difference: float
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
            TicketRouterError: onnxruntime cannot load it, or it has no output `pooled`.
        """
        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(onnx, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime has one exception type per status
            raise TicketRouterError("onnxruntime cannot load the bundle's graph; export it anew") from error
        if not {"logits", "pooled"} <= {node.name for node in session.get_outputs()}:
            raise TicketRouterError("the bundle's graph has no outputs named logits and pooled; train it again")
        return cls(session, encoder)

    def infer(self, batch: Batch) -> Outputs:
        """Outputs of one padded batch."""
        inputs = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
        return Outputs(*map(np.asarray, self.session.run(["logits", "pooled"], inputs)))

    def outputs(self, encodings: Sequence[Encoding], batch_size: int = 16) -> Outputs:
        """Outputs of all rows in their order."""
        return outputs_through(self.infer, encodings, self.encoder, batch_size)

    def logits(self, encodings: Sequence[Encoding], batch_size: int = 16) -> Logits:
        """Logits of all rows in their order, shape [rows, labels]."""
        return self.outputs(encodings, batch_size).logits


def export_onnx(model: TicketClassifier, folder: Path) -> Path:
    """Write `model.onnx` into the folder: fp32, inputs `input_ids` and `attention_mask`, outputs `logits` and `pooled`.

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

    base: Any = constructor.func

    class PooledConfig(base):  # type: ignore[misc]  # optimum has no types
        """The encoder's configuration with this product's inputs and outputs. Without `token_type_ids`: for a single
        text they are all zero."""

        @property
        def inputs(self) -> dict[str, dict[int, str]]:
            used = ("input_ids", "attention_mask")
            return {name: axes for name, axes in super().inputs.items() if name in used}

        @property
        def outputs(self) -> dict[str, dict[int, str]]:
            return {"logits": {0: "batch_size"}, "pooled": {0: "batch_size"}}

    config = PooledConfig(model.config, **constructor.keywords)
    path = folder / "model.onnx"
    with suppress_warnings():
        export(model.cpu().float().eval(), config, path, opset=OPSET)
    return path


def check_parity(torch: Outputs, onnx: Outputs, scorings: Sequence[FieldScoring]) -> Parity:
    """Compare onnxruntime's outputs with torch's on the same rows.

    Raises:
        TicketRouterError: a logit differs by more than PARITY_TOLERANCE, a number of a pooled vector by more than
            POOLED_TOLERANCE, or a verdict differs.
    """
    rows = len(torch.logits)
    difference = float(np.abs(torch.logits - onnx.logits).max())
    pooled = float(np.abs(torch.pooled - onnx.pooled).max())
    pairs = zip(outcomes(torch.logits, scorings), outcomes(onnx.logits, scorings), strict=True)
    different = sum(one != other for one, other in pairs)
    # `not … <=` instead of `>`, so that NaN fails too.
    if different or not difference <= PARITY_TOLERANCE or not pooled <= POOLED_TOLERANCE:
        raise TicketRouterError(
            f"export failed its check: onnxruntime is off by {difference:.2g} per logit (allowed {PARITY_TOLERANCE}), "
            f"by {pooled:.2g} in a pooled vector (allowed {POOLED_TOLERANCE}) and gives {different} other verdicts on "
            f"{rows} rows; nothing was written"
        )
    return Parity(
        rows=rows, largest_difference=difference, largest_pooled_difference=pooled, different_verdicts=different
    )


def outcomes(logits: Logits, scorings: Sequence[FieldScoring]) -> list[list[tuple[str, str | None]]]:
    """Each row's outcome and answer by field from the logits, [rows, labels]: small differences of logits must not
    change them."""
    return [
        [(field.outcome, field.predicted) for field in (verdict.department, *verdict.fields.values())]
        for verdict in judge_batch(logits, scorings)
    ]


@contextlib.contextmanager
def suppress_warnings() -> Iterator[None]:
    """Suppress warnings of exporter and converters that concern only their own developers."""
    previous = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(previous)
