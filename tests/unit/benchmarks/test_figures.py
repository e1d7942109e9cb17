"""`tests/benchmarks/serving`: medians, ratios and the page made from them."""

import math
from pathlib import Path

import pytest

from tests.benchmarks.serving.figures import Figures, Spread, ratio, spread
from tests.benchmarks.serving.records import About, Ceiling, Closed, Open, Results, Single
from tests.benchmarks.serving.report import number, render, write_report
from tests.benchmarks.serving.rounds import OURS, turned

CALLERS = (1, 64)
REASON = "the environment for litserve cannot be made: no such version"


def _closed(position: int, server: str, callers: int, rate: float, errors: int = 0) -> Closed:
    return Closed(
        round=position,
        workload="short",
        server=server,
        callers=callers,
        rate=rate,
        median=1000 / rate,
        p99=2000 / rate,
        errors=errors,
        server_ms=3.0,
        client_ms=0.05,
        megabytes=300.0,
    )


def _open(position: int, server: str) -> Open:
    figures = {"offered": 50.0, "rate": 50.0, "median": 10.0, "p99": math.nan, "errors": 0}
    return Open(round=position, workload="short", server=server, share=0.5, **figures)


def _results(rounds: int = 3) -> Results:
    about = About(
        processor="a processor",
        cores=2,
        instructions=["avx2"],
        versions={"Python": "3.11"},
        command="python -m tests.benchmarks.serving",
        rounds=rounds,
        seconds=6,
        workloads={"short": "512 texts"},
        servers={OURS: "`--variant fp32`", "naive FastAPI": "inline"},
    )
    results = Results(about=about, failed={"LitServe": REASON})
    for position in range(rounds):
        slower = 1 + position  # a machine that gets slower from round to round
        for callers in CALLERS:
            results.closed.append(_closed(position, OURS, callers, 90 / slower))
            results.closed.append(_closed(position, "naive FastAPI", callers, 45 / slower, errors=7))
        results.open.append(_open(position, OURS))
        for batch, rate in ((1, 80), (4, 100)):
            shape = {"variant": "fp32", "threads": 1, "runs": 2, "batch": batch}
            results.ceilings.append(Ceiling(round=position, workload="short", rate=rate / slower, **shape))
        for threads, median in ((1, 10.0), (2, 5.0)):
            single = {"variant": "fp32", "threads": threads, "median": median * slower, "p99": 2 * median * slower}
            results.singles.append(Single(round=position, workload="short", **single))
    return results


def test_a_spread_is_the_median_and_the_extremes() -> None:
    """NaN means not measured."""
    assert spread([3.0, 1.0, math.nan, 2.0]) == Spread(2.0, 1.0, 3.0)
    assert spread([]) is None


def test_a_ratio_is_taken_within_each_round() -> None:
    """A machine that slows down in one round slows both sides, so the ratio stays; a missing round is left out."""
    assert ratio({0: 10.0, 1: 5.0, 2: 1.0}, {0: 20.0, 1: 10.0}) == Spread(0.5, 0.5, 0.5)
    assert ratio({0: 1.0}, {0: 0.0}) is None


def test_the_ceiling_is_the_setting_with_the_best_median() -> None:
    """Not the best single round of any setting."""
    results = _results()
    lucky = results.ceilings[0].model_copy(update={"rate": 1000.0})
    results.ceilings[0] = lucky  # batch 1, first round only
    figures = Figures(results, "short")
    best = figures.best_loop("fp32")
    assert best is not None
    assert best.batch == 4
    assert figures.ceiling("fp32") == {0: 100.0, 1: 50.0, 2: pytest.approx(100 / 3)}


def test_a_single_run_is_given_in_its_best_thread_setting() -> None:
    """The one with the lower median."""
    assert Figures(_results(), "short").single("fp32") == {0: 5.0, 1: 10.0, 2: 15.0}


def test_the_page_lists_every_server_with_its_ratios_and_errors() -> None:
    """Our row has medians with spread, .90 of the bare loop; the naive server's errors are counted."""
    page = render(_results(), "benchmarks.svg")
    row = next(line for line in page.splitlines() if line.startswith(f"| {OURS} |"))
    assert "45.0 (30.0–90.0)" in row
    assert "| 0.90 |" in row
    naive = next(line for line in page.splitlines() if line.startswith("| naive FastAPI |"))
    assert naive.endswith("| 42 |")
    assert "![" in page
    assert "](benchmarks.svg)" in page


def test_a_server_that_did_not_run_is_listed_with_its_reason() -> None:
    """It is never silently dropped."""
    assert f"**LitServe is not in every round:** {REASON}." in render(_results(), "x.svg")


def test_results_read_from_their_file_give_the_same_page_and_plot(tmp_path: Path) -> None:
    """Measurements can be rendered again, including NaN."""
    results = _results()
    results.save(tmp_path / "raw" / "results.json")
    loaded = Results.load(tmp_path / "raw" / "results.json")
    pages = [tmp_path / "first.md", tmp_path / "again.md"]
    for page, found in zip(pages, (results, loaded), strict=True):
        write_report(found, page)
    assert pages[0].read_text().replace("first.svg", "again.svg") == pages[1].read_text()
    assert pages[0].with_suffix(".svg").read_bytes() == pages[1].with_suffix(".svg").read_bytes()


def test_a_run_stopped_before_its_first_server_can_be_rendered(tmp_path: Path) -> None:
    """The page has no tables then, and there is no traceback."""
    write_report(_results(rounds=0), tmp_path / "page.md")
    assert "## Where and how" in (tmp_path / "page.md").read_text()


@pytest.mark.parametrize(("value", "text"), [(1234.6, "1235"), (99.44, "99.4"), (9.876, "9.88"), (0.0, "0.00")])
def test_a_number_has_three_digits(value: float, text: str) -> None:
    """More would claim a precision that no measurement here has."""
    assert number(value) == text


def test_the_order_rotates_between_rounds() -> None:
    """Over as many rounds as there are servers each is first once."""
    assert [turned(["a", "b", "c"], by)[0] for by in range(4)] == ["a", "b", "c", "a"]
