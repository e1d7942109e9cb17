"""`python -m service records`: statistics, export, pruning, backup and restore of the decisions on record."""

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from pydantic_core import to_json
from sqlalchemy.exc import DBAPIError

from service.cli.flags import FlagValues, settings_from, with_flags
from service.records import upkeep
from service.records.database.connections import Database, RecordsError, SqliteFile, cause_of, open_database

RECORDS_SETTINGS = ("records", "state_dir", "records_password_file")

records = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@records.callback()
def group() -> None:
    """Read and maintain the decisions on record, also beside a running service."""


@records.command()
@with_flags(*RECORDS_SETTINGS)
def stats(given: FlagValues) -> None:
    """Print how much is on record, as JSON.

    \b
    Examples:
      python -m service records stats
      python -m service records stats --records postgresql://router@db/router
    """
    with opened_database(given) as database:
        typer.echo(to_json(upkeep.stats(database), indent=2).decode())


@records.command()
@with_flags(*RECORDS_SETTINGS)
def export(
    given: FlagValues,
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to write, JSON lines.")],
    since: Annotated[datetime | None, typer.Option(help="Only decisions from this time on, UTC.")] = None,
) -> None:
    """Write one JSON line a decision, oldest first, with its feedback and its text if that is kept.

    \b
    Examples:
      python -m service records export --out decisions.jsonl
      python -m service records export --out decisions.jsonl --since 2026-11-01
    """
    since_ms = 0 if since is None else int(since.replace(tzinfo=UTC).timestamp() * 1000)
    with opened_database(given) as database:
        typer.echo(f"{upkeep.export(database, out, since_ms)} decisions written to {out}", err=True)


@records.command()
@with_flags(*RECORDS_SETTINGS, "records_days", "records_text_days")
def prune(given: FlagValues) -> None:
    """Delete old decisions with their feedback and texts, and old texts, as the running service does by itself.

    \b
    Examples:
      python -m service records prune --records-days 400
      python -m service records prune --records-text-days 30
    """
    settings = settings_from(given)
    with opened_database(given) as database:
        decisions, texts = upkeep.prune(database, settings.records_days, settings.records_text_days)
        typer.echo(f"{decisions} decisions and {texts} further texts deleted", err=True)


@records.command()
@with_flags(*RECORDS_SETTINGS)
def backup(
    given: FlagValues, to: Annotated[Path, typer.Option("--to", metavar="FILE", help="The file to write, .jsonl.gz.")]
) -> None:
    """Write the whole record, of one moment, to a file that `restore` reads into either database.

    \b
    Examples:
      python -m service records backup --to records.jsonl.gz
    """
    with opened_database(given) as database:
        typer.echo(f"{_counted(upkeep.backup(database, to))} written to {to}", err=True)


@records.command()
@with_flags(*RECORDS_SETTINGS)
def restore(
    given: FlagValues, source: Annotated[Path, typer.Option("--from", metavar="FILE", help="A file of `backup`.")]
) -> None:
    """Fill an empty database from a backup. The service must not run on it yet.

    \b
    Examples:
      python -m service records restore --from records.jsonl.gz --state-dir state
      python -m service records restore --from records.jsonl.gz --records postgresql://router@db/router
    """
    with opened_database(given, new=True) as database:
        typer.echo(f"{_counted(upkeep.restore(database, source))} restored", err=True)


@contextlib.contextmanager
def opened_database(given: FlagValues, *, new: bool = False) -> Iterator[Database]:
    """The database of the settings. `new`: it may be empty.

    Raises:
        RecordsError, SchemaError: it is off, does not answer, or has another schema.
    """
    settings = settings_from(given)
    if settings.records == "off":
        raise RecordsError("records are off: name the database with --records")
    database = open_database(settings.records, settings.state_dir, settings.records_password_file)
    try:
        if not new:
            if isinstance(database, SqliteFile) and not database.path.exists():
                raise RecordsError(f"{database.path}: no records there; --state-dir names the folder")
            database.check_schema()
        yield database
    except (DBAPIError, OSError) as error:
        raise RecordsError(f"the records cannot be used: {cause_of(error)}") from error
    finally:
        database.close()


def _counted(rows: dict[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in rows.items() if count or name == "decisions")
