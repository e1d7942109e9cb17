"""A PostgreSQL server of the tests' own: a new cluster on a free port, without Unix socket, ended with the tests.

As root it runs as `nobody`: PostgreSQL refuses root.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

USER = "router"
START_SECONDS = 60
_BINARIES = [*os.environ.get("PATH", "").split(":"), *map(str, Path("/usr/lib/postgresql").glob("*/bin"))]


class Postgres:
    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        return f"postgresql://{USER}@127.0.0.1:{self.port}/{database}"

    def start(self, seconds: float = START_SECONDS) -> None:
        options = [f"-cport={self.port}", "-clisten_addresses=127.0.0.1", "-cunix_socket_directories="]
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [program("postgres"), "-D", str(self.folder / "data"), *options],
                stdout=log,
                stderr=log,
                start_new_session=True,  # an interrupt at the terminal is for the tests
                **as_unprivileged(),
            )
        deadline = time.monotonic() + seconds
        while True:
            try:
                psycopg.connect(self.url("postgres"), connect_timeout=2).close()
                return
            except psycopg.OperationalError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    raise AssertionError((self.folder / "log").read_text()[-2000:]) from None
                time.sleep(0.05)

    def signal(self, number: int) -> None:
        """To the server and its backends, each of which has a session of its own."""
        assert self.process is not None
        server = psutil.Process(self.process.pid)
        for each in (server, *server.children(recursive=True)):
            with contextlib.suppress(psutil.NoSuchProcess):
                each.send_signal(number)

    def kill(self) -> None:
        """End it at once, as a power cut does."""
        self.signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait()

    def new_database(self, name: str) -> str:
        """Its URL."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(f'CREATE DATABASE "{name}"'.encode())
        return self.url(name)


@contextlib.contextmanager
def running_postgres() -> Iterator[Postgres]:
    with tempfile.TemporaryDirectory(prefix="postgres-") as name:
        folder = Path(name)
        user = as_unprivileged()
        if user:
            os.chown(folder, user["user"], user["group"])
        initdb = [program("initdb"), "-D", str(folder / "data"), "-U", USER, "-A", "trust", "-E", "UTF8", "--no-sync"]
        subprocess.run(initdb, check=True, capture_output=True, cwd=folder, **as_unprivileged())
        server = Postgres(folder, _free_port())
        try:
            server.start()
            yield server
        finally:
            if server.process is not None and server.process.poll() is None:
                server.signal(signal.SIGCONT)
                server.process.send_signal(signal.SIGQUIT)
                server.process.wait(30)


def program(name: str) -> str:
    """Its path. Where it is missing, skip; in CI, fail."""
    path = shutil.which(name, path=":".join(_BINARIES))
    if path is None:
        message = f"{name} is missing: install PostgreSQL (Debian: postgresql)"
        if os.environ.get("CI"):
            raise AssertionError(message)
        pytest.skip(message)
    return path


def as_unprivileged() -> dict[str, int]:
    if os.getuid() != 0:
        return {}
    import pwd

    nobody = pwd.getpwnam("nobody")
    return {"user": nobody.pw_uid, "group": nobody.pw_gid}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
