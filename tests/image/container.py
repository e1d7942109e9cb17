"""An image run as a cluster would run it: read-only root, the image's uid, no capabilities, no new privileges.

bubblewrap (namespaces and mounts) and setpriv (identity) take Docker's part; command and environment come from the
image's own configuration.
"""

import contextlib
import ctypes
import fcntl
import json
import os
import signal
import socket
import struct
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from tests.image.build import Config

EXEC_SECONDS = 600
"""Time limit of a command; the longest command trains for one epoch."""
_CLONE_NEWNET = 0x40000000
_SIOCSIFFLAGS, _IFF_UP = 0x8914, 0x1


@dataclass(frozen=True)
class Volume:
    """A mount at a path of the image; no `source`: an empty folder in memory, deleted with the container."""

    path: str
    source: Path | None = None
    read_only: bool = False


@dataclass(frozen=True)
class Container:
    """How to run one image: its mounts, and variables besides those of the image."""

    root: Path
    config: Config
    volumes: tuple[Volume, ...]
    env: Mapping[str, str] = field(default_factory=dict)

    def execute(self, *command: str) -> "subprocess.CompletedProcess[str]":
        """Run a command beside the service, as `docker exec` and a health check do."""
        return subprocess.run(self._entered(command), capture_output=True, text=True, timeout=EXEC_SECONDS)

    def run(self, *arguments: str) -> "subprocess.CompletedProcess[str]":
        """Run the image's entrypoint to its end."""
        return self.execute(*self.config.entrypoint, *arguments)

    @contextlib.contextmanager
    def started(self, *arguments: str) -> Iterator["Running"]:
        """The image's entrypoint as process 1; killed at the end if it still runs."""
        receiver, sender = os.pipe()
        with tempfile.TemporaryFile("w+") as output, open(receiver) as info:
            command = self._entered((*self.config.entrypoint, *arguments), "--info-fd", str(sender))
            process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, pass_fds=(sender,), text=True)
            os.close(sender)
            pid = int(json.loads(info.read())["child-pid"])
            try:
                yield Running(process, pid, self.config.stop_signal, output)
            finally:
                if process.poll() is None:
                    os.kill(pid, signal.SIGKILL)  # ends all processes that process 1 started, and frees their ports
                process.wait()

    def _entered(self, command: Sequence[str], *flags: str) -> list[str]:
        user, group = self.config.user.split(":")
        mounts = ["--ro-bind", str(self.root), "/", "--dev", "/dev", "--proc", "/proc"]
        mounts += [word for volume in self.volumes for word in self._mounted(volume)]
        variables = [word for item in {**self.config.env, **self.env}.items() for word in ("--setenv", *item)]
        namespaces = ["--unshare-pid", "--unshare-ipc", "--unshare-uts", "--as-pid-1", "--die-with-parent"]
        # of bubblewrap's capabilities keep only those that setpriv needs to drop all others
        rights = [word for name in ("SETUID", "SETGID", "SETPCAP") for word in ("--cap-add", f"CAP_{name}")]
        identity = ["/usr/bin/setpriv", "--reuid", user, "--regid", group, "--clear-groups", "--no-new-privs"]
        nothing = ["--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"]
        entering = ["bwrap", *mounts, *namespaces, *rights, "--clearenv", *variables, "--chdir", self.config.workdir]
        return [*entering, *flags, "--", *identity, *nothing, *command]

    def _mounted(self, volume: Volume) -> list[str]:
        """bubblewrap's flags; a missing folder of the image is created, as a container runtime does."""
        (self.root / volume.path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        if volume.source is None:
            return ["--perms", "1777", "--tmpfs", volume.path]
        return ["--ro-bind" if volume.read_only else "--bind", str(volume.source), volume.path]


@dataclass(frozen=True)
class Running:
    """A started container. `pid` is its process 1 as seen from the host; `process` ends with its exit status."""

    process: "subprocess.Popen[str]"
    pid: int
    _stop_signal: str
    _output: IO[str]

    def stop(self) -> None:
        """The image's stop signal."""
        os.kill(self.pid, signal.Signals[self._stop_signal])

    def status(self) -> dict[str, str]:
        """User ids and capabilities as the kernel reports them."""
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}

    def output(self) -> str:
        """Its output so far."""
        self._output.flush()
        return Path(f"/proc/self/fd/{self._output.fileno()}").read_text()


def leave_the_network() -> None:
    """Move this process and its children into a network namespace with only a loopback.

    So the images use their usual ports, whatever else runs on this machine, and reach nothing outside.
    """
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no network of its own")
    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack("16sh", b"lo", _IFF_UP))
