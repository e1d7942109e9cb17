"""Archives of bundles, and the servers they are fetched from: scripted HTTP, and a real registry."""

import contextlib
import hashlib
import http.server
import io
import os
import subprocess
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from service.delivery.address import parse_address
from service.delivery.download import Limits
from service.delivery.fetch import Order
from tests.benchmarks.serving.servers import free_port
from tests.support.waiting import refused, wait_until

Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]

USER, PASSWORD = "router", "open-sesame"
HTPASSWD = f"{USER}:$2b$04$IjV3Mui2cF2HDjG/fefggeN5qNF9JgEVqZDFhRu2ZwO1HrYv1xtI6\n"
"""Of PASSWORD: bcrypt is the only hash that the registry takes."""


def packed(bundle: Path, archive: Path, arcname: str | None = None) -> Path:
    """The bundle's folder as a tar, gzipped if the name says so."""
    with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as tar:
        tar.add(bundle, arcname or bundle.name)
    return archive


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """A tar of just these members, whatever they are."""
    with tarfile.open(path, "w") as tar:
        for info, content in members:
            info.size = info.size or len(content)
            tar.addfile(info, io.BytesIO(content) if content else None)
    return path


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def order(
    source: str | Path,
    digest: str,
    folder: Path,
    *,
    seconds: float = 20,
    max_bytes: int = 100_000_000,
    insecure_http: bool = False,
) -> Order:
    limits = Limits.starting_now(max_bytes, seconds)
    return Order(parse_address(str(source)), digest, folder, limits, insecure_http)


def whole(content: bytes) -> Answer:
    """200 with these bytes."""
    return lambda request: reply(request, 200, content)


def status(code: int) -> Answer:
    return lambda request: reply(request, code, b"secret-of-the-server")


def cut_short(content: bytes) -> Answer:
    """Declares all of it, and sends half."""
    return lambda request: reply(request, 200, content[: len(content) // 2], length=len(content))


def silent(content: bytes) -> Answer:
    """Sends the first half, and then nothing for a second."""

    def answer(request: Handler) -> None:
        reply(request, 200, content[: len(content) // 2], length=len(content))
        time.sleep(1)

    return answer


def dripping(content: bytes) -> Answer:
    """Sends a byte now and then: no read ever waits long."""

    def answer(request: Handler) -> None:
        reply(request, 200, b"", length=len(content))
        for byte in content:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            time.sleep(0.05)

    return answer


def redirect(to: str) -> Answer:
    def answer(request: Handler) -> None:
        request.send_response(302)
        request.send_header("Location", to)
        request.send_header("Content-Length", "0")
        request.end_headers()

    return answer


def reply(request: Handler, code: int, content: bytes, length: int | None = None) -> None:
    request.send_response(code)
    request.send_header("Content-Length", str(len(content) if length is None else length))
    request.send_header("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")  # object stores always say this
    request.send_header("ETag", '"1"')  # and this
    request.end_headers()
    request.wfile.write(content)


class Scripted(http.server.ThreadingHTTPServer):
    """Gives its answers one after the other, the last one for ever, and remembers who asked for what."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Scripted)

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"


class _Scripted(http.server.BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.headers.append(dict(self.headers))
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        with contextlib.suppress(ConnectionError):  # a client that has enough goes
            answer(self)

    def log_message(self, *_arguments: object) -> None:
        """Tests print what they mean to."""


@contextlib.contextmanager
def scripted(*answers: Answer) -> Iterator[Scripted]:
    with Scripted(*answers) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@contextlib.contextmanager
def registry(folder: Path, *, password: bool = False) -> Iterator[str]:
    """Debian's docker-registry on loopback: its host and port. With a password, it wants USER and PASSWORD."""
    folder.mkdir()
    port = free_port()
    config = f"version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {folder}}}}}\n"
    config += f"http: {{addr: '127.0.0.1:{port}'}}\n"
    if password:
        (folder / "htpasswd").write_text(HTPASSWD)
        config += f"auth: {{htpasswd: {{realm: tests, path: {folder}/htpasswd}}}}\n"
    (folder / "config.yml").write_text(config)
    process = subprocess.Popen(
        ["docker-registry", "serve", str(folder / "config.yml")],
        env={**os.environ, "OTEL_TRACES_EXPORTER": "none"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: not refused(port))
        yield f"127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()
