"""What parts of a text say for a label: how far its confidence falls when they are left out.

Occlusion (Zeiler & Fergus, "Visualizing and Understanding Convolutional Networks", ECCV 2014). All variants run in
batches through the engine, in the background: callers come first.
"""

import asyncio
import itertools
from collections.abc import Collection, Sequence
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
SENTENCES = 2
"""In which words are told apart."""
NEIGHBOURS = 8
"""Words that are tried together with their neighbours."""
OPTIONS = 8
"""Phrases that are tried together with those chosen before."""


@dataclass(frozen=True, slots=True)
class Occlusion:
    """A text, the decided label and the engine to ask.

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

    async def sentences(self) -> list[Phrase]:
        """All sentences that the model reads, in the text's order, with what each says for the label. Of a text with
        too many of them, neighbours are taken together."""
        spans = self._read_sentences()
        tokens = self._tokens()
        most = max(SENTENCE_TOKENS // tokens - 1, 2)
        groups = [spans[start:stop] for start, stop in _parts(len(spans), most)]
        spans = [(group[0][0], group[-1][1]) for group in groups]
        whole, *rest = await self.confidences([self.text, *(without(self.text, [span]) for span in spans)])
        return [Phrase(span, self.text[slice(*span)], whole - left) for span, left in zip(spans, rest, strict=True)]

    async def words(self, sentences: Sequence[Phrase]) -> Phrases:
        """The phrases for and against the label in the sentences that matter most."""
        words = words_of(self.text)
        strongest = sorted(sentences, key=lambda each: -abs(each.score))[:SENTENCES]
        within = sorted(number for sentence in strongest for number in words_within(words, sentence.span))
        most = max(WORD_TOKENS // self._tokens() // 2, 8)
        single = [within[start] for start, stop in _parts(len(within), most)]

        async def left(removed: Sequence[Collection[range]]) -> list[float]:
            texts = [
                without(self.text, [(words[r[0]][0], words[r[-1]][1]) for r in sorted(each, key=lambda r: r.start)])
                for each in removed
            ]
            return await self.confidences(texts)

        alone = [range(number, number + 1) for number in single]
        whole, *rest = await left([(), *((each,) for each in alone)])
        scores = {each: whole - value for each, value in zip(alone, rest, strict=True)}
        telling = sorted(scores, key=lambda each: -abs(scores[each]))[:NEIGHBOURS]
        pairs = [each for each in neighbours(self.text, words) if each[:1] in telling or each[1:] in telling]
        pairs = [each for each in pairs if each[0] in within and each[1] in within]
        rest = await left([(each,) for each in pairs])
        scores |= {each: whole - value for each, value in zip(pairs, rest, strict=True)}
        # What one phrase says another may say too: the next is the one that says most without those before.
        pro: dict[range, float] = {}
        while len(pro) < SHOWN:
            options = [each for each in ranked(scores, 1) if not overlaps(each, pro)][:OPTIONS]
            rest = await left([(*pro, each) for each in options])
            if not rest or min(rest) >= whole:
                break
            best = int(np.argmin(rest))
            pro[options[best]], whole = whole - rest[best], rest[best]
        contra = {each: scores[each] for each in choose(scores, -1, pro)}
        return Phrases(*(tuple(phrase(self.text, words, *each) for each in side.items()) for side in (pro, contra)))

    async def confidences(self, texts: Sequence[str]) -> list[float]:
        """The label's calibrated confidence in each text."""
        engine, column = self.engine, self.scoring.field.labels.index(self.label)
        encoder, limits = engine.bundle.encoder, engine.limits.packing

        def run(part: Sequence[str]) -> NDArray[np.float64]:
            batch = encoder.batch([encoder.encode(text) for text in part], limits.multiple)
            return probabilities(engine.sessions.run(batch), self.scoring)[:, column]

        rows = max(limits.max_tokens // self._tokens(), 1)
        async with asyncio.TaskGroup() as group:
            parts = [
                group.create_task(
                    engine.batcher.run_in_background(lambda part=texts[start : start + rows]: run(part), self.deadline)
                )
                for start in range(0, len(texts), rows)
            ]
        return [float(value) for part in parts for value in part.result()]

    def _read_sentences(self) -> list[Span]:
        """Those of which the model reads a word."""
        _, spans = self.engine.bundle.encoder.encode_with_spans(self.text)
        read = [span for span in spans if span is not None]
        return [each for each in sentences_of(self.text) if any(a < each[1] and each[0] < b for a, b in read)]

    def _tokens(self) -> int:
        return len(self.engine.bundle.encode(self.text).ids)


def _parts(count: int, most: int) -> list[tuple[int, int]]:
    """`count` neighbours in at most so many parts of about the same size, none of them empty."""
    parts = min(count, most)
    edges = [count * each // parts for each in range(parts + 1)] if parts else []
    return list(itertools.pairwise(edges))
