"""A service notices that its tickets are no longer those that its bundle was measured on."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from tests.support.drifting import TICKETS, bundle_of_usual, cyrillic, departments, longer, send, usual
from tests.support.process import Service, serving
from tests.support.reloading import reload
from tests.support.tiny import SAMPLES, rewritten

ALERT = 0.1
SIGNALS = {"predicted_department", "predicted_priority", "confidence", "length", "script"}


@pytest.fixture(scope="module")
def bundle(tiny_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return bundle_of_usual(tiny_bundle_path, tmp_path_factory.mktemp("drift"))


def indices(service: Service) -> dict[str, float]:
    prefix = 'ticket_router_drift_psi{signal="'
    return {name[len(prefix) : -2]: value for name, value in service.samples().items() if name.startswith(prefix)}


def status(service: Service) -> dict[str, Any]:
    found: dict[str, Any] = service.management("/admin/status").json()["drift"]
    return found


def test_usual_tickets_are_no_drift_and_another_bundle_begins_anew(bundle: Path, tiny_bundle_path: Path) -> None:
    """With too few there is no index. Repeated texts and tickets without a model run do not count."""
    texts = usual(TICKETS, seed=2)
    with serving(bundle) as service:
        send(service, texts[:100])
        send(service, [*texts[:50], " "])
        assert indices(service) == {}
        assert service.samples()["ticket_router_drift_tickets"] == status(service)["tickets"] == 100
        send(service, texts[100:])
        found = indices(service)
        assert set(found) == SIGNALS
        assert max(found.values()) < ALERT
        precision = status(service)["expected_precision"]["department"]
        assert service.counts('expected_precision{field="department"}') == pytest.approx(precision["value"])
        assert precision["promised"] == 0.95
        # The same bundle again changes nothing; another one begins anew.
        assert reload(service).status_code == 200
        assert status(service)["tickets"] == TICKETS
        other = bundle.parent / tiny_bundle_path.name
        other.symlink_to(tiny_bundle_path)
        assert reload(service, other.name).status_code == 200
        assert status(service)["tickets"] == 0


def _rest_in_another_script(texts: list[str], _: Path) -> tuple[list[str], str]:
    share = TICKETS // 10
    return [*cyrillic(texts[:share]), *texts[share:]], "cyrillic"


def _longer(texts: list[str], _: Path) -> tuple[list[str], str]:
    return [*longer(texts[: TICKETS // 2]), *texts[TICKETS // 2 :]], ""


def _one_department_doubled(_: list[str], tiny: Path) -> tuple[list[str], str]:
    """The one that is nearest to a third of the tickets."""
    more = usual(2000, seed=3)
    labels = departments(tiny, more)
    shares = {label: count / len(more) for label, count in Counter(labels).items()}
    chosen = min(shares, key=lambda label: abs(shares[label] - 1 / 3))
    its = [text for text, label in zip(more, labels, strict=True) if label == chosen]
    count = min(round(2 * shares[chosen] * TICKETS), len(its))
    others = [text for text, label in zip(more, labels, strict=True) if label != chosen]
    return [*its[:count], *others[: TICKETS - count]], chosen


@pytest.mark.parametrize(
    ("change", "signal"),
    [
        (_rest_in_another_script, "script"),
        (_longer, "length"),
        (_one_department_doubled, "predicted_department"),
    ],
    ids=["a tenth in another script", "half of them longer", "one department doubled"],
)
def test_other_tickets_are_drift_and_status_names_what_moved(
    bundle: Path, tiny_bundle_path: Path, change: Any, signal: str
) -> None:
    texts, moved = change(usual(TICKETS, seed=2), tiny_bundle_path)
    with serving(bundle) as service:
        send(service, texts)
        assert indices(service)[signal] > ALERT
        bins = status(service)["signals"][signal]["moved"]
        assert moved in {"", *(each["bin"] for each in bins if each["found"] > each["expected"])}


def test_a_bundle_of_before_serves_and_says_that_it_has_no_reference(tiny_bundle_path: Path, tmp_path: Path) -> None:
    """Its manifest has no such entry, and keeps its version."""
    models = json.loads((tiny_bundle_path / "manifest.json").read_text())["models"]
    del models[0]["reference"]
    old = rewritten(tiny_bundle_path, tmp_path, models=models)
    assert "reference" not in (old / "manifest.json").read_text()
    with serving(old) as service:
        send(service, [body for _, body in SAMPLES])
        found = status(service)
        assert (found["reference_rows"], found["signals"], found["tickets"]) == (None, {}, len(SAMPLES))
        assert indices(service) == {}
