"""`BatchReport`: the batcher's report of a model run. A separate module, so that the batcher imports no Prometheus."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BatchReport:
    """One finished run, for metrics and the log."""

    rows: int
    own_tokens: int
    padded_tokens: int
    waits: tuple[float, ...]
    started: float
    seconds: float
    error: BaseException | None
