"""`python -m service keys`: make a key, put it into the keys file, see what the file says.

The key itself goes to standard output and nowhere else; what is for a person goes to standard error.
"""

import json as encoder
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic import ValidationError

from service.access.caller import Role
from service.access.edit_keys import keep, spelled
from service.access.keyring import digest_of, new_key, rate_of
from service.access.keys_file import Entry, KeysError, parse_keys, read_content

_NAMES = "1 to 63 lower-case letters, digits, dots, dashes and underscores, the first a letter or a digit"

_SHOWN = 12
"""So much of a digest tells it from all others in a file, and fits on a line."""

keys = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@keys.callback()
def group() -> None:
    """Make keys for callers, and check the file they stand in (`--keys-file` of the service)."""


@keys.command()
def new(
    name: Annotated[str, typer.Option(help="Whose key it is; stands in logs and metrics.")],
    role: Annotated[list[Role], typer.Option(help="What it may do; give it again for another role.")],
    file: Annotated[Path | None, typer.Option(help="Keys file to put it into. Made if it is not there.")] = None,
    tickets_per_second: Annotated[float | None, typer.Option(help="Its limit. Without it none of its own.")] = None,
    burst: Annotated[int | None, typer.Option(help="Tickets at once. Default: one second's.")] = None,
    expires: Annotated[datetime | None, typer.Option(help="From when on it is refused, UTC.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print key and entry as JSON.")] = False,
) -> None:
    """Make a key. It is shown this once; the file holds its digest alone.

    A name that the file has gets a second key; the first works on until the next such call, so that callers can change
    over. To withdraw a key at once, take its digest out of the file. Running services follow it.

    \b
    Examples:
      python -m service keys new --name zendesk --role route
      python -m service keys new --name zendesk --role route --file keys.toml
      python -m service keys new --name import --role route --tickets-per-second 20 --burst 300 --file keys.toml
    """
    key, until = new_key(), _utc(expires)
    _refuse_past(until)
    given = {"tickets_per_second": tickets_per_second, "burst": burst, "expires": until}
    terms = {"name": name, "roles": role, "sha256": (digest_of(key),)}
    entry = _entry(terms | {field: value for field, value in given.items() if value is not None})
    told = f"Put this into the keys file:\n\n{spelled(entry)}"
    if file is not None:
        rotated = keep(file, entry)
        told = f"{file}: {name} has a new key{', and the one before still works' if rotated else ''}\n"
    if json:
        typer.echo(encoder.dumps({"key": key, "entry": spelled(entry)}))
    else:
        typer.echo("The key, shown this once:", err=True)
        typer.echo(key)
        typer.echo(f"\n{told}", err=True, nl=False)


@keys.command()
def check(
    file: Annotated[Path, typer.Argument(help="The keys file.")],
    json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
) -> None:
    """Check a keys file, and say who may do what. What is wrong is one line, and exit status 2.

    Each key is shown by the beginning of its SHA-256; that of a key you have: printf %s "$KEY" | sha256sum

    \b
    Examples:
      python -m service keys check keys.toml
    """
    entries = parse_keys(read_content(file), file).keys
    if json:
        typer.echo(encoder.dumps([_as_json(entry) for entry in entries]))
        return
    width = max(len(entry.name) for entry in entries)
    for entry in entries:
        typer.echo(f"{entry.name:<{width}}  {_told(entry)}")


def _entry(terms: dict[str, object]) -> Entry:
    try:
        return Entry.model_validate(terms)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
        option = str(first["loc"][0]).replace("_", "-") if first["loc"] else "burst"
        said = _NAMES if first["type"] == "string_pattern_mismatch" else first["msg"]
        raise KeysError(f"--{option}: {said}") from None


def _refuse_past(expires: datetime | None) -> None:
    """A key that was over before it was made is a slip of the pen.

    Raises:
        KeysError: it would never work.
    """
    if expires is not None and expires <= datetime.now(UTC):
        raise KeysError("--expires: this moment is over; the key would never work")


def _as_json(entry: Entry) -> dict[str, object]:
    return entry.model_dump(mode="json", exclude={"sha256"}) | {"sha256_begins": _beginnings(entry)}


def _beginnings(entry: Entry) -> list[str]:
    return [digest[:_SHOWN] for digest in entry.sha256]


def _told(entry: Entry) -> str:
    live, rate = len(entry.sha256), rate_of(entry)
    held = f"{live} key{'s' if live > 1 else ''} ({', '.join(_beginnings(entry))})" if live else "no key: withdrawn"
    parts = [", ".join(sorted(entry.roles)), held]
    if rate is not None:
        parts.append(f"{rate.tickets_per_second:g} tickets/s, {rate.burst} at once")
    if entry.expires is not None:
        over = entry.expires <= datetime.now(UTC)
        parts.append(f"{'EXPIRED' if over else 'expires'} {entry.expires.astimezone(UTC):%Y-%m-%d %H:%M} UTC")
    return "; ".join(parts)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment is not None else None
