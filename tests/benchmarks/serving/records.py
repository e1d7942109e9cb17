"""The benchmark's results: one record a measurement, kept as JSON, from which the report is made.

`rounds.py` adds to them and saves them continuously, so that a stopped run can still be rendered.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field


class Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_inf_nan="constants")

    round: int
    workload: str


class Closed(Record):
    """A closed loop. Rates in tickets/s of good answers, times in ms, CPU in ms per ticket."""

    server: str
    callers: int
    rate: float
    median: float
    p99: float
    errors: int
    server_ms: float
    client_ms: float
    megabytes: float


class Open(Record):
    """An open loop: `share` of our capacity was offered, that is `offered` tickets/s."""

    server: str
    share: float
    offered: float
    rate: float
    median: float
    p99: float
    errors: int


class Ceiling(Record):
    """A bare loop: `runs` runs side by side, each with `threads` threads and batches of `batch`."""

    variant: str
    threads: int
    runs: int
    batch: int
    rate: float


class Single(Record):
    """Bare runs of one ticket after the other; times in ms."""

    variant: str
    threads: int
    median: float
    p99: float


class About(BaseModel):
    """The machine, the versions and the plan."""

    processor: str
    cores: int
    instructions: list[str]
    versions: dict[str, str]
    command: str
    rounds: int
    seconds: float
    workloads: dict[str, str]
    """A description of each workload's texts."""
    servers: dict[str, str]
    """A description of each server's set-up."""


class Results(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")

    about: About
    closed: list[Closed] = Field(default_factory=list)
    open: list[Open] = Field(default_factory=list)
    ceilings: list[Ceiling] = Field(default_factory=list)
    singles: list[Single] = Field(default_factory=list)
    failed: dict[str, str] = Field(default_factory=dict)
    """The reason why a server is missing, or missing in some rounds."""
    variants: dict[str, str] = Field(default_factory=dict)
    """The variant that `auto` selected, by workload."""

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        aside = path.with_suffix(".new")
        aside.write_text(self.model_dump_json(indent=1), "utf-8")
        aside.replace(path)

    @classmethod
    def load(cls, path: Path) -> "Results":
        return cls.model_validate_json(path.read_text("utf-8"))
