"""A service image through a pod's life: start, tickets, probes, attempts to write, a stop under load.

Each check prints one line with its figure, and ends the rehearsal when it fails.
"""

import http.client
import json
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from service.settings import Settings
from tests.benchmarks.start import is_ready
from tests.image.container import Container, Running, Volume
from tests.image.host import ImageTestError, check, step, tail
from tests.support.process import post_head
from tests.support.waiting import refused, wait_until

READY_SECONDS = 5.0
"""Time limit from starting the process to /readyz 200, with files in the page cache: they have just been written."""
SCRATCH = (Volume("/tmp"), Volume("/state"))
"""Folders that the service may write."""
USER = "10001"
PORT: int = Settings.model_fields["port"].default
MANAGEMENT_PORT: int = Settings.model_fields["management_port"].default
IN_FLIGHT = 32
PRESENT = ("onnxruntime", "obstore", "opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
"""Without them `fetch` could trust no object store."""
ABSENT = ("torch", "transformers", "optimum", "onnx", "sklearn", "pip")
PATIENCE_SECONDS = 60
POLL_SECONDS = 0.005
ONE_BODY = json.dumps({"subject": "Invoice", "body": "I was charged twice, please refund one."}).encode()
MAIL = b"From: ann@example.com\r\nSubject: Invoice\r\n\r\nI was charged twice, please refund one.\r\n"
WRITES = """
import os, sys
for folder in sys.argv[1:]:
    if os.statvfs(folder).f_flag & os.ST_RDONLY:
        print(folder, "read-only")
        continue
    try:
        os.close(os.open(folder + "/written", os.O_CREAT | os.O_WRONLY))
        print(folder, "written")
    except OSError as error:
        print(folder, os.strerror(error.errno))
"""
"""Prints for each folder whether it can be written; a refusal for lack of permission is distinguished from
read-only."""
IN_THE_IMAGE = ("/", "/app", "/venv", "/etc")
"""Folders of the root, none of which may be writable; mounts are checked besides."""


def rehearse_service(container: Container) -> None:
    """The whole life of one image.

    Raises:
        ImageTestError: a check does not hold.
    """
    _declared(container)
    with _ready(container) as (running, seconds):
        check(
            seconds <= READY_SECONDS, f"ready after {seconds:.1f} s, {READY_SECONDS:g} are allowed; is it alone here?"
        )
        _routes()
        _identity(running)
        _probe(container, healthy=True)
        check_writing(container)
        _drains(running)
    _probe(container, healthy=False)
    _libraries(container)


def rehearse_without_bundle(container: Container) -> None:
    """Without a mounted bundle: one line that says so, exit 2."""
    done = replace(container, volumes=SCRATCH).run()
    line = done.stderr.strip()
    is_one_line = done.returncode == 2 and line.startswith("error: /bundles/current: ") and "\n" not in line
    check(is_one_line, f"without a bundle it ends with {done.returncode} and says:\n{tail(done.stderr)}")
    step("without a bundle", f"exit 2, {line!r}")


def rehearse_baked(container: Container, version: str) -> None:
    """An image with a bundle in it serves that bundle, with nothing mounted."""
    with _ready(container):
        served = _routes()
    check(served == version, f"bundle {version} was baked in, {served} is served")
    step("bundle baked in", f"{served} is served")


def check_writing(container: Container) -> None:
    """The volumes mounted for writing can be written, and nothing else can.

    Raises:
        ImageTestError: another folder is writable, or one of them is not.
    """
    writable = {volume.path for volume in container.volumes if not volume.read_only}
    asked = (*IN_THE_IMAGE, *(volume.path for volume in container.volumes))
    results = dict(line.split(" ", 1) for line in container.execute("python", "-c", WRITES, *asked).stdout.splitlines())
    expected = {folder: "written" if folder in writable else "read-only" for folder in asked}
    check(results == expected, f"what came of writing: {results}")
    step("writing", f"only to {' and '.join(sorted(writable))}, all else is read-only")


@contextmanager
def _ready(container: Container) -> Iterator[tuple[Running, float]]:
    """A ready service and its seconds to ready; if a check fails meanwhile, the error has the service's output."""
    with container.started() as running:
        try:
            seconds = _seconds_to_ready(running)
            step("ready", f"{seconds:.2f} s")
            yield running, seconds
        except Exception as error:
            raise ImageTestError(f"{error}\nThe service's last lines:\n{tail(running.output())}") from error


def _seconds_to_ready(running: Running) -> float:
    began = time.perf_counter()
    while not is_ready(MANAGEMENT_PORT):
        check(running.process.poll() is None, "it ended before it was ready")
        check(time.perf_counter() - began < PATIENCE_SECONDS, "it never got ready")
        time.sleep(POLL_SECONDS)
    return time.perf_counter() - began


def _declared(container: Container) -> None:
    """The image's configuration agrees with the manifests and the settings."""
    config = container.config
    check(config.user == f"{USER}:{USER}", f"the image's user is {config.user!r}")
    check(config.ports == {PORT, MANAGEMENT_PORT}, f"the image exposes {sorted(config.ports)}")
    names = ("title", "description", "version", "revision", "licenses")
    missing = [name for name in names if not config.labels.get(f"org.opencontainers.image.{name}")]
    check(not missing, f"labels without a value: {missing}")
    step("declared", f"user {config.user}, ports {sorted(config.ports)}, {len(names)} labels")


def _routes() -> str:
    """A ticket as JSON and as a mail, over a socket. Returns the version that answered."""
    versions: set[str] = set()
    for kind, body in (("application/json", ONE_BODY), ("message/rfc822", MAIL)):
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=PATIENCE_SECONDS)
        connection.request("POST", "/v1/route", body, {"Content-Type": kind})
        answer = connection.getresponse()
        content = json.loads(answer.read())
        connection.close()
        check(answer.status == 200, f"{kind}: {answer.status} {content}")
        step(f"answered, {kind}", f"{content['outcome']}, {content['department']}")
        versions.add(content["model"]["version"])
    return versions.pop()


def _identity(running: Running) -> None:
    status = running.status()
    users, groups = set(status["Uid"].split()), set(status["Gid"].split())
    check(users == groups == {USER}, f"it runs as {users}, groups {groups}")
    rights = {name: status[name] for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")}
    check(not any(int(value, 16) for value in rights.values()), f"it has capabilities: {rights}")
    check(status["NoNewPrivs"] == "1", "it may gain privileges")
    step("identity", f"uid and gid {USER}, no capability, no new privileges")


def _probe(container: Container, *, healthy: bool) -> None:
    """The image's own health check, run as Docker would."""
    done = container.execute(*container.config.healthcheck)
    agrees = (done.returncode == 0) == healthy and done.stdout.count("\n") == 1 and not done.stderr
    check(agrees, f"the health check ends with {done.returncode}:\n{tail(done.stdout + done.stderr)}")
    step(f"health check, {'up' if healthy else 'down'}", f"exit {done.returncode}, {done.stdout.strip()!r}")


def _drains(running: Running) -> None:
    """A stop while half of the requests are complete and half are still being sent: all are answered."""
    bodies = [json.dumps({"body": f"Where is order {number}?"}).encode() for number in range(IN_FLIGHT)]
    with ExitStack() as stack:
        clients = [stack.enter_context(socket.create_connection(("127.0.0.1", PORT), timeout=30)) for _ in bodies]
        for number, (client, body) in enumerate(zip(clients, bodies, strict=True)):
            client.sendall(post_head("/v1/route", len(body)) + (body if number % 2 else body[:5]))
        began = time.perf_counter()
        running.stop()
        wait_until(lambda: refused(PORT))
        for client, body in list(zip(clients, bodies, strict=True))[::2]:
            client.sendall(body[5:])
        answered = sum(b" 200 " in client.recv(1000).split(b"\r\n")[0] for client in clients)
        check(answered == IN_FLIGHT, f"{answered} of {IN_FLIGHT} requests in flight were answered")
    status = running.process.wait(PATIENCE_SECONDS)
    check(status == 0, f"it stopped with exit status {status}")
    step("stopped in the middle of work", f"{answered} of {IN_FLIGHT} answered, exit 0, {_since(began)}")


def _libraries(container: Container) -> None:
    """The packages for fetching and traces are there; those only for training, and the installer, are not."""
    program = "import importlib.util, sys; print(*filter(importlib.util.find_spec, sys.argv[1:]))"
    found = container.execute("python", "-c", program, *PRESENT, *ABSENT)
    check(found.stdout.split() == list(PRESENT), f"of {PRESENT + ABSENT} the image has {found.stdout} {found.stderr}")
    check(container.execute("test", "-s", AUTHORITIES).returncode == 0, f"the image has no {AUTHORITIES}")
    step("present", ", ".join((*PRESENT, AUTHORITIES)))
    step("absent", ", ".join(ABSENT))


def _since(began: float) -> str:
    return f"{time.perf_counter() - began:.1f} s"
