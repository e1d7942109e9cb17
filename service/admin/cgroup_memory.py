"""Memory that this process uses and may use, as the kernel counts it before it ends the process.

`gauges.py` shows both, so that "nearly full" can be told without asking the cluster.
"""

import os
from pathlib import Path
from typing import NamedTuple

_CGROUP = Path("/sys/fs/cgroup")


class _Files(NamedTuple):
    """Where one version of cgroups says it. Without a limit it is `max`, or more than any machine has."""

    limit: str
    usage: str
    statistics: str
    inactive: str


_VERSIONS = (
    _Files("memory.max", "memory.current", "memory.stat", "inactive_file"),
    _Files("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file"),
)


def memory_limit_bytes(cgroup: Path = _CGROUP) -> int:
    """The cgroup's limit, or the machine's memory where it has none."""
    limits = (_number(cgroup / each.limit) for each in _VERSIONS)
    return min([_machine_bytes(), *(limit for limit in limits if limit is not None)])


def memory_used_bytes(cgroup: Path = _CGROUP) -> int | None:
    """What counts against the cgroup's limit; None where there is no limit.

    Without the pages of files that nobody has read for long: the kernel drops those before it ends a process.
    """
    for each in _VERSIONS:
        limit, usage = _number(cgroup / each.limit), _number(cgroup / each.usage)
        if limit is not None and usage is not None and limit < _machine_bytes():
            return max(0, usage - _inactive(cgroup / each.statistics, each.inactive))
    return None


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _number(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None


def _inactive(file: Path, name: str) -> int:
    """0 where it cannot be read: better to say too much is used than too little."""
    try:
        return int(dict(line.split() for line in file.read_text().splitlines())[name])
    except (OSError, ValueError, KeyError):
        return 0
