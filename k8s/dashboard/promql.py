"""Queries that recur, written once. `PODS` among the labels stands for the chosen pods, as `charts.py` has it."""


def rate(counter: str, labels: str, *by: str) -> str:
    """Per second."""
    total = f"sum by ({', '.join(by)}) " if by else "sum"
    return f"{total}(rate({counter}{{{labels}}}[$__rate_interval]))"


def mean(metric: str, labels: str, *by: str) -> str:
    """Of a histogram, over the last moments."""
    return " / ".join(rate(f"{metric}_{part}", labels, *by) for part in ("sum", "count"))


def quantile(share: float, histogram: str, labels: str, *by: str) -> str:
    """The value that this share of what a histogram saw lies below."""
    return f"histogram_quantile({share}, {rate(f'{histogram}_bucket', labels, 'le', *by)})"
