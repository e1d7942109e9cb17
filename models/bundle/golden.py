"""Golden rows: a few tickets with the answer torch gave at export, replayed with onnxruntime wherever the bundle runs.

They disprove train/serve skew instead of assuming it away: the whole path (cleaning, tokens, logits, verdict) must give
what training saw. A replay also warms a session up.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import TypeAdapter, ValidationError

from models.bundle.bundle import Bundle
from models.bundle.manifest import Frozen
from models.encoding import Batch
from models.errors import BundleError
from models.scoring import Logits
from models.text.prepare import prepare
from models.ticket import ContentType, Ticket

GOLDEN = "golden.jsonl"

Infer = Callable[[Batch], Logits]
"""A batch in, its logits out, shape [rows, labels]."""


class GoldenRow(Frozen):
    """A ticket as it arrived, the token ids it must give, torch's logits, and the department's verdict."""

    subject: str
    body: str
    content_type: ContentType
    ids: tuple[int, ...]
    logits: tuple[float, ...]
    outcome: str
    label: str


@dataclass(frozen=True, slots=True)
class Replay:
    """What a replay found: rows compared, and the largest absolute difference of a logit."""

    rows: int
    largest_difference: float


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


def replay(bundle: Bundle, infer: Infer, tolerance: float) -> Replay:
    """Send every golden row through the whole path and compare.

    Args:
        bundle: the opened bundle.
        infer: runs one batch on the runtime that will serve.
        tolerance: largest absolute difference of a logit that is let pass.

    Raises:
        BundleError: a row's tokens, logits or verdict differ: this bundle must not serve here.
    """
    largest = 0.0
    rows = load_rows(bundle)
    for number, row in enumerate(rows, start=1):
        largest = max(largest, _replay_row(bundle, infer, tolerance, number, row))
    return Replay(len(rows), largest)


def _replay_row(bundle: Bundle, infer: Infer, tolerance: float, number: int, row: GoldenRow) -> float:
    where = f"bundle {bundle.version}: golden row {number}"
    ticket = Ticket(subject=row.subject, body=row.body, content_type=row.content_type)
    encoding = bundle.encode(prepare(ticket).text)
    if encoding.ids != row.ids:
        raise BundleError(f"{where} gives other tokens than at export: the tokenizer or the text cleaning differs")
    logits = infer(bundle.encoder.batch([encoding]))[0]
    if logits.shape != (len(row.logits),):
        raise BundleError(f"{where} has {len(row.logits)} logits, the model gives {logits.size}: wrong model file")
    difference = float(np.abs(logits - np.asarray(row.logits, dtype=np.float32)).max())
    if not difference <= tolerance:
        raise BundleError(f"{where} is off by {difference:.2g} per logit, allowed is {tolerance:.2g}: wrong model file")
    verdict = bundle.judge(logits).department
    if (verdict.outcome, verdict.candidates[0].label) != (row.outcome, row.label):
        raise BundleError(f"{where} gives another verdict than at export")
    return difference
