"""What the model said lately, by text: bulk mailings, alerts and retries are computed once.

`router.py` asks here before it encodes a text. An engine has answers of its own, so none outlives its bundle.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np

from models.scoring import Logits

_DIGEST_BYTES = 32
"""As long as SHA-256's: whoever writes the mails must not be able to make two texts with one digest."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the model said of one text: its logits, shape [labels], and what it saw of it."""

    logits: Logits
    tokens: int
    truncated: bool


def digest(text: str) -> bytes:
    """The name a prepared text goes by; the text itself is not kept."""
    return hashlib.blake2b(text.encode(), digest_size=_DIGEST_BYTES).digest()


class ResponseCache:
    """A bounded memory of answers, the longest unused forgotten first. `limit` 0 keeps none."""

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
        """Keep an answer. One that is no number is not kept: the next run of that text may give one."""
        if not self.limit or not np.isfinite(answer.logits).all():
            return
        # A row is a view of its whole batch, which must not live as long as its smallest part.
        self._answers[key] = Answer(answer.logits.copy(), answer.tokens, answer.truncated)
        if len(self._answers) > self.limit:
            self._answers.popitem(last=False)
