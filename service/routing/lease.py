"""`EngineLease`: keeps an engine open until the last request that uses it ends."""

import asyncio
from dataclasses import dataclass, field

from service.inference.engine import Engine


@dataclass(eq=False, slots=True)
class EngineLease:
    """An engine and the number of requests that use it; `unused` is set when it is replaced and the last request
    ends."""

    engine: Engine
    users: int = 0
    replaced: bool = False
    unused: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self.users -= 1
        if not self.users:
            self.set_if_unused()

    def set_if_unused(self) -> None:
        if self.replaced and not self.users:
            self.unused.set()
