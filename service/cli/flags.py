"""Command-line flags made from the settings class, so that no setting is described twice."""

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

Given = dict[str, str | None]
_METAVARS = {bool: "true|false", Path: "PATH", str: "TEXT", int: "NUMBER", float: "SECONDS"}

REMOVED = {
    "--workers": "one process serves one model; run more replicas on Kubernetes, or several services behind the proxy "
    "in deploy/ (docs/scale-out.md)",
}
"""Former settings by their flag: what to do instead."""

_SERVICE_LINK = re.compile(r"(.+_)?(SERVICE_(HOST|PORT)|SERVICE_PORT_.+|PORT_[0-9]+_(TCP|UDP|SCTP)(_.+)?)")
"""Names that Kubernetes gives to every pod beside a Service called ticket-router; nobody misspelt those."""


class SettingsError(TicketRouterError):
    """A flag or an environment variable has no valid value."""


def with_flags(*names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Give a command one flag per setting (all of them without names); it receives what was given as `given`."""
    chosen = {name: Settings.model_fields[name] for name in names} if names else Settings.model_fields

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        def with_given(**arguments: Any) -> None:
            given: Given = {name: arguments.pop(name) for name in chosen}
            command(**arguments, given=given)

        own = [parameter for parameter in inspect.signature(command).parameters.values() if parameter.name != "given"]
        flags = [_parameter(name, field) for name, field in chosen.items()]
        with_given.__doc__ = command.__doc__
        with_given.__name__ = command.__name__
        with_given.__signature__ = inspect.Signature([*own, *flags])  # type: ignore[attr-defined]
        with_given.__annotations__ = {parameter.name: parameter.annotation for parameter in (*own, *flags)}
        return with_given

    return decorate


def settings_from(given: Given) -> Settings:
    """Flags, then the environment, then the defaults.

    Raises:
        SettingsError: a value is not valid, or a variable is none of ours; the message names it.
    """
    _refuse_unknown_variables()
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]
    except ValidationError as error:
        first = error.errors()[0]
        raise SettingsError(f"{_names(str(first['loc'][0]))}: {first['msg']}") from None


def flag(name: str) -> str:
    return f"--{name.replace('_', '-')}"


def variable(name: str) -> str:
    return f"{Settings.model_config['env_prefix']}{name.upper()}"


def _refuse_unknown_variables() -> None:
    """A misspelt flag is refused, so a misspelt variable is too: a limit nobody set protects nobody."""
    prefix, known = variable(""), [variable(name) for name in Settings.model_fields]
    for name in sorted(os.environ):
        upper = name.upper()
        if upper.startswith(prefix) and upper not in known and not _SERVICE_LINK.fullmatch(upper.removeprefix(prefix)):
            if (former := flag(upper.removeprefix(prefix).lower())) in REMOVED:
                raise SettingsError(f"{name} is no longer a setting, unset it: {REMOVED[former]}")
            near = difflib.get_close_matches(upper, known, 1)
            raise SettingsError(f"{name} is no setting" + (f"; is it {near[0]}?" if near else "; see --help"))


def _parameter(name: str, field: FieldInfo) -> inspect.Parameter:
    default = "unset" if field.default is None else str(field.default)
    option = typer.Option(
        flag(name),
        metavar=_metavar(field.annotation),
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
    return _metavar(get_args(annotation)[0])  # of `Seconds | None` and the like


def _names(name: str) -> str:
    return f"{flag(name)} or {variable(name)}"
