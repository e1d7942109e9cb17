"""Two real services, one of them with keys and a connected helpdesk, under load and scraped by a real Prometheus."""

import asyncio
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.monitoring.kube_state import kube_state_metrics
from tests.monitoring.prometheus import Prometheus, prometheus
from tests.monitoring.traffic import traffic
from tests.support.helpdesk import ENVIRONMENT, connections_file
from tests.support.keys import Known
from tests.support.process import Service, serving
from tests.support.records import decided, recording
from tests.support.waiting import wait_until

LOAD_SECONDS = float(os.environ.get("MONITORING_LOAD_SECONDS", "10"))
"""How long the load lasts before the first query; `make monitoring-test` takes two minutes."""
SMALL_QUEUE = ("--queue-tokens", "64", "--max-batch-tokens", "64", "--runners", "1")
"""One long ticket fills the queue."""

PODS = ("ticket-router-1", "ticket-router-2")
"""The job name of the two services in Prometheus."""
CALLER = Known("zendesk", ("route", "admin"), further="expires = 2999-01-01")
"""The caller's key; the service without keys ignores it."""


@dataclass(frozen=True)
class Watched:
    small: Service
    with_keys: Service
    prometheus: Prometheus


async def with_feedback(state: Path) -> None:
    """A record whose live quality the next service finds: routed tickets, and tickets of the random share."""
    async with recording(state) as recorder:
        for number in range(10):
            for held_out in (False, True):
                await decided(recorder, "billing", 0.97, "billing" if number else "sales", held_out=held_out)


@pytest.fixture(scope="session")
def watched(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Shared, and the load continues: tests leave both services ready."""
    folder = tmp_path_factory.mktemp("prometheus")
    keys_file = folder / "keys.toml"
    keys_file.write_text(CALLER.entry)
    asyncio.run(with_feedback(folder / "state"))
    helpdesks = connections_file(folder, "http://127.0.0.1:9", {}, mode="shadow")
    further = ("--connections-file", str(helpdesks), "--state-dir", str(folder / "state"))
    with (
        serving(tiny_bundle_path, *SMALL_QUEUE) as small,
        serving(
            tiny_bundle_path, "--keys-file", str(keys_file), *further, env={**os.environ, **ENVIRONMENT}
        ) as with_keys,
        traffic((small, with_keys), CALLER.header),
        kube_state_metrics() as kube_state,
        prometheus(
            folder,
            {name: f"127.0.0.1:{each.management_port}" for name, each in zip(PODS, (small, with_keys), strict=True)},
            kube_state,
        ) as watch,
    ):
        time.sleep(LOAD_SECONDS)
        wait_until(lambda: watch.ask("job_department:ticket_router_predictions:ratio_rate6h"), seconds=120)
        yield Watched(small, with_keys, watch)
