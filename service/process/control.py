"""What a supervisor and its workers say to each other: JSON lines of a closed set of messages over a socket pair.

`child.py` holds the supervisor's end and asks, `worker.py` holds the other and answers. Both are of one release: they
are started from the same files.
"""

import asyncio
import socket
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter

from service.api.schemas import ServingOut
from service.lifecycle import Phase
from service.settings import Settings

LINE_BYTES = 1_000_000
"""Longest message; the largest, settings and status, have a few kilobytes."""


class Message(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Begin(Message):
    """Open a bundle and be ready to serve it. Answered by `Loaded`. `metrics`: the folder counters are shared in."""

    kind: Literal["begin"] = "begin"
    settings: Settings
    bundle: Path
    metrics: Path


class Listen(Message):
    """Accept from now on. Answered by `Done` when the port accepts."""

    kind: Literal["listen"] = "listen"


class Report(Message):
    """Say how you are. Answered by `Reported`."""

    kind: Literal["report"] = "report"


class Look(Message):
    """Look at the keys now, not when it is time. Answered by `Done`. `who`: had it looked at, for the audit log."""

    kind: Literal["look"] = "look"
    who: str


class Prepare(Message):
    """Load a bundle beside the one being served, and hold it. Answered by `Loaded`."""

    kind: Literal["prepare"] = "prepare"
    bundle: Path


class Commit(Message):
    """Serve what is prepared. Answered by `Done`."""

    kind: Literal["commit"] = "commit"


class Abort(Message):
    """Let go what is prepared. Answered by `Done`."""

    kind: Literal["abort"] = "abort"


class Drain(Message):
    """Take no more, answer what was accepted, and end. Answered by `Done` before that is over."""

    kind: Literal["drain"] = "drain"


class Loaded(Message):
    kind: Literal["loaded"] = "loaded"
    version: str
    variant: str


class Reported(Message):
    kind: Literal["reported"] = "reported"
    phase: Phase
    serving: ServingOut | None


class Done(Message):
    kind: Literal["done"] = "done"


class Failed(Message):
    """It could not be done; the cause is one line for a person."""

    kind: Literal["failed"] = "failed"
    cause: str
    busy: bool
    """It was not the time for it, and may be asked again."""


Order = Begin | Listen | Report | Look | Prepare | Commit | Abort | Drain
Reply = Loaded | Reported | Done | Failed


class Ask(Message):
    """From the supervisor. Several may be under way at once."""

    kind: Literal["ask"] = "ask"
    id: int
    order: Annotated[Order, Field(discriminator="kind")]


class Answer(Message):
    """To the ask of this id."""

    kind: Literal["answer"] = "answer"
    id: int
    reply: Annotated[Reply, Field(discriminator="kind")]


class Changed(Message):
    """Unasked, from a worker: why no ticket should be sent to it from now on, None: they should."""

    kind: Literal["changed"] = "changed"
    not_ready: str | None


ASKS: TypeAdapter[Ask] = TypeAdapter(Ask)
ANSWERS: TypeAdapter[Answer | Changed] = TypeAdapter(Annotated[Answer | Changed, Field(discriminator="kind")])

Incoming = TypeVar("Incoming", bound=Message)


class Channel(Generic[Incoming]):
    """One end. `incoming` says which messages come in here."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        incoming: TypeAdapter[Incoming] | TypeAdapter[Any],
    ) -> None:
        self._reader = reader
        self._writer = writer
        self._incoming = incoming

    def send(self, message: Message) -> None:
        """Never waits: both sides read all the time. What is sent to a side that is gone is lost."""
        if not self._writer.is_closing():
            self._writer.write(message.model_dump_json().encode() + b"\n")

    async def receive(self) -> Incoming | None:
        """The next message; None: the other side is gone."""
        try:
            line = await self._reader.readline()
        except ConnectionError:
            return None
        # Half a line was being written when its writer died.
        return self._incoming.validate_json(line) if line.endswith(b"\n") else None

    def close(self) -> None:
        self._writer.close()


async def open_channel(end: socket.socket, incoming: TypeAdapter[Incoming]) -> Channel[Incoming]:
    reader, writer = await asyncio.open_unix_connection(sock=end, limit=LINE_BYTES)
    return Channel(reader, writer, incoming)
