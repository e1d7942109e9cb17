"""Every setting of the service, with its unit in its name and its reason beside it.

Read from the environment (`TICKET_ROUTER_<NAME>`) or from a flag of the same name (`cli.py` makes the flags from this
class). Thresholds are not here: they come from the bundle.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
VariantChoice = Literal["auto", "fp32", "int8", "fp16"]

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class Settings(BaseSettings):
    model_config = SettingsConfigDict(
        env_prefix="TICKET_ROUTER_",
        env_ignore_empty=True,
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_default=True,
    )

    bundle: Path = Path("models/bundles/current")
    """Folder of the bundle to serve; training's `promote` points `current` at the best one."""

    bundle_key: Path | None = None
    """Public key of minisign: a bundle that it did not sign is refused, at start and at every reload. Unset: a bundle's
    digests show that it is whole, not who made it."""

    host: str = "127.0.0.1"
    """Address the public port listens on. Loopback, so that a bare run is seen by nobody else; images set 0.0.0.0."""

    port: Port = 8080
    """Public port, the `/v1` API. 0 takes any free one and logs it."""

    management_host: str = "127.0.0.1"
    """Address the management port listens on, in images too. Probes and metrics ask for no key, so widen it only inside
    a closed network."""

    management_port: Port = 9090
    """Management port: metrics, probes, documentation, status. Apart, so that load on one can't hide the other."""

    keys_file: Path | None = None
    """File of the keys that callers must have, with their roles and rates; a mounted secret will do. It is followed
    while the service runs. Unset: nobody needs a key."""

    device: Device = "auto"
    """Where the model runs. `auto` takes a GPU that works, else the CPU; `cuda` and `tensorrt` refuse to start
    without one."""

    variant: VariantChoice = "auto"
    """Which graph of the bundle runs. `auto` takes the fastest that passed its gates: fp16 on a GPU, int8 on a CPU."""

    state_dir: Path = Path("state")
    """Folder for what the service keeps for itself: tuned plans, and TensorRT's engines where it is used."""

    plan: Path | None = None
    """A plan file that `python -m service tune` wrote. Unset: the one in `state_dir` for this machine and bundle, if
    there is one. One of another machine or bundle is refused, and so are reloads to other bundles while it is set."""

    tune_at_start: bool = False
    """Measure a plan before the first start with a bundle, where `state_dir` has none for it: some 20 seconds."""

    runners: Count | None = None
    """Model runs side by side. Unset: as the plan has it; untuned, one per core of the cgroup's quota on a CPU, two on
    a GPU (one running while the next is handed over)."""

    intra_op_threads: Count | None = None
    """Threads inside one model run. Unset: as the plan has it; untuned, one, and more for a lone ticket. With this or
    `runners` set, a lone ticket runs like any other."""

    max_batch_tokens: Count | None = None
    """Padded tokens (rows x padded length) of one model run. Unset: as the plan has it; untuned, 256 on a CPU, where
    larger batches gain nothing, and 16384 on a GPU."""

    cache_entries: Annotated[int, Field(ge=0)] = 10_000
    """Answers remembered by the digest of their text, some 1 kB each: bulk mailings, alerts and retries are computed
    once. 0 switches it off, and the sharing of equal texts in flight with it."""

    watch_seconds: Seconds | None = None
    """How often to look whether `bundle` points elsewhere, and reload if so. Unset: only when told, by
    `POST /admin/reload` or SIGHUP."""

    workers: Count = 1
    """Processes that serve on the one port, each with a model of its own; they share the cores. More than one pays
    when a single Python process cannot feed the machine: beyond some 1,000 tickets per second."""

    queue_tokens: Count = 16384
    """Padded tokens that may wait before 429. About a second of work of a six-layer model on two cores, three on slow
    ones: longer queues only turn into answers that come too late."""

    queue_seconds: Seconds = 4.0
    """Longest that a ticket may have to wait for its turn, at the pace measured lately, before 429: so long after a
    flood all is as before. On fast models `queue_tokens` is the narrower of the two."""

    max_connections: Count = 4000
    """Connections open at once, per process; one more takes the place of the one that has kept us waiting longest.
    Bounded by the limit of open files."""

    max_body_bytes: Count = 1_000_000
    """Largest request body, declared or chunked; above it 413. A mail's text is far below, its attachments are not
    read."""

    max_batch_body_bytes: Count = 4_000_000
    """Largest body of `/v1/route/batch`. Its JSON is parsed in one go, some 5 ms per megabyte."""

    max_batch_tickets: Count = 256
    """Most tickets in one `/v1/route/batch`; larger ones would outlast the request timeout on a small machine."""

    trust_spam_headers: bool = True
    """`X-Spam-Flag: YES` and `X-Spam-Status: Yes` send a mail to people. Switch it off if your own filter does not set
    them: then they come from senders and other filters, and anyone can have their mail read by people."""

    max_mail_bytes: Count = 25_000_000
    """Largest raw mail, as mail servers have it. Most of it is attachments, which are skipped as they arrive."""

    request_timeout_seconds: Seconds = 10.0
    """Longest a request's body may be on its way (408) and its ticket may wait for its turn (504), together; also the
    cap on a client's own `X-Request-Timeout`."""

    batch_timeout_seconds: Seconds = 60.0
    """The same for `/v1/route/batch`, whose tickets wait for each other too."""

    drain_seconds: Seconds = 20.0
    """Longest a stopping service waits for requests in flight; keep it below the orchestrator's kill timeout."""

    traces: bool = False
    """Send spans of every request and its stages by OTLP over HTTP. Where to, how many and under which name: by
    OpenTelemetry's own OTEL_* variables. Needs the dependency group `traces`."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """`info` has one line per request; `warning` only what a person should see."""
