"""Golden rows: a few tickets with torch's answer at export, replayed with onnxruntime wherever the bundle runs.

They detect train/serve skew: cleaning, tokens, logits and verdict must equal those of training. A replay also warms the
session up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter, ValidationError

from models.bundle.bundle import Bundle, Graph
from models.bundle.manifest import Frozen
from models.encoding import Batch
from models.errors import BundleError
from models.scoring import Outputs
from models.text.prepare import prepare
from models.ticket import ContentType, Ticket

GOLDEN = "golden.jsonl"

Infer = Callable[[Batch], Outputs]


class GoldenRow(Frozen):
    """A ticket as it arrived, its expected token ids, torch's logits and pooled vector, and the department's verdict,
    which every graph of the bundle must give."""

    subject: str
    body: str
    content_type: ContentType
    ids: tuple[int, ...]
    logits: tuple[float, ...]
    pooled: tuple[float, ...]
    outcome: str
    label: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found: rows compared, and the largest absolute differences of a logit and in a pooled vector."""

    rows: int
    largest_difference: float
    largest_pooled_difference: float


_ROW = TypeAdapter(GoldenRow)


def dump_rows(rows: Sequence[GoldenRow]) -> bytes:
    return b"".join(_ROW.dump_json(row) + b"\n" for row in rows)


def load_rows(bundle: Bundle) -> list[GoldenRow]:
    """The bundle's golden rows.

    Raises:
        BundleError: the file does not hold the rows the manifest promises.
    """
    try:
        rows = [_ROW.validate_json(line) for line in bundle.read(GOLDEN).splitlines()]
    except ValidationError as error:
        raise BundleError(f"{bundle.path}/{GOLDEN}: not rows of this release's schema; export it anew") from error
    if len(rows) != bundle.manifest.golden_rows:
        raise BundleError(f"{bundle.path}/{GOLDEN}: {len(rows)} rows, the manifest says {bundle.manifest.golden_rows}")
    return rows


def replay(bundle: Bundle, graph: Graph, infer: Infer) -> Replay:
    """Send every golden row through the whole path and compare, within the graph's tolerances.

    Args:
        bundle: the opened bundle.
        graph: the graph that runs.
        infer: runs one batch on the runtime that will serve.

    Raises:
        BundleError: a row's tokens, logits, pooled vector or verdict differ: this bundle must not serve here.
    """
    rows = load_rows(bundle)
    largest = largest_pooled = 0.0
    for number, row in enumerate(rows, start=1):
        where = f"bundle {bundle.version}: golden row {number}"
        ticket = Ticket(subject=row.subject, body=row.body, content_type=row.content_type)
        encoding = bundle.encode(prepare(ticket).text)
        if encoding.ids != row.ids:
            raise BundleError(f"{where} gives other tokens than at export: the tokenizer or the text cleaning differs")
        outputs = infer(bundle.encoder.batch([encoding]))
        logits, pooled = outputs.logits[0], outputs.pooled[0]
        if logits.shape != (len(row.logits),):
            raise BundleError(f"{where} has {len(row.logits)} logits, the model gives {logits.size}: wrong model file")
        if not len(row.pooled) == bundle.manifest.encoder.width == pooled.size:
            raise BundleError(
                f"{where} has a pooled vector of {len(row.pooled)}, the manifest says {bundle.manifest.encoder.width}, "
                f"the model gives {pooled.size}: wrong model file"
            )
        difference = float(np.abs(logits - np.asarray(row.logits, dtype=np.float32)).max())
        if not difference <= graph.entry.tolerance:
            raise BundleError(
                f"{where} is off by {difference:.2g} per logit, allowed is {graph.entry.tolerance:.2g}: "
                "wrong model file"
            )
        of_pooled = float(np.abs(pooled - np.asarray(row.pooled, dtype=np.float32)).max())
        if not of_pooled <= graph.entry.pooled_tolerance:
            raise BundleError(
                f"{where} is off by {of_pooled:.2g} in its pooled vector, allowed is "
                f"{graph.entry.pooled_tolerance:.2g}: wrong model file"
            )
        verdict = graph.judge(logits).department
        if (verdict.outcome, verdict.candidates[0].label) != (row.outcome, row.label):
            raise BundleError(f"{where} gives another verdict than at export")
        largest, largest_pooled = max(largest, difference), max(largest_pooled, of_pooled)
    return Replay(len(rows), largest, largest_pooled)
