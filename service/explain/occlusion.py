"""What parts of a text say for a label: how far its confidence falls when they are left out.

Occlusion (Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014). All variants run in
batches through the engine, in the background: callers come first.
"""

import asyncio
import functools
import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.encoding import Span
from models.scoring import FieldScoring, probabilities
from service.explain.phrases import (
    SHOWN,
    Phrase,
    Phrases,
    choose,
    neighbours,
    overlaps,
    phrase,
    ranked,
    sentences_of,
    without,
    words_of,
    words_within,
)
from service.inference.engine import Engine

SENTENCE_TOKENS = 2_560
"""Of all variants together: some 250 ms of one core with a six-layer model in int8."""
WORD_TOKENS = 12_800
"""Likewise: some 1.3 s."""
SENTENCES = 2
"""Most in which words are told apart."""
NEIGHBOURS = 8
"""Words that are tried together with their neighbours."""
OPTIONS = 8
"""Phrases that are tried together with those chosen before."""


@dataclass(frozen=True, slots=True)
class Occlusion:
    """A text, the decided label and the engine to ask. `unread`: the middle of a text that is too long for the model.

    Raises, in every method:
        Overloaded, DeadlinePassed: callers need the engine; try again.
        InferenceFailed, ShuttingDown: as of a ticket.
    """

    engine: Engine
    text: str
    scoring: FieldScoring
    label: str
    deadline: float
    """In the loop's time."""
    tokens: int
    unread: tuple[Span, ...]
    words: Sequence[Span]
    """Those that the model reads."""
    parts: Sequence[Span]
    """Sentences, as far as it reads them."""

    @classmethod
    async def of(cls, engine: Engine, text: str, scoring: FieldScoring, label: str, deadline: float) -> "Occlusion":
        def read() -> tuple[int, tuple[Span, ...], list[Span], list[Span]]:
            encoding, tokens = engine.bundle.encoder.encode_with_spans(text)
            spans = [span for span in tokens if span is not None]
            unread = max(((one[1], two[0]) for one, two in itertools.pairwise(spans)), key=_length, default=(0, 0))
            gap = (unread,) if encoding.truncated else ()
            words = [each for each in words_of(text) if not _touches(each, gap)]
            parts = [part for each in sentences_of(text) for part in _outside(each, gap) if words_within(words, part)]
            return len(encoding.ids), gap, words, parts

        return cls(engine, text, scoring, label, deadline, *await asyncio.to_thread(read))

    async def sentences(self) -> list[Phrase]:
        """All sentences, in the text's order, with what each says for the label. Of a text with too many of them,
        neighbours are taken together."""
        most = max(SENTENCE_TOKENS // self.tokens - 1, 2)
        groups = _parts(len(self.parts), most)
        spans = [(self.parts[start][0], self.parts[stop - 1][1]) for start, stop in groups]
        whole, *rest = await self.confidences([(), *((span,) for span in spans)])
        return [Phrase(span, self.text[slice(*span)], whole - left) for span, left in zip(spans, rest, strict=True)]

    async def phrases(self, sentences: Sequence[Span]) -> Phrases:
        """The phrases for and against the label in these sentences."""
        within = [words_within(self.words, sentence) for sentence in sentences]
        words = [range(number, number + 1) for numbers in within for number in numbers]
        whole = (await self.confidences([()]))[0]
        most = max(WORD_TOKENS // self.tokens // 4, 8)
        if len(words) > most:  # only the words of the parts that matter
            size = -(-len(words) // most) + 1
            parts = [numbers[start : start + size] for numbers in within for start in range(0, len(numbers), size)]
            falls = await self._falls(whole, parts)
            telling = sorted(parts, key=lambda each: -abs(falls[each]))[: max(most // size, 1)]
            words = [range(number, number + 1) for numbers in telling for number in numbers]
        scores = await self._falls(whole, words)
        telling = sorted(words, key=lambda each: -abs(scores[each]))[:NEIGHBOURS]
        pairs = [each for each in neighbours(self.text, self.words) if each[:1] in telling or each[1:] in telling]
        scores |= await self._falls(whole, pairs)
        # What one phrase says another may say too: the next is the one that says most without those before.
        pro: dict[range, float] = {}
        while len(pro) < SHOWN:
            options = [each for each in ranked(scores, 1) if not overlaps(each, pro)][:OPTIONS]
            left = await self._falls(whole, options, tuple(pro)) if pro else scores
            best = max(options, key=lambda each: left[each], default=None)
            if best is None or left[best] <= 0:
                break
            pro[best] = left[best]
            whole -= left[best]
        contra = {each: scores[each] for each in choose(scores, -1, pro)}
        sides = ([phrase(self.text, self.words, *each) for each in side.items()] for side in (pro, contra))
        return Phrases(*map(tuple, sides))

    async def confidences(self, removed: Sequence[Sequence[Span]]) -> list[float]:
        """The label's calibrated confidence without each of these sets of parts."""
        engine, column = self.engine, self.scoring.field.labels.index(self.label)
        encoder, limits = engine.bundle.encoder, engine.limits.packing

        def run(part: Sequence[Sequence[Span]]) -> NDArray[np.float64]:
            texts = [without(self.text, sorted((*each, *self.unread))) for each in part]
            batch = encoder.batch([encoder.encode(text) for text in texts], limits.multiple)
            return probabilities(engine.sessions.run(batch), self.scoring)[:, column]

        rows = max(limits.max_tokens // self.tokens, 1)
        works = [functools.partial(run, removed[start : start + rows]) for start in range(0, len(removed), rows)]
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(engine.batcher.run_in_background(work, self.deadline)) for work in works]
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from None
        return [float(value) for task in tasks for value in task.result()]

    async def _falls(self, whole: float, phrases: Sequence[range], before: Sequence[range] = ()) -> dict[range, float]:
        """How far the confidence falls from `whole` without each phrase, and always without those before."""

        def span(numbers: range) -> Span:
            return self.words[numbers[0]][0], self.words[numbers[-1]][1]

        left = await self.confidences([[span(each), *map(span, before)] for each in phrases])
        return {each: whole - value for each, value in zip(phrases, left, strict=True)}


def strongest(sentences: Sequence[Phrase]) -> list[Span]:
    """The sentences that say most, for or against, in the text's order."""
    return sorted(each.span for each in sorted(sentences, key=lambda each: -abs(each.score))[:SENTENCES])


def _length(span: Span) -> int:
    return span[1] - span[0]


def _outside(span: Span, gap: Sequence[Span]) -> list[Span]:
    """The span without the gap, if there is one."""
    parts = [span]
    for start, end in gap:
        parts = [(span[0], min(span[1], start)), (max(span[0], end), span[1])]
    return parts


def _touches(span: Span, others: Sequence[Span]) -> bool:
    return any(start < span[1] and span[0] < end for start, end in others)


def _parts(count: int, most: int) -> list[tuple[int, int]]:
    """`count` neighbours in at most so many parts of about the same size, none of them empty."""
    parts = min(count, most)
    edges = [count * each // parts for each in range(parts + 1)] if parts else []
    return list(itertools.pairwise(edges))
