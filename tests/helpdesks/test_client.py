"""Calls to a helpdesk: what its limits say."""

import asyncio

import pytest

from service.helpdesks.client import Client
from service.helpdesks.types import Again
from tests.support.helpdesk import Helpdesk


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("value", ["0", "-5", "nan", "inf", "soon"])
def test_wait_that_is_no_number_of_seconds_stops_nothing(desk: Helpdesk, status: int, value: str) -> None:
    desk.status, desk.headers = status, {"Retry-After": value}

    async def refused() -> tuple[float | None, float]:
        client = Client(desk.url, {})
        try:
            with pytest.raises(Again) as error:
                await client.get("/tickets/1")
            return error.value.seconds, client.wait_seconds
        finally:
            await client.close()

    told, wait = asyncio.run(refused())
    assert told is None or 0 <= told <= 60
    assert (wait > 0) == (status == 429), "never again at once after a 429"
