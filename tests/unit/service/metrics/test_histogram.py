"""`FastHistogram` is exported like prometheus_client's own histogram."""

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Histogram, disable_created_metrics, generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

from service.metrics.histogram import FastHistogram

BOUNDS = (0.001, 0.5, 1, 30)
AMOUNTS = st.lists(st.one_of(st.sampled_from(BOUNDS), st.floats(0, 100)), max_size=20)


@given(AMOUNTS)
def test_both_expositions_equal_those_of_prometheus_client(amounts: Sequence[float]) -> None:
    """Values on a bound, between bounds and above the last; without a label."""
    ours, theirs = CollectorRegistry(), CollectorRegistry()
    disable_created_metrics()  # type: ignore[no-untyped-call]
    fast = FastHistogram(ours, "seconds", "Help.", BOUNDS)
    library = Histogram("seconds", "Help.", buckets=BOUNDS, registry=theirs)
    for amount in amounts:
        fast.observe(amount)
        library.observe(amount)
    assert generate_latest(ours) == generate_latest(theirs)
    assert generate_openmetrics(ours) == generate_openmetrics(theirs)


def test_every_value_of_the_label_has_its_series_from_the_start() -> None:
    registry = CollectorRegistry()
    fast = FastHistogram(registry, "seconds", "Help.", BOUNDS, "stage", ("parse", "encode"))
    fast.observe(0.7, "encode")
    page = generate_latest(registry).decode()
    assert 'seconds_count{stage="parse"} 0.0' in page
    assert 'seconds_bucket{le="1.0",stage="encode"} 1.0' in page


def test_an_unknown_value_is_an_error() -> None:
    """A label's values come from a closed set."""
    fast = FastHistogram(CollectorRegistry(), "seconds", "Help.", BOUNDS, "stage", ("parse",))
    with pytest.raises(KeyError):
        fast.observe(1, "lunch")
