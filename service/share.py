"""A share of each turn of the event loop, for all together: what each of them takes may be little, and of dozens in one
turn it is not. `offload.py` has one of CPU, `http/piecewise.py` one of bytes.
"""

import asyncio


class Share:
    """So much in every turn, of any one unit. Use from one event loop only."""

    def __init__(self, each_turn: float) -> None:
        self._each_turn = each_turn
        self.left = each_turn
        """Of this turn's. Below nothing where it is used up: the last may take more than there is."""
        self._ends = False

    def take(self, amount: float) -> None:
        self.left -= amount
        if not self._ends:
            self._ends = True
            asyncio.get_running_loop().call_soon(self._end)

    def _end(self) -> None:
        self.left, self._ends = self._each_turn, False
