"""`tests/benchmarks/overload.py`: when its targets are met."""

from collections import Counter
from dataclasses import replace
from multiprocessing import cpu_count

import pytest

from tests.benchmarks.overload import Flood, Found, Rate
from tests.benchmarks.serving.connection import NO_ANSWER

SOUND = Flood(1000.0, Rate(100.0, 0.0), Counter({200: 100, 429: 900}), (0.001, 0.002), (0.01, 0.02), 1.0)
PEAKS = (Rate(100.0, 0.0), Rate(101.0, 0.0))


@pytest.mark.parametrize(
    ("flood", "met"),
    [
        (SOUND, True),
        (replace(SOUND, goodput=Rate(90.0, 0.0)), False),
        (replace(SOUND, goodput=Rate(90.0, cpu_count() / 2)), False),
        (replace(SOUND, refusals=(0.06, 0.07)), False),
        (replace(SOUND, recovery=5.1), False),
        (replace(SOUND, probes=(0.01, 1.1)), False),
        (replace(SOUND, codes=SOUND.codes + Counter({504: 1})), False),
        (replace(SOUND, codes=SOUND.codes + Counter({NO_ANSWER: 1})), False),
    ],
    ids=["all", "goodput", "goodput, of the cores left enough", "refusals", "recovery", "a probe", "late", "lost"],
)
def test_one_missed_target_fails(flood: Flood, met: bool) -> None:
    assert Found(flood, PEAKS, usual=0.01).targets_met is met
