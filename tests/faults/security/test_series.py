"""Requests create no metric series: the short form of `series.py`."""

from pathlib import Path

import pytest

from tests.faults.series import gained, gained_by_stock

COUNT = 2000


@pytest.mark.parametrize("with_keys", [False, True], ids=["without keys", "with keys"])
def test_random_requests_add_no_series(tiny_bundle_path: Path, with_keys: bool) -> None:
    """Random paths, methods, ids, contents, content types and keys create no series."""
    made, ends = gained(tiny_bundle_path, COUNT // 2, with_keys=with_keys)
    assert made == set()
    assert {200, 404, 405, 415, 422} <= ends.keys(), "they reach every part of the service"


def test_a_stock_application_adds_a_series_for_each_path() -> None:
    """The usual middleware counts by path, including unknown paths."""
    assert gained_by_stock(100) > 50
