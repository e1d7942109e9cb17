"""What the n-grams of a hybrid model say for and against a label, read from the model's own table."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from models.encoding import Span
from models.fields import Field
from service.explain.phrases import Phrases, choose, neighbours, phrase, words_of, words_within
from service.inference.engine import Engine


def ngram_phrases(engine: Engine, text: str, field: str, label: str) -> Phrases | None:
    """The phrases of one or two words that say most; None: the bundle has no table of n-grams, or no such label.

    Takes a millisecond for a long text.

    Raises:
        BundleError: the table cannot be read.
    """
    known = next((scoring.field for scoring in engine.graph.scorings if scoring.field.name == field), None)
    if engine.ngrams is None or known is None or label not in known.labels:
        return None
    encoding, spans = engine.bundle.encoder.encode_with_spans(text)
    said = contributions(engine.ngrams.weights(encoding), known, label)
    return phrases_of(text, spans, said)


def contributions(weights: NDArray[np.float32], field: Field, label: str) -> NDArray[np.float64]:
    """What each n-gram adds to the label's logit, less the mean of what it adds to the field's other labels."""
    squares = weights[:, -1].astype(np.float64)
    of_field = weights[:, field.slice].astype(np.float64)
    own = of_field[:, field.labels.index(label)]
    others = (of_field.sum(axis=1) - own) / max(of_field.shape[1] - 1, 1)
    return np.asarray((own - others) / np.sqrt(max(squares.sum(), 1.0)))


def phrases_of(text: str, spans: Sequence[Span | None], said: NDArray[np.float64]) -> Phrases:
    """Whole words for wordpieces: what the wordpieces of a word say, and their pairs, is what the word says.

    Args:
        text: the encoded text.
        spans: where its wordpieces stand.
        said: by the wordpieces, then by the pairs of neighbours.
    """
    words = words_of(text)
    touched = [range(0) if span is None else words_within(words, span) for span in spans]
    own: dict[range, float] = defaultdict(float)
    for numbers, value in zip(touched, said[: len(touched)], strict=True):
        if len(numbers):
            own[numbers] += float(value)
    for first, second, value in zip(touched[:-1], touched[1:], said[len(touched) :], strict=True):
        numbers = second if not len(first) else first if not len(second) else range(first.start, second.stop)
        if 0 < len(numbers) <= 2:  # longer: across the cut of a long text
            own[numbers] += float(value)
    scores = {range(each, each + 1): own[range(each, each + 1)] for each in range(len(words))}
    scores |= {pair: own[pair] + scores[pair[:1]] + scores[pair[1:]] for pair in neighbours(text, words) if pair in own}
    pro = choose(scores, 1)
    shown = pro, choose(scores, -1, pro)
    return Phrases(*(tuple(phrase(text, words, each, scores[each]) for each in side) for side in shown))
