"""The alert on drift, once for real: a service, its tickets, and a Prometheus."""

import json
import time
from pathlib import Path

import pytest

from tests.monitoring.prometheus import prometheus
from tests.monitoring.rules import rules_of
from tests.support.drifting import TICKETS, bundle_of_usual, cyrillic, send, usual
from tests.support.process import serving
from tests.support.reloading import reload
from tests.support.waiting import wait_until

ALERT = "TicketRouterDrift"
QUIET_SECONDS = 5


@pytest.mark.slow
def test_the_alert_fires_on_other_tickets_and_clears_with_another_bundle(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    """Usual tickets raise none. The committed rule, with seconds for its hours."""
    (rule,) = rules_of(ALERT)
    rule = {**rule, "expr": rule["expr"].replace("[6h]", "[3s]"), "for": "2s"}
    file = tmp_path / "drift.json"
    file.write_text(json.dumps({"groups": [{"name": "drift", "rules": [rule]}]}))
    bundle = bundle_of_usual(tiny_bundle_path, tmp_path / "store")
    tiny = bundle.parent / tiny_bundle_path.name
    tiny.symlink_to(tiny_bundle_path)
    with (
        serving(bundle) as service,
        prometheus(tmp_path, {"pod": f"127.0.0.1:{service.management_port}"}, "127.0.0.1:1", [str(file)]) as watch,
    ):
        texts = usual(2 * TICKETS, seed=2)
        send(service, texts[:TICKETS])
        wait_until(lambda: bool(watch.ask("ticket_router_drift_psi")))
        time.sleep(QUIET_SECONDS)
        assert watch.alert_state(ALERT) is None
        send(service, cyrillic(texts[TICKETS:]))
        wait_until(lambda: watch.alert_state(ALERT) == "firing", seconds=60)
        assert reload(service, tiny.name).status_code == 200
        wait_until(lambda: watch.alert_state(ALERT) is None, seconds=60)
