"""The hardware available to the process: processor, cores within the cgroup's quota, instruction sets.

`plan.py` selects a graph of the bundle and the number of runners from it.
"""

import math
import os
import platform
from dataclasses import dataclass
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_CPUINFO = Path("/proc/cpuinfo")
_FLAG_KEYS = ("flags", "Features")
"""Name of the line with the instruction sets, on x86 and on ARM."""


@dataclass(frozen=True, slots=True)
class Machine:
    """The hardware properties that determine the speed of a graph."""

    processor: str
    cores: int
    instructions: frozenset[str]


def this_machine(cpuinfo: Path = _CPUINFO, cgroup: Path = _CGROUP) -> Machine:
    processor = next(iter(_values(cpuinfo, "model name", "CPU part")), "") or platform.machine()
    return Machine(processor, usable_cores(cgroup), instructions(cpuinfo))


def usable_cores(cgroup: Path = _CGROUP) -> int:
    """Whole cores, at least one. A quota of 1.5 cores gives one: a second busy thread would be throttled."""
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    quota = _quota(cgroup)
    return max(1, allowed if quota is None else min(allowed, math.floor(quota)))


def instructions(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """The processor's instruction sets as Linux names them, e.g. `avx512_vnni`; empty on other systems."""
    return frozenset(next(iter(_values(cpuinfo, *_FLAG_KEYS)), "").split())


def _values(cpuinfo: Path, *keys: str) -> list[str]:
    """The values of these keys, one per core; empty if the file does not exist."""
    try:
        lines = cpuinfo.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return [value.strip() for key, _, value in (line.partition(":") for line in lines) if key.strip() in keys]


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
