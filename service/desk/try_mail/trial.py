"""The steps from a mail to its decision, each with what it found.

The same functions as in `routing.router`, in the same order, but nothing is counted, recorded or offered to a
challenger, and neither the canary nor the random share takes part.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from models.cpu_budget import MAIL_SECONDS, TEXT_SECONDS, Budget
from models.errors import TooComplex
from models.mail.headers import decode_words, split_head, values
from models.mail.mime import leaves
from models.mail.parse import plain_newlines
from models.mail.reader import MailReader
from models.scoring import FieldScoring, FieldVerdict, Threshold, Verdict, verdict_without_model
from models.text.cuts import Block, blocks
from models.ticket import MailFact, Ticket
from service.automation.in_force import InForce
from service.automation.switches import Switch
from service.context import RequestContext
from service.inference.engine import Engine
from service.routing.cpu_pool import CpuPool
from service.routing.read import read_mail, read_text
from service.routing.router import ENCODE_SECONDS

SHOWN_HEADERS = (
    "from", "sender", "reply-to", "to", "cc", "subject", "date", "message-id", "in-reply-to", "references",
    "auto-submitted", "precedence", "x-autoreply", "x-loop", "list-id", "x-spam-flag", "x-spam-status", "return-path",
    "content-type",
)  # fmt: skip
MAX_VALUES = 3
MAX_VALUE = 300
MAX_SHOWN = 50


class Part(NamedTuple):
    """A leaf of a mail. `kind`: plain or html; None: an attachment or data, whose content is not read."""

    content_type: str
    charset: str
    filename: str
    size: int
    kind: str | None


@dataclass(frozen=True, slots=True)
class MailSeen:
    """`reduced`: the bytes of the mail, and of them those that were kept: attachments of a large mail are dropped."""

    size: int
    reduced: int
    headers: tuple[tuple[str, str], ...]
    parts: tuple[Part, ...]


class Scored(NamedTuple):
    label: str
    confidence: float
    threshold: Threshold


@dataclass(frozen=True, slots=True)
class FieldSeen:
    """`model`: what the model's scores alone give; `decided`: after the switches. `switches`: those that match."""

    name: str
    scores: tuple[Scored, ...]
    model: FieldVerdict
    decided: FieldVerdict
    switches: tuple[Switch, ...]


@dataclass(frozen=True, slots=True)
class Trial:
    """`mail` None: subject and body were given. `blocks` None: too complex to be shown. `asked`: the model was."""

    mail: MailSeen | None
    ticket: Ticket
    blocks: Sequence[Block] | None
    text: str
    flags: tuple[str, ...]
    asked: bool
    tokens: int
    truncated: bool
    familiarity: float | None
    least_familiarity: float | None
    fields: tuple[FieldSeen, ...]


async def try_mail(
    given: bytes | Ticket,
    engine: Engine,
    cpu_pool: CpuPool,
    in_force: InForce,
    context: RequestContext,
    *,
    max_mail_bytes: int,
    trust_spam_headers: bool,
) -> Trial:
    """
    Raises:
        MailError: the mail is larger than is accepted.
        Overloaded, DeadlinePassed, InferenceFailed, ShuttingDown: there is no result now.
    """
    mail = None
    if isinstance(given, Ticket):
        ticket = given
    else:
        kept = await cpu_pool.run(len(given), lambda: _reduced(given, max_mail_bytes), context)
        ticket = await read_mail(cpu_pool, kept, context)
        mail = await _seen(cpu_pool, len(given), kept, context)
    if not trust_spam_headers:
        ticket = replace(ticket, facts=ticket.facts - {MailFact.SPAM})
    ticket, prepared = await read_text(cpu_pool, ticket, context)
    size = len(ticket.body)
    shown: Sequence[Block] | None = None
    if not ticket.unread:
        try:
            shown = await cpu_pool.run_within(
                TEXT_SECONDS, size, lambda budget: blocks(ticket, prepared, budget), context
            )
        except TooComplex:
            shown = None
    verdict = verdict_without_model(ticket, prepared.text, engine.graph.scorings)
    asked, tokens, truncated = verdict is None, 0, False
    if verdict is None:
        text = prepared.text
        encoding = await cpu_pool.run(
            len(text), lambda: engine.bundle.encode(text), context, seconds_each=ENCODE_SECONDS
        )
        result = await engine.batcher.submit(encoding, context)
        verdict, tokens, truncated = result.verdict, result.tokens, result.truncated
    department = engine.graph.scorings[0]
    return Trial(
        mail=mail,
        ticket=ticket,
        blocks=shown,
        text=prepared.text,
        flags=tuple(sorted(prepared.flags)),
        asked=asked,
        tokens=tokens,
        truncated=truncated,
        familiarity=verdict.familiarity,
        least_familiarity=None if department.scope is None else department.scope.language,
        fields=_fields(ticket, verdict, in_force, engine.graph.scorings),
    )


def _reduced(raw: bytes, max_mail_bytes: int) -> bytes:
    reader = MailReader(max_mail_bytes)
    reader.feed(raw)
    return reader.kept()


async def _seen(cpu_pool: CpuPool, size: int, kept: bytes, context: RequestContext) -> MailSeen:
    def read(budget: Budget) -> MailSeen:
        headers, body = split_head(plain_newlines(kept))
        shown = [
            (name, decode_words(value)[:MAX_VALUE])
            for name in SHOWN_HEADERS
            for value in list(values(headers, name))[:MAX_VALUES]
        ]
        parts = [
            Part(
                part.content_type,
                part.parameters.get("charset", "")[:40],
                part.filename[:MAX_VALUE],
                len(part.body),
                part.kind,
            )
            for part in leaves(headers, body, budget)[:MAX_SHOWN]
        ]
        return MailSeen(size, len(kept), tuple(shown), tuple(parts))

    try:
        return await cpu_pool.run_within(MAIL_SECONDS, len(kept), read, context)
    except TooComplex:
        return MailSeen(size, len(kept), (), ())


def _fields(
    ticket: Ticket, verdict: Verdict, in_force: InForce, scorings: Sequence[FieldScoring]
) -> tuple[FieldSeen, ...]:
    decided = in_force.apply(ticket, verdict, None, count=False)
    matching = [each for each in in_force.switches or () if each.matches(ticket, verdict, None)]
    found = []
    for scoring in scorings:
        name = scoring.field.name
        model, final = verdict.of(name), decided.of(name)
        assert model is not None
        assert final is not None
        scores = tuple(
            Scored(each.label, each.confidence, scoring.thresholds[scoring.field.labels.index(each.label)])
            for each in model.candidates
        )
        switches = tuple(each for each in matching if each.field == name)
        found.append(FieldSeen(name, scores, model, final, switches))
    return tuple(found)
