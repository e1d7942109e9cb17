"""The OpenAPI document and the service agree, as far as a contract tester can tell."""

import re
from pathlib import Path

import pytest

from tests.faults.contract import check_service, run_schemathesis
from tests.faults.servers.stock_keys import stock_with_keys
from tests.support.keys import Known

DIFFERENCES_OF_STOCK = 5
"""Of 8: a lower bound, since a next release may fix some."""


def differences(output: str) -> int:
    """The number in the tester's summary."""
    return sum(map(int, re.findall(r"❌ ST\d+ [^:\n]+: (\d+)", output.partition("SUMMARY")[2])))


def test_the_service_does_what_its_document_says(tiny_bundle_path: Path) -> None:
    """Statuses, types, headers and shapes of responses; invalid input is refused, valid input is not."""
    done = check_service(tiny_bundle_path, 15)
    assert done.returncode == 0, done.stdout + done.stderr
    selected = re.search(r"(\d+) selected / (\d+) total", done.stdout)
    assert selected is not None
    assert int(selected[1]) == int(selected[2]) >= 8


def test_the_contract_tester_finds_differences_in_a_stock_application(tmp_path: Path) -> None:
    """FastAPI's document of the same routes differs from what they do."""
    known = Known("stock")
    with stock_with_keys(tmp_path, known.key, known.key) as stock:
        url = f"http://127.0.0.1:{stock.port}"
        done = run_schemathesis(url + "/openapi.json", url, known, 5)
    assert differences(done.stdout) >= DIFFERENCES_OF_STOCK, done.stdout


@pytest.mark.slow
def test_the_service_does_what_its_document_says_at_length(tiny_bundle_path: Path) -> None:
    done = check_service(tiny_bundle_path, 1000)
    assert done.returncode == 0, done.stdout + done.stderr
