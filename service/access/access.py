"""Authentication and rate limits of one process: loads the keys file at start and reloads it when it changes.

`app.py` creates the one `Access`; `http/authorize.py` and `api/routes.py` call it for each request. `watch_keys_file`
and SIGHUP trigger a reload. Changes are detected by comparing the file's bytes, not its times: a mounted secret is
swapped through a symlink, and a copied file may keep its date.
"""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Mapping
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

POLL_SECONDS = 2.0

_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _LoadResult:
    """The result of loading the keys file: a key ring, or the cause of the failure. `content` is None if the file could
    not be read."""

    content: bytes | None
    ring: Keyring | None
    cause: str | None


class Access:
    """Without a path, no key is required and every caller has all roles. With a path, every key is refused before
    `open`.

    Use from one event loop only.
    """

    def __init__(self, path: Path | None, registry: CollectorRegistry) -> None:
        self.keys_required = path is not None
        self._path = path
        self._ring: Keyring | None = None
        self._last_load = _LoadResult(None, None, None)
        self._limiter = RateLimiter()
        self._reload_lock = asyncio.Lock()
        self._metrics = None if path is None else KeyMetrics(registry)
        if path is not None:
            registry.register(KeyGauges(self._key_expiries))

    def open(self) -> None:
        """Load the keys file.

        Raises:
            KeysError: the file is missing or does not have the documented format.
        """
        if self._path is not None:
            content = read_content(self._path)
            self._apply(_LoadResult(content, Keyring(parse_keys(content, self._path)), None))

    async def reload_if_changed(self, requested_by: str) -> None:
        """Load the keys file again if it has changed, and write an audit line. If the file is not valid, keep the
        current keys."""
        if self._path is None:
            return
        async with self._reload_lock:
            # In a thread: reading a mounted folder may hang.
            result = await asyncio.to_thread(_load, self._path, self._last_load)
            if result == self._last_load:
                return
            if result.ring is None:
                self._last_load = result
                audit(requested_by, "keys", "refused", cause=result.cause or "")
            else:
                changes = _changes(self._ring, result.ring)
                self._apply(result)
                audit(requested_by, "keys", "done", **changes)

    def authenticate(self, key: bytes) -> Caller:
        """The caller that this key belongs to.

        Raises:
            Unauthenticated: the key is unknown or has expired.
        """
        return self._known(self._ring.find(key) if self._ring is not None else None)

    def authenticate_digest(self, digest: str) -> Caller:
        """The caller whose key has this digest, in the form of the keys file.

        Raises:
            Unauthenticated: as `authenticate`.
        """
        return self._known(self._ring.find_digest(bytes.fromhex(digest)) if self._ring is not None else None)

    def _known(self, caller: Caller | None) -> Caller:
        if caller is None:
            raise Unauthenticated("this key is not known here")
        if caller.expires is not None and caller.expires <= time.time():
            raise Unauthenticated("this key has expired; ask for a new one", caller.name)
        return caller

    def take_ticket(self, caller: Caller) -> None:
        """Take one ticket from the caller's rate.

        Raises:
            RateLimited: the rate is used up.
        """
        self._take(caller, 1, min_level=1)

    def take_rest_of_batch(self, caller: Caller, tickets: int) -> None:
        """Take the remaining tickets of a batch whose first ticket is already taken.

        All of them are taken, even if the bucket holds fewer: otherwise a batch larger than the burst could never be
        accepted. The bucket level is then negative, and the next request must wait until the level is positive again.

        Raises:
            RateLimited: the level is already negative.
        """
        self._take(caller, tickets, min_level=0)

    def _take(self, caller: Caller, tickets: int, min_level: int) -> None:
        if self._metrics is None:
            return
        try:
            self._limiter.take(caller, tickets, min_level)
        except RateLimited:
            self._metrics.tickets(caller.name, "rate_limited", max(tickets, 1))
            raise
        self._metrics.tickets(caller.name, "admitted", tickets)

    def _apply(self, result: _LoadResult) -> None:
        self._last_load, self._ring = result, result.ring
        if self._ring is not None and self._metrics is not None:
            self._limiter.set_callers(self._ring.callers)
            self._metrics.create_series(self._ring.entries)

    def _key_expiries(self) -> tuple[Mapping[str, float | None], bool]:
        callers = self._ring.callers if self._ring else []
        return {caller.name: caller.expires for caller in callers}, self._last_load.cause is None


def _load(path: Path, previous: _LoadResult) -> _LoadResult:
    """Read and parse the file; return `previous` itself if the bytes are the same."""
    content = None
    try:
        content = read_content(path)
        if content == previous.content:
            return previous
        return _LoadResult(content, Keyring(parse_keys(content, path)), None)
    except KeysError as error:
        return _LoadResult(content, None, str(error))


def _changes(before: Keyring | None, now: Keyring) -> dict[str, list[str]]:
    """The names of added and removed callers, and of callers with a different entry."""
    old, new = (before.entries if before else {}), now.entries
    return {
        "added": sorted(new.keys() - old.keys()),
        "removed": sorted(old.keys() - new.keys()),
        "changed": sorted(name for name in old.keys() & new.keys() if old[name] != new[name]),
    }


@contextlib.asynccontextmanager
async def watch_keys_file(access: Access) -> AsyncIterator[None]:
    """Inside the context, a changed keys file takes effect within `POLL_SECONDS`."""
    task = asyncio.create_task(_watch(access))
    try:
        yield
    finally:
        task.cancel()


async def _watch(access: Access) -> None:
    while True:
        await asyncio.sleep(POLL_SECONDS)
        try:
            await access.reload_if_changed(WATCH)
        except Exception:  # keep polling: the next attempt may succeed
            _log.exception("keys file check failed")
