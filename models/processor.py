"""The name and the instruction sets of the processor.

`service` selects a bundle's graph by the instruction sets; `training` evaluates a graph on such a processor.
"""

import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_FLAG_KEYS = ("flags", "Features")
"""Name of the line with the instruction sets, on x86 and on ARM."""


def processor_name(cpuinfo: Path = _CPUINFO) -> str:
    return next(iter(_values(cpuinfo, "model name", "CPU part")), "") or platform.machine()


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
