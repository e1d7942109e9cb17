"""The estimate of the live quality, from decisions and feedback in both databases."""

import asyncio
import time
from functools import partial
from pathlib import Path

import pytest

from service.records import live
from service.records.database.schema import first_id
from service.records.live import Estimate
from service.records.records import Records
from tests.support.records import decided, recording


@pytest.mark.parametrize(
    ("count", "rows", "low", "high"),
    # `scipy.stats.binomtest(count, rows).proportion_ci(method="wilson")`
    [(9, 10, 0.5958, 0.9821), (0, 5, 0.0, 0.4345), (5, 5, 0.5655, 1.0), (930, 1000, 0.9125, 0.9442)],
)
def test_interval_is_wilsons(count: int, rows: int, low: float, high: float) -> None:
    found = live.share(count, rows)
    assert found is not None
    assert (found.value, found.rows) == (count / rows, rows)
    assert found.low == pytest.approx(low, abs=1e-4)
    assert found.high == pytest.approx(high, abs=1e-4)
    assert live.share(0, 0) is None


async def estimated(records: Records, since_ms: int) -> Estimate:
    total, routed = await records.read(lambda connection: live.counts(connection, since_ms))
    sums, last = live.Sums(), first_id(since_ms)
    while (after := await records.read(partial(live.add_portion, after=last, sums=sums))) is not None:
        last = after
    return live.estimate_of(sums, since_ms, since_ms, total, routed)


def test_estimate_rests_on_feedback_and_on_the_random_share_apart(
    tmp_path: Path, records: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "PORTION", 2)

    async def scenario() -> None:
        async with recording(tmp_path, records) as recorder:
            since_ms = int(time.time() * 1000) - 1000
            for truth in ("billing", "billing", "sales", None):
                await decided(recorder, "billing", 0.9, truth, held_out=False)
            for label in ("billing", "billing", "sales"):
                await decided(recorder, label, 0.8, "billing", held_out=True)
            found = await estimated(recorder.records, since_ms)
            assert (found.decisions, found.routed, found.rows) == (4, 4, {"feedback": 3, "audit": 3})
            billing = found.departments["billing"]
            assert billing.override == live.share(1, 4)
            assert billing.measures["feedback"].precision == live.share(2, 3)
            assert billing.measures["feedback"].coverage == live.share(2, 2)
            assert billing.measures["feedback"].confidence == pytest.approx(0.9)
            assert billing.measures["audit"].precision == live.share(2, 2)
            assert billing.measures["audit"].coverage == live.share(3, 3)
            assert found.departments["sales"].measures["audit"].precision == live.share(0, 1)
            assert found.overall.measures["audit"].agreement == live.share(2, 3)
            assert (await estimated(recorder.records, since_ms + 100_000)).rows == {"feedback": 0, "audit": 0}

    asyncio.run(scenario())
