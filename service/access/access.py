"""The keys of this process: opened at start, looked at again while it runs, asked at every guarded request.

`app.py` makes one; `following` and SIGHUP have it look; `http/authorize.py` and the API ask it. `following` compares
the bytes of the file, not its times: mounted secrets are swapped by a symlink, and copied files may keep their dates.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import structlog
from prometheus_client import CollectorRegistry

from service.access.audit import WATCH, audit
from service.access.caller import Caller
from service.access.keyring import Keyring
from service.access.keys_file import KeysError, parse_keys, read_content
from service.access.metrics import KeyGauges, KeyMetrics
from service.access.rate_limit import RateLimiter
from service.errors import RateLimited, Unauthenticated

LOOK_SECONDS = 2.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Reading:
    """What was found at the path: keys, or the cause why there are none. `content` None: it could not be read."""

    content: bytes | None
    ring: Keyring | None
    cause: str | None


class Access:
    """Without a path everybody may do everything. With one nobody may do anything until `open`.

    Use from one event loop only.
    """

    def __init__(self, path: Path | None, registry: CollectorRegistry) -> None:
        self.asks = path is not None
        """Whether anybody needs a key."""
        self._path = path
        self._ring: Keyring | None = None
        self._reading = _Reading(None, None, None)
        self._limiter = RateLimiter()
        self._looking = asyncio.Lock()
        self._metrics = None if path is None else KeyMetrics(registry)
        if path is not None:
            registry.register(KeyGauges(self._state))

    def open(self) -> None:
        """Read the keys for the first time.

        Raises:
            KeysError: the file is not there or not as documented.
        """
        if self._path is not None:
            content = read_content(self._path)
            self._use(_Reading(content, Keyring(parse_keys(content, self._path)), None))

    async def look(self, who: str) -> None:
        """Read the keys again if they have changed. Of a file that cannot be used the former keys are kept.

        Args:
            who: had it looked at, for the audit log.
        """
        if self._path is None:
            return
        async with self._looking:
            # In a thread: a mounted folder may hang.
            found = await asyncio.to_thread(_read, self._path, self._reading)
            if found != self._reading:
                self._follow(found, who)

    def caller(self, key: bytes) -> Caller:
        """Whose key this is.

        Raises:
            Unauthenticated: nobody's, or it is not valid any more.
        """
        caller = self._ring.find(key) if self._ring is not None else None
        if caller is None:
            raise Unauthenticated("this key is not known here")
        if caller.expires is not None and caller.expires <= time.time():
            raise Unauthenticated("this key has expired; ask for a new one", caller.name)
        return caller

    def check(self, caller: Caller) -> None:
        """Whether one ticket of the caller's rate is left; nothing is taken.

        Raises:
            RateLimited: none is, and the ticket counts as refused.
        """
        self._take(caller, 0, least=1)

    def take(self, caller: Caller) -> None:
        """One ticket of the caller's rate.

        Raises:
            RateLimited: it has used it up.
        """
        self._take(caller, 1, least=1)

    def take_more(self, caller: Caller, tickets: int) -> None:
        """The further tickets of a batch that has taken one. All of them, though they be more than the bucket holds: a
        batch larger than the burst would never go otherwise. What is owed then is waited off before the next.

        Raises:
            RateLimited: it owes some already.
        """
        self._take(caller, tickets, least=0)

    def _take(self, caller: Caller, tickets: int, least: int) -> None:
        if self._metrics is None:
            return
        try:
            self._limiter.take(caller, tickets, least)
        except RateLimited:
            self._metrics.tickets(caller.name, "rate_limited", max(tickets, 1))
            raise
        self._metrics.tickets(caller.name, "admitted", tickets)

    def _follow(self, found: _Reading, who: str) -> None:
        if found.ring is None:
            self._reading = found
            audit(who, "keys", "refused", cause=found.cause or "")
        else:
            changes = _changes(self._ring, found.ring)
            self._use(found)
            audit(who, "keys", "done", **changes)

    def _use(self, reading: _Reading) -> None:
        self._reading, self._ring = reading, reading.ring
        if self._ring is not None and self._metrics is not None:
            self._limiter.keep(self._ring.callers)
            self._metrics.expect(self._ring.entries)

    def _state(self) -> tuple[int, bool]:
        return len(self._ring.entries) if self._ring else 0, self._reading.cause is None


def _read(path: Path, before: _Reading) -> _Reading:
    """What is there now; `before` itself where nothing has changed."""
    content = None
    try:
        content = read_content(path)
        if content == before.content:
            return before
        return _Reading(content, Keyring(parse_keys(content, path)), None)
    except KeysError as error:
        return _Reading(content, None, str(error))


def _changes(before: Keyring | None, now: Keyring) -> dict[str, list[str]]:
    """Names of callers that came, went, or have another entry."""
    old, new = (before.entries if before else {}), now.entries
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }


@contextlib.asynccontextmanager
async def following(access: Access) -> AsyncIterator[None]:
    """Inside, a changed file is in force within `LOOK_SECONDS`."""
    task = asyncio.create_task(_watch(access))
    try:
        yield
    finally:
        task.cancel()


async def _watch(access: Access) -> None:
    while True:
        await asyncio.sleep(LOOK_SECONDS)
        try:
            await access.look(WATCH)
        except Exception:  # whatever it was: the next look may find another file
            _log.exception("keys not looked at")
