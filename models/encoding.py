"""Prepared text → token ids, with head-and-tail truncation; token ids → a padded batch.

A raw `tokenizers.Tokenizer` with truncation and padding off: the shared Hugging Face tokenizer object raises
"Already borrowed" under threads, this one does not.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

T = TypeVar("T")

Span = tuple[int, int]
"""A part of a text: first character, and the one after the last."""
HEAD_SHARE = 0.75
"""A text that is too long keeps this share of its tokens from the head and the rest from the tail: a request usually
stands at the beginning, and often again at the end."""


@dataclass(frozen=True, slots=True)
class Encoding:
    """One text's token ids, special tokens included, at most `max_tokens` of them."""

    ids: tuple[int, ...]
    truncated: bool


@dataclass(frozen=True, slots=True)
class Batch:
    """Padded rows, each array int64 of shape [rows, padded length]."""

    input_ids: NDArray[np.int64]
    attention_mask: NDArray[np.int64]


class Encoder:
    """Turns texts into token ids the way the bundle's model was trained on."""

    def __init__(self, tokenizer_json: bytes, *, max_tokens: int, pad_id: int) -> None:
        self._tokenizer = Tokenizer.from_buffer(tokenizer_json)
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self.max_tokens = max_tokens
        self.pad_id = pad_id
        # The special tokens that the model wants before and after a text, found by encoding one.
        probe = self._tokenizer.encode("a", add_special_tokens=True)
        mask = probe.special_tokens_mask
        first = mask.index(0) if 0 in mask else len(mask)
        last = len(mask) - mask[::-1].index(0) if 0 in mask else len(mask)
        self._prefix, self._suffix = tuple(probe.ids[:first]), tuple(probe.ids[last:])

    def encode(self, text: str) -> Encoding:
        """Token ids of a text. A text that is too long keeps its head and its tail and is flagged `truncated`."""
        ids = self._tokenizer.encode(text, add_special_tokens=False).ids
        kept = self._kept(ids)
        return Encoding((*self._prefix, *kept, *self._suffix), len(kept) < len(ids))

    def encode_with_spans(self, text: str) -> tuple[Encoding, tuple[Span | None, ...]]:
        """`encode`, and where each token stands in the text; None: a special token."""
        found = self._tokenizer.encode(text, add_special_tokens=False)
        ids, spans = self._kept(found.ids), self._kept(found.offsets)
        encoding = Encoding((*self._prefix, *ids, *self._suffix), len(ids) < len(found.ids))
        return encoding, (*(None for _ in self._prefix), *spans, *(None for _ in self._suffix))

    def _kept(self, tokens: list[T]) -> list[T]:
        """Head and tail of a text that is too long."""
        room = self.max_tokens - len(self._prefix) - len(self._suffix)
        if len(tokens) <= room:
            return tokens
        head = int(room * HEAD_SHARE)
        return tokens[:head] + tokens[len(tokens) - (room - head) :]

    @property
    def special_ids(self) -> frozenset[int]:
        """The ids that stand around every text, and the one that pads batches."""
        return frozenset((*self._prefix, *self._suffix, self.pad_id))

    def text(self, ids: Sequence[int]) -> str:
        """The text of token ids, special tokens by their names."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=False))

    def batch(self, encodings: Sequence[Encoding], multiple: int = 1) -> Batch:
        """Pad encodings to the longest one's length, rounded up to a multiple (but never beyond `max_tokens`)."""
        length = padded_length(max(len(encoding.ids) for encoding in encodings), self.max_tokens, multiple)
        input_ids = np.full((len(encodings), length), self.pad_id, dtype=np.int64)
        attention_mask = np.zeros((len(encodings), length), dtype=np.int64)
        for row, encoding in enumerate(encodings):
            input_ids[row, : len(encoding.ids)] = encoding.ids
            attention_mask[row, : len(encoding.ids)] = 1
        return Batch(input_ids, attention_mask)


def padded_length(tokens: int, max_tokens: int, multiple: int = 1) -> int:
    """The length a row of this many tokens is padded to when it stands alone; never 0, which no graph can run."""
    return min(-(-max(tokens, 1) // multiple) * multiple, max_tokens)
