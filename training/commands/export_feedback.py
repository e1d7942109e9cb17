"""`training export-feedback`: the service's record of decisions → a training file."""

import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.label_source import LabelSource
from models.private_file import private_file
from training.data.feedback.decisions import Decided, LeftOut, read_decisions
from training.data.feedback.label import QUIET_DAYS, Labelled, label_ticket
from training.data.labels import FieldRules, LabelRules, load_rules
from training.data.source import TicketFile, read_tickets

_COLUMNS = (
    "id", "subject", "body", "content_type", "requester", "thread", "language", "split", "created_at", "closed_at",
    "label_source",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class ExportRequest:
    """`data`: a helpdesk's export, for the texts that the record lacks; `undecided`: also its tickets that the router
    never decided."""

    records: tuple[Path, ...]
    out: Path
    data: TicketFile | None = None
    quiet: timedelta = timedelta(days=QUIET_DAYS)
    undecided: bool = False
    skip_faulty: bool = False


@dataclass(slots=True)
class FeedbackExport:
    """The written file, and a count of everything that went in or was left out."""

    out: Path
    fields: tuple[str, ...]
    decisions: int
    quiet: timedelta
    rows: int = 0
    sources: Counter[str] = field(default_factory=Counter)
    at_close: int = 0
    """Departments that people set by the helpdesk's export, because the record has no feedback."""
    joined: int = 0
    """Texts taken from there."""
    undecided: int = 0
    left_out: Counter[LeftOut] = field(default_factory=Counter)
    notes: tuple[str, ...] = ()
    """Of reading the helpdesk's export."""

    def summary(self) -> dict[str, Any]:
        """The result as plain values, for JSON."""
        return {
            "file": str(self.out),
            "fields": self.fields,
            "decisions": self.decisions,
            "rows": self.rows,
            "sources": self.sources,
            "at_close": self.at_close,
            "texts_joined": self.joined,
            "undecided": self.undecided,
            "left_out": {reason.name.lower(): count for reason, count in self.left_out.items() if count},
        }


@dataclass(frozen=True, slots=True)
class _Closed:
    """A row of the helpdesk's export: its cells as they are written, and its values at close."""

    cells: Mapping[str, str]
    labels: Mapping[str, str | None]
    source: LabelSource | None


def export_feedback(request: ExportRequest) -> FeedbackExport:
    """Write the training file whole, readable for its owner only: it holds tickets' texts.

    Raises:
        TicketRouterError: a file is not valid, no ticket has both a text and a department, or `out` cannot be written.
    """
    decided = read_decisions(request.records, request.skip_faulty)
    for name in set(decided.fields) & set(_COLUMNS):
        raise TicketRouterError(f"{request.records[0]}: a field {name!r} has the name of another column of tickets")
    rules = load_rules(request.data.rules if request.data else None)
    done = FeedbackExport(request.out, decided.fields, decided.decisions, request.quiet, left_out=decided.left_out)
    closed: dict[str, _Closed] = {}
    if request.data is not None:
        closed, done.notes = _read_closed(request.data, decided.fields, rules, done.left_out)
    rows = list(_decided_rows(decided, closed, rules, done))
    if request.undecided:
        own = {ticket.id for ticket in decided.tickets}
        left = [row for name, row in closed.items() if name not in own]
        done.undecided = len(left)
        rows += [_row(one.cells, one.labels, one.source or "", decided.newest) for one in left]
    done.rows = len(rows)
    if not rows:
        raise TicketRouterError(f"{request.records[0]}: no ticket to learn from; left out: {counts(done.left_out)}")
    _write(rows, request.out)
    return done


def _decided_rows(
    decided: Decided, closed: Mapping[str, _Closed], rules: LabelRules, done: FeedbackExport
) -> Iterator[dict[str, str]]:
    aliases = {name: rules.of(name).aliases for name in decided.fields}
    for ticket in decided.tickets:
        joined = closed.get(ticket.id)
        labels = joined.labels if joined else {}
        found = label_ticket(ticket, decided.fields, labels, decided.newest, done.quiet, aliases)
        if not isinstance(found, Labelled):
            done.left_out[found] += 1
            continue
        cells = dict(joined.cells) if joined else {}
        if ticket.text is not None:
            cells |= {"subject": ticket.text.subject, "body": ticket.text.body, "content_type": ""}
        if not (cells.get("subject", "") + cells.get("body", "")).strip():
            done.left_out[LeftOut.WITHOUT_TEXT] += 1
            continue
        done.sources[found.source] += 1
        is_guess = found.source is not LabelSource.ROUTER_UNCHECKED and ticket.said(DEPARTMENT) is None
        done.at_close += is_guess
        done.joined += ticket.text is None
        cells |= {"id": ticket.id, "split": "", "created_at": _moment(ticket.created_at)}
        yield _row(cells, found.labels, found.source, found.at)


def _row(cells: Mapping[str, str], labels: Mapping[str, str | None], source: str, at: datetime) -> dict[str, str]:
    row = {name: cells.get(name, "") for name in _COLUMNS} | {"label_source": source, "closed_at": _moment(at)}
    return {**row, **{name: value or "" for name, value in labels.items()}}


def _moment(at: datetime) -> str:
    return at.isoformat(timespec="seconds")


def _read_closed(
    file: TicketFile, fields: Sequence[str], rules: LabelRules, left_out: Counter[LeftOut]
) -> tuple[dict[str, _Closed], tuple[str, ...]]:
    """The closed tickets of the helpdesk's export by id, and notes on the reading.

    Of the labels file only the aliases are used: what is retired or out of scope is left to the training.
    """
    merged = LabelRules({name: FieldRules(aliases=one.aliases) for name, one in rules.root.items()})
    checked = read_tickets(file, (DEPARTMENT,), fields, merged)
    if "id" not in checked.columns:
        raise TicketRouterError(f"{file.path}: no column with the tickets' ids; name it with --column id=COLUMN")
    found: dict[str, _Closed] = {}
    for row in checked.rows:
        name = (row.ticket.id or "").strip()
        if not name:
            left_out[LeftOut.WITHOUT_ID] += 1
            continue
        cells = {
            "id": name,
            "subject": row.ticket.subject,
            "body": row.ticket.body,
            "content_type": row.ticket.content_type,
            "requester": row.ticket.sender,
            "thread": row.thread,
            "language": row.language,
            "split": row.split,
            "created_at": "" if row.created_at is None else _moment(row.created_at),
        }
        found.setdefault(name, _Closed(cells, {each: row.labels.get(each) for each in fields}, row.label_source))
    return found, checked.notes


def _write(rows: Iterable[Mapping[str, str]], out: Path) -> None:
    try:
        with private_file(out) as file:
            file.writelines((json.dumps(row, ensure_ascii=False) + "\n").encode() for row in rows)
    except OSError as error:
        raise TicketRouterError(f"--out {out}: cannot be written ({error.strerror})") from error


def export_lines(done: FeedbackExport) -> Iterator[str]:
    """What was written, what was guessed, and what was left out, a line each."""
    yield from done.notes
    sources = ", ".join(f"{count} {source}" for source, count in sorted(done.sources.items()))
    undecided = f", {done.undecided} of --data that the router never decided" * bool(done.undecided)
    yield f"{done.out}: {done.rows} tickets of {done.decisions} decisions: {sources or 'none decided'}{undecided}"
    guesses = [
        f"{done.sources[LabelSource.ROUTER_UNCHECKED]} departments are the router's own, routed and not changed "
        f"({done.quiet.days} days without feedback count as right)",
        f"{done.at_close} departments and {done.joined} texts are those of --data",
    ]
    yield f"guessed: {'; '.join(guesses)}"
    yield f"left out: {counts(done.left_out)}"


def counts(left_out: Mapping[LeftOut, int]) -> str:
    return ", ".join(f"{left_out[reason]} {reason}" for reason in LeftOut if left_out.get(reason)) or "nothing"
