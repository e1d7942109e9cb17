from pathlib import Path

from tests.faults.helpdesk_deliveries import run


def test_each_ticket_is_routed_once_through_kills_and_absences(tiny_bundle_path: Path, tmp_path: Path) -> None:
    assert "0 lost" in run(tiny_bundle_path, tmp_path / "service", 300, records="sqlite", away_seconds=1)
