"""Counts the metric series that requests create: `python -m tests.faults.series --count 100000`.

Requests have random paths, methods, ids, contents, content types and keys; half of them go to a service that requires
keys. The same requests go to a stock application whose middleware counts by path, as examples do.
"""

import asyncio
import json
import random
import string
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.clients.client import Client, Lost
from tests.faults.command import bundle_or_tiny, bundle_parser
from tests.faults.servers.stock import started
from tests.support.keys import Known, file_of
from tests.support.process import serving

CLIENTS = 8
OURS = ("/v1/route", "/v1/route/batch", "/v1/model")
METHODS = ("GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "HEAD", "PROPFIND", "PURGE", "MKCOL")
KINDS = ("application/json", "message/rfc822", "text/plain")
LOST = "closed"
"""Malformed HTTP may be answered by closing the connection."""


def requests(count: int, seed: int, keys: Sequence[str] = ()) -> Iterator[bytes]:
    """Well-formed requests, however strange, so that nearly all reach a route. `keys`: some valid keys."""
    drawn = random.Random(seed)
    for _ in range(count):
        word = "".join(drawn.choices(string.ascii_letters + string.digits + "-_.~", k=12))
        path = drawn.choice((f"/{word}", f"/v1/{word}", f"/v1/route/{word}", f"/v1/route?{word}={word}", *OURS))
        body = _body(drawn, word)
        lines = [
            f"{drawn.choice(METHODS)} {path} HTTP/1.1",
            f"Host: {word}.example",
            f"Content-Type: {drawn.choice((*KINDS, f'{word}/{word}'))}",
            f"Content-Length: {len(body)}",
            f"X-Request-ID: {word}",
            f"User-Agent: {word}",
            f"Authorization: Bearer {drawn.choice((*keys, f'trk_{word}'))}",
        ]
        yield "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def _body(drawn: random.Random, word: str) -> bytes:
    ticket = {"id": word, "body": f"{word} has not come"}
    document = drawn.choice((ticket, ticket, {word: word}, ticket | {word: 1}, {"tickets": [ticket, {"body": word}]}))
    return json.dumps(document).encode()


def send(port: int, count: int, seed: int = 0, keys: Sequence[str] = ()) -> Counter[int | str]:
    """Count the responses by status."""
    return asyncio.run(_send_all(port, count, seed, keys))


async def _send_all(port: int, count: int, seed: int, keys: Sequence[str]) -> Counter[int | str]:
    shared, ends = requests(count, seed, keys), Counter[int | str]()

    async def call() -> None:
        client = Client(port)
        for request in shared:
            try:
                ends[(await client.ask(request)).status] += 1
            except Lost:
                ends[LOST] += 1
        client.close()

    await asyncio.gather(*(call() for _ in range(CLIENTS)))
    return ends


def gained(bundle: Path, count: int, *, with_keys: bool) -> tuple[set[str], Counter[int | str]]:
    """The series that `count` requests created, and the responses by status."""
    known = Known("zendesk")
    with tempfile.TemporaryDirectory(prefix="keys-") as folder:
        file = Path(folder) / "keys.toml"
        file.write_text(file_of(known))
        flags, keys = (("--keys-file", str(file)), (known.key,)) if with_keys else ((), ())
        with serving(bundle, *flags) as service:
            before = set(service.samples())
            ends = send(service.port, count, keys=keys)
            return set(service.samples()) - before, ends


def gained_by_stock(count: int) -> int:
    """The series that a stock application gained from the same requests."""

    async def scrape(port: int) -> int:
        client = Client(port)
        reply = await client.ask(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")
        client.close()
        return sum(line.startswith(b"http_requests_total{") for line in reply.body.splitlines())

    with started() as app:
        before = asyncio.run(scrape(app.port))
        send(app.port, count)
        return asyncio.run(scrape(app.port)) - before


def main() -> int:
    parser = bundle_parser(__doc__)
    parser.add_argument("--count", type=int, default=100_000, metavar="N")
    arguments = parser.parse_args()
    found, began = set[str](), time.monotonic()
    with bundle_or_tiny(arguments.bundle) as bundle:
        for with_keys in (False, True):
            made, ends = gained(bundle, arguments.count // 2, with_keys=with_keys)
            found |= made
            codes = ", ".join(f"{count} x {code}" for code, count in sorted(ends.items(), key=str))
            print(
                f"{'with' if with_keys else 'without'} keys: {ends.total()} requests ({codes}), {len(made)} new series"
            )
    few = arguments.count // 50
    print(f"a stock application: {gained_by_stock(few)} new series of {few} requests")
    print(*sorted(found)[:20], f"{time.monotonic() - began:.0f} s", sep="\n")
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
