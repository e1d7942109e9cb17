"""All settings of the service, each with its unit in its name and its reason beside it.

They are read from the environment (`TICKET_ROUTER_<NAME>`) or from a flag of the same name (`cli/flags.py` generates
the flags from this class). Thresholds are not settings: they come from the bundle.
"""

from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_settings import BaseSettings, SettingsConfigDict

Device = Literal["auto", "cpu", "cuda", "tensorrt"]
VariantChoice = Literal["auto", "fp32", "int8", "fp16"]

Port = Annotated[int, Field(ge=0, le=65535)]
Count = Annotated[int, Field(ge=1)]
Seconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]


def _records(value: str) -> str:
    # The message does not repeat the value, which may hold a password.
    if value not in ("off", "sqlite") and not value.startswith("postgresql://"):
        raise ValueError("must be off, sqlite, or postgresql://user@host:5432/database")
    return value


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
    """Public key of minisign: a bundle without its signature is refused, at start and at every reload. Unset: the
    digests of a bundle show that it is complete, not its origin."""

    host: str = "127.0.0.1"
    """Address the public port listens on. Loopback, so that other machines cannot reach a local run; images set
    0.0.0.0."""

    port: Port = 8080
    """Public port, the `/v1` API. 0 takes any free port and logs its number."""

    management_host: str = "127.0.0.1"
    """Address the management port listens on, in images too. Probes and metrics need no key, so widen it only inside a
    closed network."""

    management_port: Port = 9090
    """Management port: metrics, probes, documentation, status. Separate, so that load on the public port does not block
    it."""

    keys_file: Path | None = None
    """File of the API keys with their roles and rates, for example a mounted secret. Changes apply while the service
    runs. Unset: no key is needed."""

    connections_file: Path | None = None
    """File of the connected helpdesks, TOML, without secrets. Changes apply while the service runs. Needs `records`.
    Unset: none."""

    desk: bool = False
    """Serve the pages for people under `/desk` of the public port: the queue of reviews, quality, switches. Needs
    `records`, and `keys_file` where other machines reach the port."""

    desk_secret_file: Path | None = None
    """File with the secret, 32 characters or more, that signs the sessions of the desk: several services need the same.
    Unset: each makes one of its own in `state_dir`."""

    desk_labels_file: Path | None = None
    """File with a description of each label for the desk, TOML: a table for each field, `label = "description"`. Unset:
    labels are shown by their names."""

    desk_oidc_issuer: str | None = None
    """Issuer of an identity provider (OpenID Connect) by which people sign in to the desk, such as
    https://login.example.com. Its callback is `/desk/oidc/callback`. Unset: only keys."""

    desk_oidc_client_id: str | None = None
    """The desk's client id at the identity provider."""

    desk_oidc_client_secret_file: Path | None = None
    """File with the client's secret, for example a mounted secret; read at start."""

    desk_oidc_claim: str = "groups"
    """The claim of the identity token that says what a person may do in the desk."""

    desk_oidc_review: str | None = None
    """Value of that claim that gives the role `review`. Unset: every person that the identity provider lets in has
    it."""

    desk_oidc_admin: str | None = None
    """Value of that claim that gives the role `admin`. Unset: none does."""

    reconcile_seconds: Seconds = 3600.0
    """How often to list the new tickets of connected helpdesks, to route those whose webhook was missed."""

    device: Device = "auto"
    """Where the model runs. `auto` takes a working GPU, else the CPU; `cuda` and `tensorrt` refuse to start without a
    GPU."""

    variant: VariantChoice = "auto"
    """Which graph of the bundle runs. `auto` takes the fastest graph for this processor: fp16 on a GPU, int8 on a
    CPU."""

    state_dir: Path = Path("state")
    """Folder for the files that the service writes: the record of decisions, unless it is elsewhere or off, and the
    engines of TensorRT, where used."""

    records: Annotated[str, AfterValidator(_records)] = "sqlite"
    """Where decisions are recorded: `sqlite`, a file in `state_dir` of this one service; a URL
    `postgresql://user@host:5432/database`, which several services share; or `off`."""

    records_password_file: Path | None = None
    """File with the password of the PostgreSQL user, for example a mounted secret; read again for every connection.
    Unset: PGPASSWORD, or the password in the URL."""

    records_when_away: Literal["refuse", "degrade"] = "refuse"
    """While the database is away: `refuse` tickets with 503, or `degrade`: go on, and keep the decisions in a file in
    `state_dir` until the database is back. Repetitions are then recognised by this service only."""

    records_spool_bytes: Count = 64_000_000
    """Largest size of that file, some 30,000 decisions; then tickets are refused."""

    records_repeat_seconds: Annotated[float, Field(ge=0, le=86400, allow_inf_nan=False)] = 30.0
    """Within this time, a ticket without id and without `Idempotency-Key` is the repetition of an equal one of the same
    caller. 0: never. Proxies send a POST again when a service died."""

    records_days: Count | None = None
    """Age at which decisions are deleted, with their feedback and texts. Unset: never."""

    records_text: bool = False
    """Store the text that the model read, to train on: without quoted replies, signatures, e-mail addresses, phone
    numbers, card and account numbers. Names stay in it."""

    records_text_region: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    """Country (ISO 3166, such as DE) whose phone numbers are found without a country code. Unset: only numbers with
    one."""

    records_text_days: Count = 90
    """Age at which texts are deleted, where they are stored."""

    closed_tickets_days: Count = 365
    """Age at which closed tickets from an index file are deleted; those of the record go with their texts."""

    records_live_days: Count = 28
    """Age of the decisions whose feedback the live precision, coverage and override rate are computed of."""

    misroute_alarm: bool = True
    """Take a label back to `suggest` when its closed tickets prove that more are moved elsewhere than the bundle
    promises. Off: the evidence is still computed."""

    misroute_tickets: Annotated[int, Field(ge=20, le=10_000)] = 1000
    """Closed tickets of a label that this proof may rest on; with fewer, a small excess is not found."""

    holdout_share: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] = 0.0
    """Share of tickets left to people with the reason `audit`, at random and stable by ticket id: their labels measure
    the model on all mail. Some 0.02 suffices. Without `records`: none."""

    desk_generator: Path | None = None
    """Folder of a text-generating model (ONNX) that writes drafts of answers for the desk. Unset: drafts are answers to
    similar tickets."""

    runners: Count | None = None
    """Model runs in parallel. Unset: one per core of the cgroup's quota on a CPU, two on a GPU (the next batch is
    copied while one runs)."""

    intra_op_threads: Count | None = None
    """Threads inside one model run. Unset: one, and more for a lone ticket, which runs while nothing else does. With
    this or `runners` set, a lone ticket runs like any other."""

    max_batch_tokens: Count | None = None
    """Most padded tokens (rows x padded length) of one model run. Unset: 256 on a CPU, where larger batches gain
    nothing, and 16384 on a GPU."""

    cache_entries: Annotated[int, Field(ge=0)] = 10_000
    """Most answers in the cache, by digest of their text, some 1 kB each: bulk mailings, alerts and retries are
    computed once. 0 switches off the cache and the shared runs of equal texts in flight."""

    watch_seconds: Seconds | None = None
    """How often to check whether `bundle` points to another bundle, and reload it. Unset: reload only on
    `POST /admin/reload` or SIGHUP."""

    queue_tokens: Count = 16384
    """Most padded tokens that wait before 429. About one second of work of a six-layer model on two cores, three on
    slow cores: a longer queue only leads to answers that come too late."""

    queue_seconds: Seconds = 4.0
    """Longest expected wait in the queue, at the recent throughput, before 429: the service recovers from a flood
    within this time. On fast models `queue_tokens` is the tighter limit."""

    max_connections: Count = 4000
    """Most open connections; a new one replaces the connection that has waited longest for its client. Bounded by the
    limit of open files."""

    max_body_bytes: Count = 1_000_000
    """Largest request body, declared or chunked; a larger one gets 413. A raw mail has a limit of its own,
    `max_mail_bytes`."""

    max_batch_body_bytes: Count = 4_000_000
    """Largest body of `/v1/route/batch`. Its JSON is parsed in one step, some 5 ms per megabyte."""

    max_batch_tickets: Count = 256
    """Most tickets in one `/v1/route/batch`; a larger batch would exceed its timeout on a small machine."""

    trust_spam_headers: bool = True
    """`X-Spam-Flag: YES` and `X-Spam-Status: Yes` send a mail to people. Switch it off if your own filter does not set
    them: then they come from senders and other filters, and anyone can have their mail read by people."""

    max_mail_bytes: Count = 25_000_000
    """Largest raw mail, as mail servers have it. Most of it is attachments, which are skipped as they arrive."""

    request_timeout_seconds: Seconds = 10.0
    """Longest time to receive a request's body (408) and to wait in the queue (504), together; also the upper limit of
    a client's `X-Request-Timeout`."""

    batch_timeout_seconds: Seconds = 60.0
    """The same for `/v1/route/batch`, whose tickets also wait for each other."""

    drain_seconds: Seconds = 20.0
    """Longest time a stopping service waits for requests in flight; keep it below the orchestrator's kill timeout."""

    traces: bool = False
    """Send spans of every request and its stages by OTLP over HTTP. The OTEL_* variables of OpenTelemetry set endpoint,
    sampling and service name. Needs the dependency group `traces`."""

    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """`info` logs one line per request; `warning` only events that need attention."""
