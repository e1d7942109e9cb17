"""What is read when the metrics are asked for: memory that may be used, and a bundle's age."""

import shutil
from pathlib import Path

import pytest

from service.admin.gauges import DiskGauges, ServingGauges
from service.admin.gpu import GpuGauges
from service.api.schemas import ModelOut, PlanOut, ServingOut
from service.inference.cgroup import cpu_throttling, memory_limit_bytes, memory_used_bytes

SERVING = ServingOut(
    bundle="/bundles/b",
    model=ModelOut(version="v", variant="fp32", text_version=1),
    created_at="2026-11-22T00:00:00Z",
    provider="CPUExecutionProvider",
    plan=PlanOut(
        runners=3,
        intra_op_threads=1,
        lone_threads=None,
        lone_tokens=0,
        max_batch_tokens=256,
        max_padding=0.5,
    ),
    queue_depth=1,
    queue_tokens=10,
    queue_tokens_limit=100,
    cache_entries=5,
    golden_rows=9,
    golden_largest_difference=0.0,
    expected_route_ratios={"department": 0.7, "priority": 0.4},
    promised_precisions={"department": 0.95},
)


def values(serving: ServingOut | None) -> dict[str, list[float]]:
    families = ServingGauges(lambda: serving).collect()
    return {family.name.removeprefix("ticket_router_"): [each.value for each in family.samples] for family in families}


def test_queue_plan_and_model_are_gauges() -> None:
    """One series each; the model's and the plan's have their values as labels."""
    gauges = values(SERVING)
    assert (gauges["runners"], gauges["queue_tokens"], gauges["queue_tokens_limit"]) == ([3], [10], [100])
    assert gauges["model_info"] == gauges["plan_info"] == [1]
    assert gauges["expected_route_ratio"] == [0.7, 0.4]
    assert gauges["promised_precision"] == [0.95]
    assert gauges["model_created_timestamp_seconds"] == [1795305600]


def test_without_a_model_the_gauges_are_zero() -> None:
    """A pod that loads its model has metrics already, and no model."""
    gauges = values(None)
    assert (gauges["runners"], gauges["queue_tokens"]) == ([0], [0])
    assert gauges["model_info"] == gauges["model_created_timestamp_seconds"] == []


def test_an_invalid_date_removes_no_other_metric() -> None:
    """A manifest's dates have the form of one; 30 February has it too."""
    gauges = values(SERVING.model_copy(update={"created_at": "2026-02-30T00:00:00Z"}))
    assert (gauges["model_created_timestamp_seconds"], gauges["model_info"]) == ([], [1])


def test_disk_is_that_of_the_folder(tmp_path: Path) -> None:
    """As `df` has it; without the folder there is no metric."""
    free, size = (family.samples[0].value for family in DiskGauges(tmp_path).collect())
    usage = shutil.disk_usage(tmp_path)
    assert (free, size) == (pytest.approx(usage.free, rel=0.05), pytest.approx(usage.used + usage.free, rel=0.05))
    assert list(DiskGauges(tmp_path / "nowhere").collect()) == []


@pytest.mark.parametrize("name", ["memory.max", "memory/memory.limit_in_bytes"])
def test_memory_is_limited_by_the_cgroup(tmp_path: Path, name: str) -> None:
    """Of either version."""
    (tmp_path / "memory").mkdir()
    (tmp_path / name).write_text("2000000\n")
    assert memory_limit_bytes(tmp_path) == 2_000_000


@pytest.mark.parametrize("content", ["max\n", "9223372036854771712\n", "?"])
def test_without_a_limit_it_is_the_memory_of_the_machine(tmp_path: Path, content: str) -> None:
    """Also if the file has unknown content or is missing."""
    nowhere = memory_limit_bytes(tmp_path / "nowhere")
    (tmp_path / "memory.max").write_text(content)
    assert memory_limit_bytes(tmp_path) == nowhere > 100_000_000


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("cpu.stat", "usage_usec 9\nnr_periods 40\nnr_throttled 10\nthrottled_usec 2500000\n"),
        ("cpu/cpu.stat", "nr_periods 40\nnr_throttled 10\nthrottled_time 2500000000\n"),
    ],
    ids=["version 2", "version 1"],
)
def test_throttling_is_read_from_the_cgroup(tmp_path: Path, file: str, content: str) -> None:
    """Of either version; without a quota the kernel counts none."""
    assert cpu_throttling(tmp_path) is None
    (tmp_path / "cpu").mkdir()
    (tmp_path / file).write_text(content.replace("40", "0").replace("10", "0"))
    assert cpu_throttling(tmp_path) is None
    (tmp_path / file).write_text(content)
    assert cpu_throttling(tmp_path) == (40, 10, 2.5)


def test_without_a_gpu_there_are_no_metrics_of_one() -> None:
    """The library is there, and finds no driver."""
    assert list(GpuGauges().collect()) == []


VERSIONS = [
    ("memory.max", "memory.current", "memory.stat", "inactive_file"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
]


def cgroup(folder: Path, names: tuple[str, ...], limit: str, usage: str) -> Path:
    """As the kernel shows it; a tenth of the use is pages that it can drop."""
    (folder / "memory").mkdir()
    for name, content in zip(names, (limit, usage, f"anon 7\n{names[3]} {int(usage) // 10}\n"), strict=False):
        (folder / name).write_text(content)
    return folder


@pytest.mark.parametrize("names", VERSIONS, ids=["version 2", "version 1"])
def test_memory_in_use_excludes_inactive_file_pages(tmp_path: Path, names: tuple[str, ...]) -> None:
    """Of either version of cgroups."""
    assert memory_used_bytes(cgroup(tmp_path, names, "2000000", "1000000")) == 900_000
    (tmp_path / names[2]).unlink()
    assert memory_used_bytes(tmp_path) == 1_000_000


@pytest.mark.parametrize(
    ("names", "limit"), [(VERSIONS[0], "max"), (VERSIONS[1], "9223372036854771712")], ids=["version 2", "version 1"]
)
def test_without_a_limit_there_is_no_memory_usage(tmp_path: Path, names: tuple[str, ...], limit: str) -> None:
    """The cgroup may then include other processes; only the process metrics are meaningful."""
    assert memory_used_bytes(cgroup(tmp_path, names, limit, "1000000")) is None
    assert memory_used_bytes(tmp_path / "nowhere") is None
