"""The hardware available to the process: processor, cores within the cgroup's quota, instruction sets.

`plan.py` selects a graph of the bundle and the number of runners from it.
"""

import math
import os
from dataclasses import dataclass
from pathlib import Path

from models.processor import instructions, processor_name

_CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware properties that determine the speed of a graph."""

    processor: str
    cores: int
    instructions: frozenset[str]


def this_machine() -> Machine:
    return Machine(processor_name(), usable_cores(), instructions())


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Whole cores, at least one. A quota of 1.5 cores gives one: a second busy thread would be throttled."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, allowed if quota is None else min(allowed, math.floor(quota)))


def _quota(cgroup: Path) -> float | None:
    """Cores by the cgroup's quota (version 2, else 1); None without a quota."""
    try:
        if (cgroup / "cpu.max").exists():
            limit, period = (cgroup / "cpu.max").read_text().split()
        else:
            limit = (cgroup / "cpu/cpu.cfs_quota_us").read_text().strip()
            period = (cgroup / "cpu/cpu.cfs_period_us").read_text().strip()
        return None if limit in ("max", "-1") else int(limit) / int(period)
    except (OSError, ValueError, ZeroDivisionError):
        return None
