"""What comes in on a connection, parsed piece by piece: no further than a request that must wait for an earlier one's
answer, and in each turn of the loop no more than a share that all connections have together.

`protocol.py` builds on it. The parser cannot be stopped within what it is given, and the loop not within a turn.
"""

import asyncio
from abc import ABC, abstractmethod

from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from service.share import Share

PIECE_BYTES = 4096
"""Larger input is parsed piece by piece. An ordinary request fits."""
TURN_BYTES = 2_000_000
"""Some 10 ms. A connection brings a quarter of a megabyte a turn, and thirty of them held the loop for 130 ms."""


class Flow(FlowControl):
    """Reads no further while input is held back, whatever the application asks for."""

    holding = False

    def resume_reading(self) -> None:
        if not self.holding:
            super().resume_reading()


class PiecewiseProtocol(HttpToolsProtocol, ABC):
    """Hands its input on to `_take`. Once it is deaf, whatever else comes is not wanted."""

    def __init__(self, share: Share, config: Config, server_state: ServerState) -> None:
        super().__init__(config, server_state, app_state={})
        self._share = share
        self._held = bytearray()
        self._deaf = False
        self._goes_on = False  # in the next turn

    @abstractmethod
    def _take(self, data: bytes | memoryview) -> None:
        """Parse it."""

    @abstractmethod
    def _expected(self) -> int:
        """How many bytes are still to come before there can be anything to be stopped at."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's own
        super().connection_made(transport)
        self.flow = self._flow = Flow(transport)

    def connection_lost(self, exc: Exception | None) -> None:
        self._deaf = True
        self._held.clear()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self._deaf:
            return
        if self._held or self.pipeline:
            self._held += data
            self._take_held()
        elif len(data) > PIECE_BYTES:
            self._take_pieces(memoryview(data))
        else:
            self._take(data)

    def _take_pieces(self, data: memoryview) -> None:
        """Without a copy of what need not be held: with fresh memory for each, they are most of what a body costs."""
        while data and self._may_take():
            size = self._next()
            self._take(data[:size])
            data = data[size:]
        self._held += data
        self._hold_or_read_on()

    def _take_held(self) -> None:
        while self._held and self._may_take():
            size = self._next()
            piece = bytes(self._held[:size])
            del self._held[:size]
            self._take(piece)
        self._hold_or_read_on()

    def _may_take(self) -> bool:
        if self.pipeline or self._deaf or self._goes_on:
            return False
        if self._share.left <= 0:
            self._goes_on = True
            asyncio.get_running_loop().call_soon(self._go_on)
        return not self._goes_on

    def _next(self) -> int:
        """How much is parsed now, of this turn's share."""
        size = max(self._expected(), PIECE_BYTES)
        self._share.take(size)
        return size

    def _go_on(self) -> None:
        self._goes_on = False
        self._take_held()

    def _hold_or_read_on(self) -> None:
        if self._deaf:
            self._held.clear()
        self._flow.holding = bool(self._held or self.pipeline)
        if self._flow.holding:
            self.flow.pause_reading()
        else:
            self.flow.resume_reading()
