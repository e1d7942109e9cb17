"""Cache of model answers by text: bulk mailings, alerts and retries are computed once.

`routing/router.py` looks here before it encodes a text. Each engine has its own cache, so no answer outlives its
bundle.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from models.scoring import Verdict

_DIGEST_BYTES = 32
"""As long as SHA-256: the author of a mail must not be able to create two texts with the same digest."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The model's answer for one text: the verdict, number of tokens, and whether the text was truncated."""

    verdict: Verdict
    tokens: int
    truncated: bool


def digest(text: str) -> bytes:
    """The cache key of a prepared text; the text itself is not stored."""
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


class ResponseCache:
    """A bounded LRU cache. `limit` 0 stores nothing."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def get(self, key: bytes) -> Answer | None:
        answer = self._answers.get(key)
        if answer is not None:
            self._answers.move_to_end(key)
        return answer

    def put(self, key: bytes, answer: Answer) -> None:
        """Store an answer, unless its scores were no numbers: the next run of that text may give some."""
        if not self.limit or not answer.verdict.is_valid:
            return
        self._answers[key] = answer
        if len(self._answers) > self.limit:
            self._answers.popitem(last=False)
