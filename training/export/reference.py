"""Rows that stand for future mail → the reference that the service measures drift against."""

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from models.bundle.manifest import Bins, Reference
from models.scoring import FieldScoring, Logits, familiarities, has_novelty, probabilities
from models.text.script import SCRIPTS, dominant_script
from training.learn.rows import EncodedExamples

BINS = 10
ROWS_PER_BIN = 20
PARTS = ("validation", "calibration")
_DIGITS = 6


def reference_of(
    rows: Mapping[str, EncodedExamples], logits: Mapping[str, Logits], scorings: Sequence[FieldScoring]
) -> Reference:
    """The reference of one graph from its validation and calibration rows, which it did not learn from; `logits`: those
    that calibrate it."""
    answers = np.concatenate([logits[part] for part in PARTS])
    confidences = [probabilities(answers, scoring) for scoring in scorings]
    lengths = [len(encoding.ids) for part in PARTS for encoding in rows[part].encodings]
    scripts = Counter(dominant_script(example.text) for part in PARTS for example in rows[part].examples)
    return Reference(
        rows=len(answers),
        labels={
            scoring.field.name: tuple(
                np.bincount(found.argmax(axis=1), minlength=len(scoring.field.labels)).astype(int).tolist()
            )
            for scoring, found in zip(scorings, confidences, strict=True)
        },
        confidence=bins_of(confidences[0].max(axis=1)),
        length=bins_of(np.array(lengths, dtype=np.float64)),
        scripts={script: scripts[script] for script in SCRIPTS},
        familiarity=bins_of(familiarities(answers)) if has_novelty(answers, scorings) else None,
    )


def bins_of(values: NDArray[np.float64]) -> Bins:
    """Bins of about equally many values: at most BINS, and ROWS_PER_BIN values in each. Equal values share a bin."""
    bins = max(2, min(BINS, len(values) // ROWS_PER_BIN))
    edges = np.unique(np.quantile(values, np.arange(1, bins) / bins, method="higher").round(_DIGITS))
    edges = edges[(edges > values.min()) & (edges <= values.max())]
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return Bins(edges=tuple(edges.tolist()), counts=tuple(counts.tolist()))
