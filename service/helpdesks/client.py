"""Calls to one helpdesk: only to its base URL, within time-outs, its rate limits and a circuit breaker.

A redirect is never followed, and an answer of more than MAX_BYTES is not read. Errors say what to do next
(`types.CallError`), and never repeat what the helpdesk answered.
"""

import asyncio
import ipaddress
import json
import math
import socket
import time
from collections.abc import Callable, Collection, Mapping
from typing import Any
from urllib.parse import quote, urlsplit

import httpx2

from service.helpdesks.types import Again, Conflict, Denied, Gone, Refused

TIMEOUT = httpx2.Timeout(10.0, connect=4.0)
MAX_BYTES = 8_000_000
MAX_CONNECTIONS = 4
FAILURES = 5
"""Failed calls in a row that open the breaker."""
OPEN_SECONDS = 30.0
WAIT_SECONDS = 60.0
"""Wait after a 429 that says no time."""
LEAST_WAIT = 1.0
"""Wait after a 429 that says 0."""
LONGEST_WAIT = 3600.0


class Client:
    """`base`: of all paths. Use from one event loop only."""

    def __init__(self, base: str, headers: Mapping[str, str], clock: Callable[[], float] = time.monotonic) -> None:
        self._base = base
        self._clock = clock
        self._http = httpx2.AsyncClient(
            headers={"user-agent": "ticket-router", "accept": "application/json", **headers},
            timeout=TIMEOUT,
            follow_redirects=False,
            trust_env=False,
            limits=httpx2.Limits(max_connections=MAX_CONNECTIONS),
        )
        self._failures = 0
        self._blocked_until = 0.0

    @property
    def wait_seconds(self) -> float:
        """Until a call may be made: after a 429, or while the breaker is open."""
        return max(0.0, self._blocked_until - self._clock())

    @property
    def is_open(self) -> bool:
        """Whether the breaker keeps calls back."""
        return self._failures >= FAILURES and self.wait_seconds > 0

    async def close(self) -> None:
        await self._http.aclose()

    async def get(self, path: str, **query: str) -> Any:
        return await self.call("GET", path, query=query)

    async def call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        content: Any = None,
        raw: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        expected: Collection[int] = (),
    ) -> Any:
        """The JSON of the answer (None: it has none). `path`: below the base URL, its parts escaped (`part`).
        `content`: sent as JSON; `raw`: sent as it is, and the answer is not read as JSON. `expected`: statuses of 4xx
        that are an answer too.

        Raises:
            Again, Conflict (409, 412), Gone (404, 410), Denied (401, 403), Refused (any other answer that is not 2xx).
        """
        if self.wait_seconds:
            raise Again("calls are kept back", self.wait_seconds)
        try:
            async with (
                asyncio.timeout(2 * (TIMEOUT.read or 0)),  # however slowly the answer drips
                self._http.stream(
                    method,
                    self._base + path,
                    params=dict(query or {}),
                    json=content,
                    content=raw,
                    headers=dict(headers or {}),
                ) as response,
            ):
                body = bytearray()
                async for chunk in response.aiter_bytes():
                    body += chunk
                    if len(body) > MAX_BYTES:
                        raise Refused(f"{method}: the answer is larger than {MAX_BYTES} bytes")
        except (httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, OSError) as error:
            self._failed()
            raise Again(f"{method}: no answer ({type(error).__name__})") from None
        return self._result(method, response, b"" if raw is not None else bytes(body), expected)

    def _result(self, method: str, response: httpx2.Response, body: bytes, expected: Collection[int]) -> Any:
        status = response.status_code
        self._heed_limits(status, response.headers)
        if status == 429:
            raise Again(f"{method}: 429", self.wait_seconds)
        if status >= 500 or status == 408:
            self._failed()
            raise Again(f"{method}: {status}", _seconds(response.headers.get("retry-after")))
        self._failures = 0
        if status in (409, 412):
            raise Conflict(f"{method}: {status}")
        if status in (404, 410):
            raise Gone(f"{method}: {status}")
        if status in (401, 403):
            raise Denied(f"{method}: {status}")
        if not 200 <= status < 300 and status not in expected:
            raise Refused(
                f"{method}: {status}" + (", a redirect, which is not followed" if 300 <= status < 400 else "")
            )
        if not body:
            return None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise Refused(f"{method}: the answer is not JSON") from None

    def _failed(self) -> None:
        self._failures += 1
        if self._failures >= FAILURES:
            self._block(OPEN_SECONDS)

    def _heed_limits(self, status: int, headers: Mapping[str, str]) -> None:
        """What helpdesks say of their limits, in the headers that they use."""
        wait = _seconds(headers.get("retry-after") or headers.get("x-ratelimit-retry-after"))
        if status == 429:
            self._block(WAIT_SECONDS if wait is None else max(wait, LEAST_WAIT))
            return
        remaining = headers.get("x-rate-limit-remaining") or headers.get("x-ratelimit-remaining")
        if remaining is not None and remaining.strip() == "0":
            reset = _seconds(headers.get("ratelimit-reset") or headers.get("x-ratelimit-reset"))
            self._block(wait or reset or WAIT_SECONDS)

    def _block(self, seconds: float) -> None:
        self._blocked_until = max(self._blocked_until, self._clock() + min(max(seconds, 0.0), LONGEST_WAIT))


def part(value: str) -> str:
    """One part of a path."""
    return quote(value, safe="")


async def private_address(url: str) -> str | None:
    """The private, loopback or link-local address that the host of the URL has; None: it has none, or no address."""
    parts = urlsplit(url)
    try:
        found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        return None
    for *_, address in found:
        ip = ipaddress.ip_address(str(address[0]).partition("%")[0])
        if isinstance(ip, ipaddress.IPv6Address) and ip.ipv4_mapped is not None:
            ip = ip.ipv4_mapped
        if not ip.is_global:
            return str(ip)
    return None


def _seconds(value: str | None) -> float | None:
    try:
        seconds = -1.0 if value is None else float(value)
    except ValueError:
        return None
    return seconds if 0 <= seconds < math.inf else None
