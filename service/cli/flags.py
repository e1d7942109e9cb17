"""Command-line flags, generated from the settings class so that each setting is described once."""

import difflib
import inspect
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

import typer
from pydantic import ValidationError
from pydantic.fields import FieldInfo

from models.errors import TicketRouterError
from service.settings import Settings

FlagValues = dict[str, str | None]
_METAVARS = {bool: "true|false", Path: "PATH", str: "TEXT", int: "NUMBER", float: "SECONDS"}

REMOVED = {
    "--workers": "one process serves one model; run more replicas on Kubernetes, or several services behind the proxy "
    "in deploy/ (docs/sizing.md)",
    **dict.fromkeys(
        ("--plan", "--tune-at-start"),
        "nothing is measured any more: the default plan is as fast; --runners, --intra-op-threads and "
        "--max-batch-tokens change it",
    ),
}
"""Flags of removed settings, with the alternative."""

_SERVICE_LINK = re.compile(r"(.+_)?(SERVICE_(HOST|PORT)|SERVICE_PORT_.+|PORT_[0-9]+_(TCP|UDP|SCTP)(_.+)?)")
"""Variables that Kubernetes sets in every pod next to a Service named ticket-router; they are not misspelt settings."""


class SettingsError(TicketRouterError):
    """A flag or an environment variable is unknown or has an invalid value."""


def with_flags(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add one flag per named setting to a command (without names: all settings). The command gets their values as
    `given`."""
    fields = {name: Settings.model_fields[name] for name in names} if names else Settings.model_fields

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def with_given(**arguments: Any) -> None:
            given: FlagValues = {name: arguments.pop(name) for name in fields}
            command(**arguments, given=given)

        parameters = [
            parameter for parameter in inspect.signature(command).parameters.values() if parameter.name != "given"
        ]
        flags = [_parameter(name, field) for name, field in fields.items()]
        with_given.__doc__ = command.__doc__
        with_given.__name__ = command.__name__
        with_given.__signature__ = inspect.Signature([*parameters, *flags])  # type: ignore[attr-defined]
        with_given.__annotations__ = {parameter.name: parameter.annotation for parameter in (*parameters, *flags)}
        return with_given

    return decorate


def settings_from(given: FlagValues) -> Settings:
    """The settings from flags, then environment variables, then defaults.

    Raises:
        SettingsError: a value is invalid or a variable is unknown; the message names it.
    """
    _refuse_unknown_variables()
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise SettingsError(f"{flag(name)} or {variable(name)}: {first['msg']}") from None


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    return f"{Settings.model_config['env_prefix']}{name.upper()}"


def _refuse_unknown_variables() -> None:
    """Refuse a misspelt variable, like a misspelt flag: otherwise a limit would silently not be set."""
    prefix, known = variable(""), [variable(name) for name in Settings.model_fields]
    for name in sorted(os.environ):
        upper = name.upper()
        if upper.startswith(prefix) and upper not in known and not _SERVICE_LINK.fullmatch(upper.removeprefix(prefix)):
            if (removed := flag(upper.removeprefix(prefix).lower())) in REMOVED:
                raise SettingsError(f"{name} is no longer a setting, unset it: {REMOVED[removed]}")
            similar = difflib.get_close_matches(upper, known, 1)
            raise SettingsError(f"{name} is no setting" + (f"; is it {similar[0]}?" if similar else "; see --help"))


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    default = "unset" if field.default is None else str(field.default)
    option = typer.Option(
        flag(name),
        metavar="SHARE" if name.endswith("_share") else _metavar(field.annotation),
        help=f"{' '.join((field.description or '').split())} [default: {default}]",
        show_default=False,
    )
    annotation = Annotated[str | None, option]
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)


def _metavar(annotation: Any) -> str:
    if get_origin(annotation) is Literal:
        return "|".join(get_args(annotation))
    if annotation in _METAVARS:
        return _METAVARS[annotation]
    return _metavar(get_args(annotation)[0])  # the first type of a union such as `Seconds | None`
