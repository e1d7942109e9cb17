"""How much memory this process and its workers may use together: what the kernel ends them at, or the machine's all.

`gauges.py` shows it beside the memory in use, so that "nearly full" can be told without asking the cluster.
"""

import os
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")
_LIMITS = ("memory.max", "memory/memory.limit_in_bytes")
"""Where version 2 of cgroups and version 1 say it; without a limit they say `max`, or more than any machine has."""


def memory_limit_bytes(cgroup: Path = _CGROUP) -> int:
    machine = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine, *(limit for name in _LIMITS if (limit := _limit(cgroup / name)) is not None)])


def _limit(file: Path) -> int | None:
    try:
        return int(file.read_text())
    except (OSError, ValueError):
        return None
