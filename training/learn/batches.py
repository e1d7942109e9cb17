"""Many rows through a network, in batches of like length: torch in `finetune`, onnxruntime in `export`."""

from collections.abc import Sequence

import numpy as np

from models.encoding import Encoder, Encoding
from models.golden import Infer
from models.scoring import Logits


def logits_of(encodings: Sequence[Encoding], encoder: Encoder, infer: Infer, batch_size: int) -> Logits:
    """Logits of all rows (at least one) in their own order, shape [rows, labels]; sorted by length, little is padded.

    Args:
        encodings: the rows.
        encoder: pads them.
        infer: runs one batch.
        batch_size: rows of a batch.
    """
    order = sorted(range(len(encodings)), key=lambda row: len(encodings[row].ids))
    batches = (order[start : start + batch_size] for start in range(0, len(order), batch_size))
    logits = np.concatenate([infer(encoder.batch([encodings[row] for row in rows])) for rows in batches])
    restored = np.empty_like(logits)
    restored[order] = logits
    return restored
