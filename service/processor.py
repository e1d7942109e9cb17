"""What the processor can do: `engine.py` takes a bundle's graph by it."""

from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_KEYS = ("flags", "Features")
"""What x86 and ARM kernels call the line."""


def instructions(cpuinfo: Path = _CPUINFO) -> frozenset[str]:
    """The processor's instruction sets as Linux names them, e.g. `avx512_vnni`; none where no Linux tells."""
    try:
        lines = cpuinfo.read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return frozenset()
    listed = (words for key, _, words in (line.partition(":") for line in lines) if key.strip() in _KEYS)
    return frozenset(next(listed, "").split())
