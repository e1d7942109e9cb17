"""Many rows through a network, in batches of like length: torch in `finetune` and `head`, onnxruntime in `export`."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from models.encoding import Batch, Encoder, Encoding


def rows_through(
    infer: Callable[[Batch], NDArray[np.float32]], encodings: Sequence[Encoding], encoder: Encoder, batch_size: int
) -> NDArray[np.float32]:
    """What `infer` gives for all rows (at least one), in their own order: shape [rows, width of an answer].

    Sorted by length on the way, so that little is padded.

    Args:
        infer: runs one batch; [rows of the batch, width].
        encodings: the rows.
        encoder: pads them.
        batch_size: rows of a batch.
    """
    order = sorted(range(len(encodings)), key=lambda row: len(encodings[row].ids))
    batches = (order[start : start + batch_size] for start in range(0, len(order), batch_size))
    found = np.concatenate([infer(encoder.batch([encodings[row] for row in rows])) for rows in batches])
    restored = np.empty_like(found)
    restored[order] = found
    return restored
