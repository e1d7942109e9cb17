"""`python -m service tune`: measure, keep the plan, and show what was tried and what was taken."""

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import typer
from rich.console import Console
from rich.table import Table

from models.bundle.bundle import open_bundle
from models.printable import printable
from service.inference.autotune import Place, Tuning, Watch, tune
from service.inference.engine import Sessions, load_sessions, on_device
from service.inference.hardware import this_machine
from service.inference.plan import Measured, Plan, refuse_unwritable, write_plans
from service.settings import Settings

COLUMNS = ("variant", "graph", "runs", "threads", "batch tokens", "tickets/s", "figures", "")
BUSY = 0.5
"""Load per core above which the figures are the others' as much as ours."""


def tune_bundle(settings: Settings, seconds: float) -> tuple[Path, Tuning]:
    """Tune for the settings' bundle and device: where the plan file lies now, and what was found.

    Raises:
        TicketRouterError: there is no sound bundle, no such device, or no writing to the state folder.
    """
    bundle, machine = open_bundle(settings.bundle, settings.bundle_key), this_machine()
    _warn_if_busy()

    def attempt(device: str) -> tuple[Path, Tuning]:
        def load(plan: Plan) -> Sessions:
            return load_sessions(bundle, plan, device)

        place = Place(bundle, machine, device)
        path = place.plan_path(settings)
        refuse_unwritable(path)
        with _progress() as watch:
            found = tune(settings, place, load, seconds, watch)
        write_plans(path, found.file)
        return path, found

    return on_device(settings.device, attempt)


def _warn_if_busy() -> None:
    load, cores = os.getloadavg()[0], os.cpu_count() or 1
    if load > BUSY * cores:
        typer.echo(f"the machine is busy (load {load:.1f} on {cores} cores): tune again when it is idle", err=True)


def print_tuning(found: Tuning, path: Path) -> None:
    """A table on a terminal; in a pipe plain lines with a tab between the columns."""
    console, rows = Console(highlight=False), list(_rows(found))
    if console.is_terminal:
        table = Table(*COLUMNS, box=None, header_style="dim")
        for row in rows:
            table.add_row(*row, style="bold green" if row[-1] == "taken" else None)
        console.print(table)
    else:
        for row in (COLUMNS, *rows):
            typer.echo("\t".join(row).rstrip())
    for entry in found.file.plans:
        typer.echo(_told(entry))
    typer.echo(printable(f"kept in {path}"))


def _rows(found: Tuning) -> Iterator[Sequence[str]]:
    for trial in found.tried:
        mark = "taken" if trial.plan in found.won else ""
        yield (*_described(trial.plan), f"{trial.rate:.1f}", str(len(trial.rates)), mark)


def _described(plan: Plan) -> tuple[str, ...]:
    return plan.variant, plan.graph, str(plan.runners), str(plan.intra_op_threads), str(plan.max_batch_tokens)


def _told(entry: Measured) -> str:
    plan = entry.plan
    lone = (
        f"on {plan.lone_threads} threads from {plan.lone_tokens} tokens on" if plan.lone_threads else "like any other"
    )
    return (
        f"{plan.variant}: {entry.tickets_per_second:.1f} tickets/s under load; "
        f"alone {entry.lone_milliseconds:.1f} ms, {lone}"
    )


@contextlib.contextmanager
def _progress() -> Iterator[Watch]:
    """What is being measured, on a terminal only."""
    console = Console(stderr=True, highlight=False)
    if not console.is_terminal:
        yield lambda _plan: None
        return
    with console.status("loading") as status:
        yield lambda plan: status.update(f"measuring {_sentence(plan)}")


def _sentence(plan: Plan) -> str:
    if plan.lone_threads:
        return f"{plan.variant} {plan.graph}: one ticket on {plan.lone_threads} threads"
    return (
        f"{plan.variant} {plan.graph}: {plan.runners} x {plan.intra_op_threads} threads, {plan.max_batch_tokens} tokens"
    )
