"""CPU seconds and memory of a server process and all its children, as the kernel counts them."""

from collections.abc import Iterator
from dataclasses import dataclass

import psutil

MEGABYTE = 1e6


@dataclass(frozen=True, slots=True)
class Family:
    """A process and its descendants, including later ones."""

    pid: int

    def cpu_seconds(self) -> float:
        """User and system time of all living processes, and of their ended children."""
        times = (process.cpu_times() for process in self._members())
        return sum(t.user + t.system + t.children_user + t.children_system for t in times)

    def peak_megabytes(self) -> float:
        """Sum of each process's peak resident memory; shared pages count once for each process."""
        return sum(_peak(process.pid) for process in self._members()) / MEGABYTE

    def _members(self) -> Iterator[psutil.Process]:
        try:
            parent = psutil.Process(self.pid)
            family = [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return
        yield from (process for process in family if process.is_running())


def _peak(pid: int) -> int:
    """VmHWM in bytes; 0 if the process has just ended."""
    try:
        with open(f"/proc/{pid}/status") as file:
            return next((int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM:")), 0)
    except OSError:
        return 0
