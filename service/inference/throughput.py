"""How fast the model has been lately, and so how long a queue will take: `batcher.py` refuses what would come too late.

A guess that is too slow must not hold: who finds nobody waiting is let in whatever the guess, and corrects it.
"""

SMOOTHING = 0.2
"""Weight of the newest run: five runs forget a slow one."""


class Throughput:
    """Padded tokens per second of all runners together; nothing is known before the first run."""

    def __init__(self) -> None:
        self.tokens_per_second = 0.0

    def learn(self, tokens: int, seconds: float, side_by_side: int) -> None:
        """A run of so many tokens took so long, while `side_by_side` such runs shared the machine."""
        rate = tokens / max(seconds, 1e-6) * side_by_side
        known = self.tokens_per_second or rate
        self.tokens_per_second = known + SMOOTHING * (rate - known)

    def seconds(self, tokens: float) -> float:
        """How long these take; 0 as long as nothing is known."""
        return tokens / self.tokens_per_second if self.tokens_per_second else 0.0
