"""Cache of inference results by text: bulk mailings, alerts and retries are computed once.

`routing/router.py` looks here before it encodes a text. Each engine has its own cache, so no result outlives its
bundle.
"""

import hashlib
from collections import OrderedDict
from dataclasses import dataclass

from models.scoring import Verdict

_DIGEST_BYTES = 32
"""As long as SHA-256: the author of a mail must not be able to create two texts with the same digest."""


@dataclass(frozen=True, slots=True)
class InferenceResult:
    """The model's result for one text: the verdict, the number of tokens, and whether the text was truncated."""

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
        self._results: OrderedDict[bytes, InferenceResult] = OrderedDict()

    def __len__(self) -> int:
        return len(self._results)

    def get(self, key: bytes) -> InferenceResult | None:
        result = self._results.get(key)
        if result is not None:
            self._results.move_to_end(key)
        return result

    def put(self, key: bytes, result: InferenceResult) -> None:
        """Store a result, unless its scores were no numbers: the next run of that text may give valid scores."""
        if not self.limit or not result.verdict.is_valid:
            return
        self._results[key] = result
        if len(self._results) > self.limit:
            self._results.popitem(last=False)
