"""Archives of bundles, and scripted HTTP servers that deliver them."""

import contextlib
import hashlib
import http.server
import io
import ssl
import tarfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from models.bundle.bundle import Bundle
from service.delivery.download import parse_source
from service.delivery.fetch import fetch

Handler = http.server.BaseHTTPRequestHandler
Answer = Callable[[Handler], None]


def packed(bundle: Path, archive: Path, arcname: str | None = None) -> Path:
    """The bundle's folder as a tar, gzipped if the name ends so."""
    with tarfile.open(archive, "w:gz" if archive.suffix == ".gz" else "w") as tar:
        tar.add(bundle, arcname or bundle.name)
    return archive


def tar_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """A tar of exactly these members."""
    with tarfile.open(path, "w") as tar:
        for info, content in members:
            info.size = info.size or len(content)
            tar.addfile(info, io.BytesIO(content) if content else None)
    return path


def digest_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def deliver(
    source: str | Path,
    digest: str,
    folder: Path,
    *,
    seconds: float = 20,
    max_bytes: int = 100_000_000,
    insecure_http: bool = False,
) -> Bundle:
    """`fetch`, with limits that tests rarely reach."""
    return fetch(parse_source(str(source), insecure_http), digest, folder, max_bytes=max_bytes, seconds=seconds)


def whole(content: bytes) -> Answer:
    """200 with these bytes."""
    return lambda request: reply(request, 200, content)


def status(code: int) -> Answer:
    return lambda request: reply(request, code, b"secret-of-the-server")


def cut_short(content: bytes) -> Answer:
    """Declares the whole content, or the requested range, and sends half."""
    return lambda request: _ranged(request, content, share=0.5)


def resumable(content: bytes) -> Answer:
    """200 with the whole content, or 206 with the requested range."""
    return lambda request: _ranged(request, content, share=1)


def silent(content: bytes, seconds: float = 1) -> Answer:
    """Sends the first half, and then nothing for `seconds`."""

    def answer(request: Handler) -> None:
        reply(request, 200, content[: len(content) // 2], length=len(content))
        time.sleep(seconds)

    return answer


def dripping(content: bytes) -> Answer:
    """Sends a byte at a time: no single read waits long."""

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


def reply(request: Handler, code: int, content: bytes, length: int | None = None, ranged: str | None = None) -> None:
    request.send_response(code)
    if ranged is not None:
        request.send_header("Content-Range", ranged)
    request.send_header("Content-Length", str(len(content) if length is None else length))
    request.send_header("Last-Modified", "Sun, 22 Nov 2026 00:00:00 GMT")  # as object stores do
    request.send_header("ETag", '"1"')  # and this
    request.end_headers()
    request.wfile.write(content)


def _ranged(request: Handler, content: bytes, share: float) -> None:
    first = int((request.headers["Range"] or "bytes=0-").removeprefix("bytes=").partition("-")[0])
    ranged = f"bytes {first}-{len(content) - 1}/{len(content)}" if "Range" in request.headers else None
    rest = content[first:]
    reply(request, 206 if ranged else 200, rest[: int(len(rest) * share)], length=len(rest), ranged=ranged)


class Scripted(http.server.ThreadingHTTPServer):
    """Gives its responses one after the other, repeats the last one, and records the requests."""

    daemon_threads = True

    def __init__(self, *answers: Answer, tls: ssl.SSLContext | None = None) -> None:
        self._scheme = "https" if tls else "http"
        self.answers = list(answers)
        self.asked: list[str] = []
        self.headers: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), _Scripted)
        if tls:
            self.socket = tls.wrap_socket(self.socket, server_side=True)

    def handle_error(self, request: object, client_address: object) -> None:
        """A client that does not trust the certificate disconnects: print no traceback."""

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"{self._scheme}://127.0.0.1:{self.port}"


class _Scripted(http.server.BaseHTTPRequestHandler):
    server: Scripted

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.server.headers.append(dict(self.headers))
        answer = self.server.answers.pop(0) if len(self.server.answers) > 1 else self.server.answers[0]
        with contextlib.suppress(ConnectionError):  # a client that has received enough disconnects
            answer(self)

    def log_message(self, *_arguments: object) -> None:
        """Keeps the test output free of request lines."""


@contextlib.contextmanager
def scripted(*answers: Answer, tls: ssl.SSLContext | None = None) -> Iterator[Scripted]:
    with Scripted(*answers, tls=tls) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()
