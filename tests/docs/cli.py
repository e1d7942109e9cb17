"""Whether a `python -m …` line is one that the command line understands; nothing of it is run.

typer's commands are asked through their own parser. The benchmarks use argparse within `main` and import much before:
of them the source is read, for the flags it names.
"""

import ast
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

import training.cli  # noqa: F401 its commands
from models.errors import TicketRouterError
from service.cli.flags import settings_from
from service.cli.main import app as service_app
from tests.support.process import ROOT
from training.cli.options import app as training_app

APPS = {"service": service_app, "training": training_app}


def refuse(module: str, arguments: Sequence[str]) -> str | None:
    """What is wrong with these arguments, or None."""
    if module in APPS:
        return _typer_refuses(typer.main.get_command(APPS[module]), module, arguments)
    sources = _sources(module)
    if not sources:
        return f"there is no module {module}"
    unknown = {word.partition("=")[0] for word in arguments if word.startswith("--")} - _flags(sources)
    return f"no such option: {', '.join(sorted(unknown))}" if unknown else None


def _typer_refuses(command: Any, module: str, arguments: Sequence[str]) -> str | None:
    try:
        context = command.make_context(module, list(arguments))
        rest = [*context._protected_args, *context.args]
        if not rest:
            settings_from({name: value for name, value in context.params.items() if isinstance(value, str)})
            return None
        name, sub, rest = command.resolve_command(context, rest)
        sub.make_context(name, rest, parent=context)
    except typer.Exit:  # --help
        return None
    except typer.TyperException as error:
        return error.format_message()
    except TicketRouterError as error:
        return str(error)
    return None


def _sources(module: str) -> tuple[Path, ...]:
    place = ROOT.joinpath(*module.split("."))
    return (
        tuple(place.rglob("*.py")) if (place / "__main__.py").exists() else tuple(place.parent.glob(f"{place.name}.py"))
    )


@functools.cache
def _flags(sources: tuple[Path, ...]) -> frozenset[str]:
    nodes = (node for path in sources for node in ast.walk(ast.parse(path.read_text())))
    texts = (node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str))
    return frozenset(text for text in texts if text.startswith("--")) | {"--help"}
