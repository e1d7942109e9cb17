"""How long to wait between attempts at what keeps failing: for `loader.py` and the supervisor of several processes."""

import itertools
from collections.abc import Iterator, Sequence


def waits(seconds: Sequence[float]) -> Iterator[float]:
    """These, and from then on the last of them."""
    return itertools.chain(seconds, itertools.repeat(seconds[-1]))
