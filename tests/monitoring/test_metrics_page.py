"""docs/observe.md lists exactly the scraped metrics."""

import re
from collections.abc import Iterable
from typing import NamedTuple

from tests.monitoring.conftest import Watched
from tests.support.process import ROOT

PAGE = (ROOT / "docs" / "observe.md").read_text()
ROW = re.compile(r"^\| `(\w+)` \| (\w+) \|([^|]*)\|[^|]*\|$", re.MULTILINE)
OF_THE_FORMAT = {"le", "quantile"}
"""Labels that every histogram or summary has."""
ONLY_SOMEWHERE = re.compile(
    "ticket_router_((memory_used|cpu|gpu|automation|challenger)_|shadow_(compared|labels|confidence)_"
    "|misroute_(alarm|tickets|evidence)$)"
)
"""Metrics that depend on where the tests run, on switches, feedback or a shadow; tests/unit/service/admin,
tests/app/test_automation.py and tests/challengers test them."""


class Family(NamedTuple):
    name: str
    kind: str
    labels: frozenset[str]


def documented() -> set[Family]:
    return {Family(name, kind, frozenset(re.findall(r"`(\w+)`", labels))) for name, kind, labels in ROW.findall(PAGE)}


def scraped(texts: Iterable[str]) -> set[Family]:
    return {
        Family(name, kind, frozenset(_labels(text, name)))
        for text in texts
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE)
    }


def _labels(text: str, name: str) -> set[str]:
    samples = re.findall(rf"^{name}(?:_bucket|_sum|_count)?\{{(.*)\}} ", text, re.MULTILINE)
    return {label for sample in samples for label in re.findall(r'(\w+)="', sample)} - OF_THE_FORMAT


def test_the_page_has_every_metric_with_its_type_and_labels_and_no_other(watched: Watched) -> None:
    """Of a service without keys and record, and of one with both."""
    found = scraped(each.management("/metrics").text for each in (watched.small, watched.with_keys))
    somewhere = {family for family in documented() if ONLY_SOMEWHERE.match(family.name)}
    assert len(somewhere) == 17
    assert documented() == found | somewhere
