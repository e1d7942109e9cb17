"""`training index`: closed tickets → the file in which the desk finds similar ones.

The texts are redacted first: the vectors, and the texts that the service keeps, are without addresses and numbers.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from models.bundle.bundle import Bundle, open_bundle
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.index_file import ID_CHARACTERS, ClosedTicket, Header, pack_vector, unit, write_index
from models.label_source import LabelSource
from models.redact import redact
from models.text.prepare import prepare
from models.ticket import Ticket
from training.data.example import Example
from training.data.prepared import text_key
from training.data.source import TicketFile, open_tickets, refuse_faults
from training.evaluation.bundle_answers import graph_here, load_graph
from training.export.onnx import OnnxModel

_PORTION = 2000


@dataclass(frozen=True, slots=True)
class IndexRequest:
    """`most`: tickets to keep, the newest; `region`: as in `redact`."""

    bundle: Path
    file: TicketFile
    out: Path
    most: int
    region: str | None = None


@dataclass(frozen=True, slots=True)
class Index:
    """The written file. `copies`: tickets left out, since another one has their text and department; `older`: left out
    by `most`; `others`: rows that are open, or without text or department, or with a label that nobody checked."""

    out: Path
    bundle: str
    tickets: int
    answers: int
    copies: int
    older: int
    others: int

    def summary(self) -> dict[str, str | int]:
        """The result as plain values, for JSON."""
        return {
            "file": str(self.out),
            "bundle": self.bundle,
            "tickets": self.tickets,
            "answers": self.answers,
            "copies": self.copies,
            "older": self.older,
            "others": self.others,
        }


def index(request: IndexRequest, watch: Callable[[str], None]) -> Index:
    """Write the file whole, readable for its owner only: it holds tickets' texts. `watch` is told of each step.

    Raises:
        TicketRouterError: the bundle or the export is not valid, no ticket has a text and a department, or `out` cannot
            be written.
    """
    bundle = open_bundle(request.bundle)
    model = load_graph(bundle, graph_here(bundle, "fp32"))
    now = datetime.now(UTC)
    watch("reading and redacting")
    rows, others = _rows(request)
    rows.sort(key=lambda row: row.created_at or now, reverse=True)
    distinct = list({(text_key(row.text), row.labels[DEPARTMENT]): row for row in reversed(rows)}.values())
    distinct.sort(key=lambda row: row.created_at or now, reverse=True)
    kept = distinct[: request.most]
    if not kept:
        raise TicketRouterError(f"{request.file.path}: no closed ticket has a text and a department")
    watch(f"vectors of {len(kept)} tickets")
    header = Header(bundle=bundle.version, tickets=len(kept))
    write_index(request.out, header, _tickets(bundle, model, kept, now))
    return Index(
        request.out,
        bundle.version,
        len(kept),
        sum(bool(row.answer) for row in kept),
        len(rows) - len(distinct),
        len(distinct) - len(kept),
        others,
    )


def _rows(request: IndexRequest) -> tuple[list[Example], int]:
    """The rows to keep, their texts and answers cleaned and redacted, and the number of the others."""
    reader = open_tickets(request.file, (DEPARTMENT,), answers=True)
    rows = []
    for example in reader:
        text = redact(prepare(example.ticket).text, request.region)
        unchecked = example.label_source is LabelSource.ROUTER_UNCHECKED
        if not text or unchecked or example.labels[DEPARTMENT] is None:
            continue
        answer = redact(prepare(Ticket(body=example.answer)).text, request.region) if example.answer else ""
        # Of the ticket only the id is needed from here on.
        rows.append(replace(example, text=text, answer=answer, ticket=Ticket(id=example.ticket.id)))
    refuse_faults(request.file, reader.faults, reader.faulty)
    return rows, reader.read - len(rows)


def _tickets(bundle: Bundle, model: OnnxModel, rows: list[Example], now: datetime) -> Iterator[ClosedTicket]:
    for start in range(0, len(rows), _PORTION):
        portion = rows[start : start + _PORTION]
        vectors = unit(model.outputs([bundle.encode(row.text) for row in portion]).pooled)
        for row, vector in zip(portion, vectors, strict=True):
            name = row.ticket.id
            yield ClosedTicket(
                id=name if name and len(name) <= ID_CHARACTERS else None,
                department=row.labels[DEPARTMENT] or "",
                text=row.text,
                answer=row.answer,
                at=max(0, int((row.created_at or now).timestamp() * 1000)),
                vector=pack_vector(vector),
            )
