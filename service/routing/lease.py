"""`Lease`: keeps an engine open until the last request that uses it ends."""

import asyncio
from dataclasses import dataclass, field
from typing import Generic, TypeVar

E = TypeVar("E")


@dataclass(eq=False, slots=True)
class Lease(Generic[E]):
    """An engine and the number of requests that use it; `unused` is set when it is replaced and the last request
    ends."""

    engine: E
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
