"""Must-route cases: tickets whose answer is fixed by people, as a gate of a promotion. From `cases.toml`."""

import difflib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, model_validator

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError
from models.scoring import Outcome
from models.text.prepare import prepare
from models.ticket import ContentType, Ticket
from training.evaluation.bundle_answers import Predictor
from training.toml_files import load_toml

_SHOWN = 5


class Case(Frozen):
    """One ticket and its wanted answer: a department, an outcome, or both."""

    name: str = ""
    """Shown where the case fails, in place of its text."""
    subject: str = ""
    body: str = ""
    content_type: ContentType = "text/plain"
    department: str | None = None
    """Of route and suggest; for review, the most likely one."""
    outcome: Outcome | None = None

    @model_validator(mode="after")
    def _wants_something(self) -> Self:
        if self.department is None and self.outcome is None:
            raise ValueError("a case wants a department, an outcome, or both")
        return self

    @property
    def text(self) -> str:
        ticket = Ticket(subject=self.subject, body=self.body, content_type=self.content_type)
        return prepare(ticket).text


class Cases(Frozen):
    """The whole file."""

    case: Annotated[tuple[Case, ...], Field(min_length=1)]


def load_cases(path: Path) -> tuple[Case, ...]:
    """Read the cases.

    Raises:
        TicketRouterError: the file is unreadable, not TOML, has an unknown key, or a case has no text.
    """
    cases = load_toml(path, Cases, "cases").case
    for number, case in enumerate(cases, start=1):
        if not case.text:
            raise TicketRouterError(f"{path}: case {number} has no text left after cleaning")
    return cases


def failures(cases: Sequence[Case], answer: Predictor, departments: Sequence[str]) -> Iterator[str]:
    """A line for each case that the bundle answers otherwise; `departments` are those it knows."""
    verdicts = answer([case.text for case in cases])
    for number, (case, verdict) in enumerate(zip(cases, verdicts, strict=True), start=1):
        if case.department not in (None, *departments):
            similar = difflib.get_close_matches(str(case.department), departments, 1)
            hint = f"; it knows {similar[0]}" if similar else ""
            yield f"{case.name or f'case {number}'}: the bundle has no department {case.department}{hint}"
            continue
        label = verdict.candidates[0].label if verdict.candidates else None
        if case.department not in (None, label) or case.outcome not in (None, verdict.outcome):
            wanted = " ".join(each for each in (case.outcome, case.department) if each)
            yield f"{case.name or f'case {number}'}: {verdict.outcome} {label or 'nothing'}, wanted {wanted}"


def failures_line(found: Sequence[str], cases: int) -> str:
    """The failed cases on one line."""
    if not found:
        return f"all {cases} answered as wanted"
    more = f"; and {len(found) - _SHOWN} more" if len(found) > _SHOWN else ""
    return f"{len(found)} of {cases} answered otherwise: {'; '.join(found[:_SHOWN])}{more}"
