"""Recent throughput of the model. `batcher.py` estimates queue times from it and refuses entries that would be late.

Too low an estimate corrects itself: an empty queue always accepts an entry, and its run updates the estimate.
"""

SMOOTHING = 0.2
"""Weight of the newest run: after five runs a slow one hardly counts."""


class Throughput:
    """Moving average of padded tokens per second of all runners together; 0 before the first run."""

    def __init__(self) -> None:
        self.tokens_per_second = 0.0

    def record_run(self, tokens: int, seconds: float, parallel_runs: int) -> None:
        """A run of `tokens` took `seconds` while `parallel_runs` such runs shared the machine."""
        rate = tokens / max(seconds, 1e-6) * parallel_runs
        average = self.tokens_per_second or rate
        self.tokens_per_second = average + SMOOTHING * (rate - average)

    def seconds_for(self, tokens: float) -> float:
        """Estimated time for these tokens; 0 before the first run."""
        return tokens / self.tokens_per_second if self.tokens_per_second else 0.0
