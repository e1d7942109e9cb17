"""The memory and the throttling of this process's cgroup, as the kernel counts them.

`admin/gauges.py` exports them, so that alerts and the dashboard need no metrics from the cluster.
"""

import os
from pathlib import Path
from typing import NamedTuple

_CGROUP = Path("/sys/fs/cgroup")


class Throttling(NamedTuple):
    """`periods`: scheduler periods in which the cgroup ran; in `throttled` of them its quota was used up, and it waited
    for `seconds` in all."""

    periods: int
    throttled: int
    seconds: float


class _Files(NamedTuple):
    """The files of one cgroup version. Without a limit, the value is `max` or larger than the machine's memory."""

    limit: str
    usage: str
    statistics: str
    inactive: str


_VERSIONS = (
    _Files("memory.max", "memory.current", "memory.stat", "inactive_file"),
    _Files("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def memory_limit_bytes(cgroup: Path = _CGROUP) -> int:
    """The limit of the cgroup; without a limit, the memory of the machine."""
    limits = (_number(cgroup / each.limit) for each in _VERSIONS)
    return min([_machine_bytes(), *(limit for limit in limits if limit is not None)])


def memory_used_bytes(cgroup: Path = _CGROUP) -> int | None:
    """The memory that counts against the limit of the cgroup; None without a limit.

    Excludes inactive file pages: the kernel drops them before it kills a process.
    """
    for each in _VERSIONS:
        limit, usage = _number(cgroup / each.limit), _number(cgroup / each.usage)
        if limit is not None and usage is not None and limit < _machine_bytes():
            return max(0, usage - _inactive(cgroup / each.statistics, each.inactive))
    return None


def memory_available_bytes(cgroup: Path = _CGROUP, memory: Path = Path("/proc/meminfo")) -> int | None:
    """What this process may still use: of the cgroup's limit, and of the machine; None: not known."""
    used = memory_used_bytes(cgroup)
    of_limit = [] if used is None else [memory_limit_bytes(cgroup) - used]
    try:
        lines = dict(line.split(":") for line in memory.read_text().splitlines())
        of_machine = [int(lines["MemAvailable"].split()[0]) * 1024]
    except (OSError, ValueError, KeyError, IndexError):
        of_machine = []
    return min([*of_limit, *of_machine], default=None)


def cpu_throttling(cgroup: Path = _CGROUP) -> Throttling | None:
    """None without a CPU quota: the kernel then counts no periods."""
    for file, spent, per_second in (("cpu.stat", "throttled_usec", 1e6), ("cpu/cpu.stat", "throttled_time", 1e9)):
        try:
            counts = dict(line.split() for line in (cgroup / file).read_text().splitlines())
            if not int(counts["nr_periods"]):
                return None
            return Throttling(int(counts["nr_periods"]), int(counts["nr_throttled"]), int(counts[spent]) / per_second)
        except (OSError, ValueError, KeyError):
            continue
    return None


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _inactive(file: Path, name: str) -> int:
    """Inactive file pages in bytes; 0 if unreadable: reporting too much usage is safer than too little."""
    try:
        return int(dict(line.split() for line in file.read_text().splitlines())[name])
    except (OSError, ValueError, KeyError):
        return 0
