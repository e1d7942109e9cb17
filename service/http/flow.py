"""What comes in on a connection: which part of a request, and reading that stops while some of it is held back."""

from enum import Enum, auto

from uvicorn.protocols.http.flow_control import FlowControl


class Arriving(Enum):
    """What of a request is on its way."""

    NOTHING = auto()
    HEAD = auto()
    BODY = auto()


class Flow(FlowControl):
    """Reads no further while input is held back, whatever the application asks for."""

    holding = False

    def resume_reading(self) -> None:
        if not self.holding:
            super().resume_reading()
