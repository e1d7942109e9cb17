"""Prints one decision for a person at a terminal."""

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from models.printable import printable
from service.api.schemas import DecisionOut

COLOURS = {"route": "green", "suggest": "yellow", "review": "magenta"}
REASONS = {
    "confident": "confident enough to route without a person",
    "below_threshold": "not confident enough",
    "label_not_automatic": "this department is never routed automatically by this model",
    "empty": "there is no text to read",
    "automatic_mail": "an automatic reply, not written by a person",
    "bounce": "a delivery report",
    "loop": "a mail of our own that came back",
    "spam": "a spam filter marked it",
    "unreadable": "its words cannot be read: encrypted, a container, or an unknown charset",
    "invalid_scores": "the model gave no valid scores",
    "too_complex": "reading it takes too long, so a person should",
    "automation_off": "a person has switched this off, see /admin/status",
    "audit": "of the random share kept for people, to measure the model",
    "out_of_scope": "unlike the tickets that this model knows",
    "language": "in words that this model hardly knows: another language, or names alone",
}


def print_decision(decision: DecisionOut) -> None:
    """Print a coloured table on a terminal; in a pipe, plain lines without wrapping."""
    outcome = Text(decision.outcome.value, style=f"bold {COLOURS[decision.outcome.value]}")
    lines = [
        ("outcome", outcome),
        ("department", Text(printable(decision.department or "left to people"))),
        ("confidence", Text(f"{decision.confidence:.1%}")),
        ("reason", Text(f"{decision.reason}: {REASONS.get(decision.reason, 'see the documentation')}")),
    ]
    if decision.candidates:
        candidates = ", ".join(f"{each.department} {each.confidence:.1%}" for each in decision.candidates)
        lines.append(("candidates", Text(printable(candidates))))
    for name, field in decision.fields.items():
        value = printable(field.value or "left to people")
        lines.append((name, Text(f"{value} ({field.confidence:.1%}, {field.outcome.value})")))
    if decision.flags:
        lines.append(("flags", Text(", ".join(decision.flags))))
    lines.append(("model", Text(f"{decision.model.version} {decision.model.variant}")))

    console = Console(highlight=False)
    if not console.is_terminal:
        width = max(len(name) for name, _ in lines)
        for name, text in lines:
            typer.echo(f"{name:<{width}}  {text.plain}")
        return
    table = Table.grid(padding=(0, 2))
    for name, text in lines:
        table.add_row(Text(name, style="dim"), text)
    console.print(table)
