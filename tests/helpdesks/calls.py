"""Calls of an adapter to its helpdesk."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from service.helpdesks.adapter import Adapter
from service.helpdesks.client import Client

T = TypeVar("T")


def calling(adapter: Adapter, work: Callable[[Client], Awaitable[T]]) -> T:
    async def run() -> T:
        client = Client(adapter.connection.table.url, adapter.headers())
        try:
            return await work(client)
        finally:
            await client.close()

    return asyncio.run(run())
