"""Rate limits, reloads of the keys file, the roles of the routes, and keys in headers and queries."""

import asyncio
import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from starlette.routing import Mount
from structlog.testing import capture_logs

from service.access.access import Access
from service.access.caller import Caller, Rate, Role
from service.access.rate_limit import RateLimiter
from service.app import App, create_app
from service.errors import KeyInQuery, RateLimited, ServiceError, Unauthenticated
from service.http.authorize import Authorizer, refuse_key_in_query
from service.http.fast_path import FastPath
from service.server.serve import warn_without_keys
from service.settings import Settings
from tests.support.keys import Known, file_of

ROLES: dict[str, Role | None] = {
    "/v1/route": Role.ROUTE,
    "/v1/route/batch": Role.ROUTE,
    "/v1/model": Role.ROUTE,
    "/v1/decisions": Role.FEEDBACK,
    "/v1/decisions/{decision_id}": Role.FEEDBACK,
    "/v1/feedback": Role.FEEDBACK,
    "/v1/feedback/batch": Role.FEEDBACK,
    "/v1/tickets/{ticket_id:path}": Role.ADMIN,
    "/admin/status": Role.ADMIN,
    "/admin/reload": Role.ADMIN,
    "/admin/automation": Role.ADMIN,
    "/metrics": None,
    "/livez": None,
    "/readyz": None,
    "/startupz": None,
    "/docs": None,
    "/docs/assets": None,
    "/openapi.json": None,
}
"""Every path of both ports and the required role. A new route must be listed here."""


def routes_of(app: App) -> Iterator[tuple[str, Any]]:
    """Path and endpoint of every reachable route: the fast path, both FastAPI applications, mounts."""
    public: Any = app.public
    assert isinstance(public, FastPath)
    yield from ((path, layer._app.__closure__[0].cell_contents) for path, layer in public._direct.items())  # type: ignore[attr-defined]
    for route in (*public._app.routes, *app.management.routes):
        yield route.path, None if isinstance(route, Mount) else route.endpoint


def test_every_route_requires_its_listed_role() -> None:
    """Also on the fast path; a route that is not listed in `ROLES` fails here."""
    found: dict[str, set[Role | None]] = {}
    for path, endpoint in routes_of(create_app(Settings())):
        found.setdefault(path, set()).add(getattr(endpoint, "role", None))
    assert found == {path: {role} for path, role in ROLES.items()}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def limited(rate: Rate | None, name: str = "zendesk") -> Caller:
    return Caller(name, frozenset({Role.ROUTE}), rate)


def refused(limiter: RateLimiter, caller: Caller, tickets: int = 1, min_level: int = 1) -> float | None:
    """Seconds to wait; None if accepted."""
    try:
        limiter.take(caller, tickets, min_level)
    except RateLimited as error:
        return error.retry_after
    return None


def test_a_burst_is_accepted_and_then_the_rate() -> None:
    """Three at once, a fourth after its time, and no more than three after an hour without requests."""
    clock, caller = Clock(), limited(Rate(0.5, 3))
    limiter = RateLimiter(clock)
    limiter.set_callers([caller])
    assert [refused(limiter, caller) for _ in range(4)] == [None, None, None, 2.0]
    clock.now = 1.9
    assert refused(limiter, caller) == 1.0  # at least one second
    clock.now = 2.0
    assert [refused(limiter, caller) for _ in range(2)] == [None, 2.0]
    clock.now = 3600.0
    assert [refused(limiter, caller) is None for _ in range(4)] == [True, True, True, False]


def test_a_batch_larger_than_the_burst_is_accepted_and_delays_the_next() -> None:
    """The rest of a batch is taken if the level is not negative; the rate holds over time; at most 59 s wait."""
    clock, caller = Clock(), limited(Rate(1, 2))
    limiter = RateLimiter(clock)
    limiter.set_callers([caller])
    assert [refused(limiter, caller), refused(limiter, caller, 99, 0)] == [None, None]
    assert (refused(limiter, caller), refused(limiter, caller, 99, 0)) == (59.0, 59.0)
    clock.now = 98.0
    assert refused(limiter, caller) == 1.0
    clock.now = 99.0
    assert refused(limiter, caller) is None


def test_one_key_does_not_use_up_the_rate_of_another() -> None:
    """A key without a rate is never refused."""
    one, other, free = limited(Rate(0.01, 1)), limited(Rate(0.01, 1), "other"), limited(None, "free")
    limiter = RateLimiter(Clock())
    limiter.set_callers([one, other, free])
    assert [refused(limiter, each) is None for each in (one, one, other, *[free] * 100)] == [True, False, *[True] * 101]


def test_a_reload_leaves_the_buckets_of_unchanged_rates_as_they_are() -> None:
    """A reload of the file does not refill a bucket; a changed rate starts with a full one."""
    limiter, caller = RateLimiter(Clock()), limited(Rate(0.01, 1))
    limiter.set_callers([caller])
    assert refused(limiter, caller) is None
    limiter.set_callers([caller])
    assert refused(limiter, caller) is not None
    limiter.set_callers([limited(Rate(0.01, 2))])
    assert refused(limiter, caller) is None


IN_ADDRESS = ["key=x", "api_key=x", "apikey=x", "api-key=x", "token=", "access_token=x", "a=1&Token=x", "auth=x"]
IN_ADDRESS += ["%6bey=x", "a=trk_x", "a=1;key=x", "authorization=Bearer+x", "trk_x"]


@pytest.mark.parametrize("query", IN_ADDRESS)
def test_a_key_in_the_query_is_refused(query: str) -> None:
    """By the usual parameter names in any spelling, and by the prefix of keys."""
    with pytest.raises(KeyInQuery):
        refuse_key_in_query(query.encode())


@pytest.mark.parametrize("query", ["", "a=1", "monkey=1", "keyboard=1", "x=key", "cursor=token", "%", "\xe9"])
def test_an_ordinary_query_is_accepted(query: str) -> None:
    """And ignored."""
    refuse_key_in_query(query.encode("latin-1"))


def opened(path: Path) -> Access:
    access = Access(path, CollectorRegistry())
    access.open()
    return access


def reload(access: Access, requested_by: str = "watch") -> list[dict[str, Any]]:
    """Check the file once; return the audit lines."""
    with capture_logs() as lines:
        asyncio.run(access.reload_if_changed(requested_by))
    return [dict(line) for line in lines]


def knows(access: Access, known: Known) -> bool:
    try:
        return access.authenticate(known.key.encode()).name == known.name
    except ServiceError:
        return False


def test_a_changed_file_is_reloaded_and_audited(tmp_path: Path) -> None:
    """Added, removed and changed callers are logged by name; the same bytes are no change."""
    path, (stays, goes, comes) = tmp_path / "keys", (Known("stays"), Known("goes"), Known("comes"))
    path.write_text(file_of(stays, goes))
    access = opened(path)
    assert reload(access) == []
    path.write_text(file_of(Known("stays", ("route", "admin"), key=stays.key), comes))
    (line,) = reload(access, "signal")
    assert line == {
        "event": "audit",
        "log_level": "warning",
        "who": "signal",
        "action": "keys",
        "outcome": "done",
        "added": ["comes"],
        "removed": ["goes"],
        "changed": ["stays"],
    }
    assert [knows(access, each) for each in (stays, goes, comes)] == [True, False, True]


def test_a_swapped_symlink_of_a_mounted_secret_is_reloaded(tmp_path: Path) -> None:
    """As Kubernetes swaps it: the file's path stays, a link above it changes, and both files have the same date."""
    known = Known("one"), Known("two")
    for number, each in enumerate(known):
        (tmp_path / f"..v{number}").mkdir()
        (tmp_path / f"..v{number}" / "keys.toml").write_text(each.entry)
        os.utime(tmp_path / f"..v{number}" / "keys.toml", (1, 1))
    (tmp_path / "..data").symlink_to("..v0")
    (tmp_path / "keys.toml").symlink_to("..data/keys.toml")
    access = opened(tmp_path / "keys.toml")
    assert [knows(access, each) for each in known] == [True, False]
    (tmp_path / "..new").symlink_to("..v1")
    (tmp_path / "..new").replace(tmp_path / "..data")
    reload(access)
    assert [knows(access, each) for each in known] == [False, True]


def test_a_broken_file_keeps_the_current_keys_and_is_audited_once(tmp_path: Path) -> None:
    """Invalid, unchanged, missing, repaired: one audit line per change, and a gauge."""
    path, known = tmp_path / "keys", Known("zendesk")
    path.write_text(known.entry)
    registry = CollectorRegistry()
    access = Access(path, registry)
    access.open()

    def successful() -> bool:
        return b"keys_last_reload_successful 1.0" in generate_latest(registry)

    assert successful()
    outcomes = []
    for content in ("canary-7f3a", "canary-7f3a", None, None, known.entry):
        path.unlink(missing_ok=True)
        if content is not None:
            path.write_text(content)
        outcomes.append([line["outcome"] for line in reload(access)])
        assert knows(access, known)
        assert successful() == (content == known.entry)
    assert outcomes == [["refused"], [], ["refused"], [], ["done"]]


def test_before_open_every_key_is_refused(tmp_path: Path) -> None:
    """Without a path, no key is required."""
    known = Known("zendesk")
    with pytest.raises(Unauthenticated):
        Access(tmp_path / "keys", CollectorRegistry()).authenticate(known.key.encode())
    assert [Access(path, CollectorRegistry()).keys_required for path in (tmp_path / "keys", None)] == [True, False]


KEY = b"trk_" + b"A" * 43
SENT: dict[str, tuple[list[bytes], str]] = {
    "no header": ([], "send one key of this service, as Authorization: Bearer trk_..."),
    "no scheme": ([KEY], "send the key once, as Authorization: Bearer trk_..."),
    "another scheme": ([b"Token " + KEY], "send the key once, as Authorization: Bearer trk_..."),
    "Basic": ([b"Basic dHJrOmE="], "send the key once, as Authorization: Bearer trk_..."),
    "twice": ([b"Bearer " + KEY] * 2, "send the key once, as Authorization: Bearer trk_..."),
    "two keys": ([b"Bearer " + KEY + b", Bearer " + KEY], "send the key once, as Authorization: Bearer trk_..."),
    "unknown": ([b"Bearer " + KEY], "this key is not known here"),
}


@pytest.mark.parametrize(("values", "reason"), SENT.values(), ids=SENT)
def test_a_malformed_authorization_header_is_answered_with_the_right_form(
    tmp_path: Path, values: list[bytes], reason: str
) -> None:
    """If the error said only that the key is unknown, the client would create another key and make the same mistake."""
    authorizer = Authorizer(Access(tmp_path / "keys", CollectorRegistry()))
    with pytest.raises(Unauthenticated) as refusal:
        authorizer.authenticate([(b"authorization", value) for value in values])
    assert str(refusal.value).endswith(reason)
    assert KEY.decode() not in str(refusal.value)


def test_an_expired_key_is_refused(tmp_path: Path) -> None:
    """With its name for the log; a key that expires later is accepted."""
    path = tmp_path / "keys"
    over, later = Known("over", further="expires = 2020-01-01"), Known("later", further="expires = 2999-01-01")
    path.write_text(file_of(over, later, Known("endless")))
    registry = CollectorRegistry()
    access = Access(path, registry)
    access.open()
    assert knows(access, later)
    gauges = re.findall(r'key_expires_timestamp_seconds{key="(\w+)"} (\S+)', generate_latest(registry).decode())
    assert [(name, float(moment)) for name, moment in gauges] == [("over", 1577836800), ("later", 32472144000)]
    with pytest.raises(Unauthenticated) as refusal:
        access.authenticate(over.key.encode())
    assert refusal.value.name == "over"


@pytest.mark.parametrize(
    ("host", "keys_file", "warnings"), [("127.0.0.1", None, 0), ("0.0.0.0", None, 1), ("0.0.0.0", "keys", 0)]
)
def test_ports_beyond_loopback_without_keys_log_a_warning(host: str, keys_file: str | None, warnings: int) -> None:
    """One line at start; none on loopback, none with keys."""
    settings = Settings(keys_file=Path(keys_file) if keys_file else None)
    with socket.create_server((host, 0)) as public, capture_logs() as lines:
        warn_without_keys(settings, public)
    assert [line["log_level"] for line in lines] == ["warning"] * warnings
