"""The document and the service say the same, as far as a contract tester can tell."""

import re
from pathlib import Path

import pytest

from tests.faults.contract import check_service, run_schemathesis
from tests.faults.servers.stock_keys import stock_with_keys
from tests.support.keys import Known

DIFFERENCES_OF_STOCK = 5
"""Of 8: at least so many, whatever the next release mends."""


def differences(told: str) -> int:
    """How many the tester's summary has."""
    return sum(map(int, re.findall(r"❌ ST\d+ [^:\n]+: (\d+)", told.partition("SUMMARY")[2])))


def test_the_service_does_what_its_document_says(tiny_bundle_path: Path) -> None:
    """Statuses, types, headers and shapes of answers; what breaks the schema is refused, what keeps it is not."""
    done = check_service(tiny_bundle_path, 15)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 selected / 3 total" in done.stdout


def test_a_stock_applications_document_is_not_true(tmp_path: Path) -> None:
    """The tester has teeth: FastAPI's document of the same routes differs from what they do."""
    known = Known("stock")
    with stock_with_keys(tmp_path, known.key, known.key) as stock:
        url = f"http://127.0.0.1:{stock.port}"
        done = run_schemathesis(url + "/openapi.json", url, known, 5)
    assert differences(done.stdout) >= DIFFERENCES_OF_STOCK, done.stdout


@pytest.mark.slow
def test_the_service_does_what_its_document_says_at_length(tiny_bundle_path: Path) -> None:
    """The long form."""
    done = check_service(tiny_bundle_path, 1000)
    assert done.returncode == 0, done.stdout + done.stderr
