"""`python -m service keys`: create a key, add it to the keys file, and check the file.

The key itself goes to standard output only; messages for a person go to standard error.
"""

import json as encoder
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from service.access.caller import Role
from service.access.edit_keys import add_key, format_entry
from service.access.keyring import digest_of, new_key, rate_of
from service.access.keys_file import KeyEntry, KeysError, parse_keys, read_content

_NAME_RULE = "1 to 63 lower-case letters, digits, dots, dashes and underscores, the first a letter or a digit"

_DIGEST_PREFIX = 12
"""Digits of a digest to show: enough to identify the digest in a file, and short enough for a line."""

keys = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@keys.callback()
def group() -> None:
    """Create keys for callers, and check the keys file (`--keys-file` of the service)."""


@keys.command()
def new(
    name: Annotated[str, typer.Option(help="Name of the caller, for logs and metrics.")],
    role: Annotated[list[Role], typer.Option(help="What the key permits; repeat for another role.")],
    file: Annotated[Path | None, typer.Option(help="Keys file to add the key to; created if missing.")] = None,
    tickets_per_second: Annotated[float | None, typer.Option(help="Rate limit. Default: no limit.")] = None,
    burst: Annotated[int | None, typer.Option(help="Tickets at once. Default: those of one second.")] = None,
    expires: Annotated[datetime | None, typer.Option(help="When the key becomes invalid, UTC.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print key and entry as JSON.")] = False,
) -> None:
    """Create a key. The key is shown only once; the file holds only its digest.

    If the file has this name, the caller gets a second key, and its newest key stays valid until the next call, so that
    clients can change over. To withdraw a key at once, remove its digest from the file. Running services reload the
    file.

    \b
    Examples:
      python -m service keys new --name zendesk --role route
      python -m service keys new --name zendesk --role route --file keys.toml
      python -m service keys new --name import --role route --tickets-per-second 20 --burst 300 --file keys.toml
    """
    key, expires_utc = new_key(), expires.replace(tzinfo=UTC) if expires is not None else None
    if expires_utc is not None and expires_utc <= datetime.now(UTC):
        raise KeysError("--expires: this time is in the past; the key would never work")
    optional = {"tickets_per_second": tickets_per_second, "burst": burst, "expires": expires_utc}
    values = {"name": name, "roles": role, "sha256": (digest_of(key),)}
    entry = _validate_entry(values | {field: value for field, value in optional.items() if value is not None})
    message = f"Put this into the keys file:\n\n{format_entry(entry)}"
    if file is not None:
        rotated = add_key(file, entry)
        message = f"{file}: {name} has a new key{', and the previous key is still valid' if rotated else ''}\n"
    if json:
        typer.echo(encoder.dumps({"key": key, "entry": format_entry(entry)}))
    else:
        typer.echo("The key, shown only once:", err=True)
        typer.echo(key)
        typer.echo(f"\n{message}", err=True, nl=False)


@keys.command()
def check(
    file: Annotated[Path, typer.Argument(help="The keys file.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Check a keys file, and list the callers and their roles. An error is one line and exit status 2.

    Each key is shown by the first digits of its SHA-256. To compute the SHA-256 of a key: printf %s "$KEY" | sha256sum

    \b
    Examples:
      python -m service keys check keys.toml
    """
    entries = parse_keys(read_content(file), file).keys
    if json:
        shown = [
            entry.model_dump(mode="json", exclude={"sha256"}) | {"sha256_begins": _digest_prefixes(entry)}
            for entry in entries
        ]
        typer.echo(encoder.dumps(shown))
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        typer.echo(f"{entry.name:<{width}}  {_summary(entry)}")


def _validate_entry(values: dict[str, object]) -> KeyEntry:
    try:
        return KeyEntry.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        option = str(first["loc"][0]).replace("_", "-") if first["loc"] else "burst"
        message = _NAME_RULE if first["type"] == "string_pattern_mismatch" else first["msg"]
        raise KeysError(f"--{option}: {message}") from None


def _digest_prefixes(entry: KeyEntry) -> list[str]:
    return [digest[:_DIGEST_PREFIX] for digest in entry.sha256]


def _summary(entry: KeyEntry) -> str:
    count, rate = len(entry.sha256), rate_of(entry)
    digests = ", ".join(_digest_prefixes(entry))
    valid_keys = f"{count} key{'s' if count > 1 else ''} ({digests})" if count else "no key: withdrawn"
    parts = [", ".join(sorted(entry.roles)), valid_keys]
    if rate is not None:
        parts.append(f"{rate.tickets_per_second:g} tickets/s, {rate.burst} at once")
    if entry.expires is not None:
        expired = entry.expires <= datetime.now(UTC)
        parts.append(f"{'EXPIRED' if expired else 'expires'} {entry.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    return "; ".join(parts)
