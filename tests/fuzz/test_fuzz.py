"""The fuzz targets in the suite: the kept corpus is replayed, and each target is fuzzed for a moment."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import CORPUS, fuzz
from tests.fuzz.targets import TARGETS, Finding

SECONDS = 2


@pytest.mark.parametrize("target", TARGETS)
def test_the_kept_corpus_finds_nothing(target: str) -> None:
    """Every input in the repository, once through its target."""
    kept = sorted((CORPUS / target).iterdir())
    assert len(kept) >= 20
    for path in kept:
        TARGETS[target](path.read_bytes())


def test_the_corpus_stays_small() -> None:
    """The repository keeps it."""
    assert sum(path.stat().st_size for path in CORPUS.rglob("*") if path.is_file()) < 300_000


@pytest.mark.parametrize("target", TARGETS)
def test_a_moment_of_fuzzing_finds_nothing(tmp_path: Path, target: str) -> None:
    """The short form of `make fuzz`: it runs, guided by coverage, and finds nothing."""
    run = fuzz(target, f"-max_total_time={SECONDS}", "-seed=6", work=tmp_path)
    assert run.findings == 0, run.output[-3000:]
    assert run.executions > 100


def test_a_known_input_that_still_fails_is_a_finding(tmp_path: Path) -> None:
    """Even if nothing new is written, since the input is already known."""
    input_that_fails = f"-exact_artifact_path={tmp_path / 'json' / 'found' / 'too much memory'}"
    runs = [fuzz("json", "-runs=1000000", "-rss_limit_mb=1", input_that_fails, work=tmp_path) for _ in range(2)]
    assert [(run.findings, run.known) for run in runs] == [(1, False), (1, True)]


def test_a_target_reports_a_wrong_result(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.targets.MAX_CHARACTERS", 3)
    with pytest.raises(Finding, match="capped"):
        TARGETS["text"](b"\nfour")
