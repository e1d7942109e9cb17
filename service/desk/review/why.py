"""Why the model decided as it did: parts of a ticket's page that are loaded after it, the quickest first."""

import asyncio
import math
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import select
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from models.encoding import Span
from models.errors import BundleError
from models.fields import DEPARTMENT
from models.scoring import FieldScoring
from service.desk.pages import PageError, Pages
from service.desk.review.aligned import aligned
from service.errors import DeadlinePassed, InferenceFailed, Overloaded
from service.explain.ngrams import ngram_phrases
from service.explain.occlusion import SENTENCES, Occlusion, strongest
from service.explain.phrases import Phrase, Phrases
from service.inference.engine import Engine
from service.records.database.schema import decisions, texts
from service.records.records import Records
from service.routing.router import Router, deadline_in

SENTENCES_SECONDS = 2.0
WORDS_SECONDS = 8.0
"""Beyond, the page says that callers come first, and asks again."""
TRIES = 5
"""Then a person asks."""
_SPANS = re.compile(r"\d{1,7}-\d{1,7}(?:,\d{1,7}-\d{1,7})*")


class _Asked(NamedTuple):
    """A ticket whose text can be explained. `other`: another bundle decided it, by its version."""

    row: Any
    body: str
    original: str | None
    engine: Engine
    scoring: FieldScoring
    other: str | None


class Why:
    def __init__(self, pages: Pages, records: Records, router: Router) -> None:
        self._pages = pages
        self._records = records
        self._router = router

    def routes(self) -> list[Route]:
        guarded = self._pages.guarded
        return [
            Route("/tickets/{decision_id}/why", guarded(self.ngrams)),
            Route("/tickets/{decision_id}/why/sentences", guarded(self.sentences)),
            Route("/tickets/{decision_id}/why/words", guarded(self.words)),
        ]

    async def ngrams(self, request: Request) -> Response:
        """At once: what the n-grams say."""
        lease = self._router.lease_engine()
        try:
            asked = await self._asked(request, lease.engine)
            if isinstance(asked, str):
                return self._pages.render(request, "why.html", asked=None, line=asked)
            line = None
            try:
                said = await asyncio.to_thread(ngram_phrases, lease.engine, asked.body, DEPARTMENT, asked.row.best)
            except BundleError:
                said, line = None, "The n-grams of the bundle cannot be read."
            if said is None and line is None:
                line = "This bundle has no n-grams that can be shown: train it again with this release to see them."
            return self._pages.render(
                request,
                "why.html",
                asked=asked,
                said=said,
                line=line,
                strength=_strength(said),
                parts=await asyncio.to_thread(_parts, asked, said),
            )
        finally:
            lease.release()

    async def sentences(self, request: Request) -> Response:
        lease = self._router.lease_engine()
        try:
            asked = await self._required(request, lease.engine)
            try:
                occlusion = await _occlusion(asked, SENTENCES_SECONDS)
                found = await occlusion.sentences()
            except (Overloaded, DeadlinePassed):
                return self._busy(request, asked, "sentences", {})
            except InferenceFailed:
                raise PageError(500, "The model failed on this text.") from None
            spans = ",".join(f"{start}-{end}" for start, end in strongest(found))
            return self._pages.render(
                request, "why_sentences.html", row=asked.row, found=found, spans=spans, strength=_strength(found)
            )
        finally:
            lease.release()

    async def words(self, request: Request) -> Response:
        lease = self._router.lease_engine()
        try:
            asked = await self._required(request, lease.engine)
            given = request.query_params.get("spans", "")
            if not _SPANS.fullmatch(given):
                raise PageError(400, "This address has no sentences.")
            numbers = [tuple(map(int, each.split("-"))) for each in given.split(",")]
            spans = [(start, end) for start, end in numbers if start < end <= len(asked.body)][:SENTENCES]
            try:
                said = await (await _occlusion(asked, WORDS_SECONDS)).phrases(spans)
            except (Overloaded, DeadlinePassed):
                return self._busy(request, asked, "words", {"spans": given})
            except InferenceFailed:
                raise PageError(500, "The model failed on this text.") from None
            return self._pages.render(
                request,
                "why_words.html",
                row=asked.row,
                said=said,
                strength=_strength(said),
                parts=await asyncio.to_thread(_parts, asked, said),
            )
        finally:
            lease.release()

    async def _required(self, request: Request, engine: Engine) -> _Asked:
        asked = await self._asked(request, engine)
        if isinstance(asked, str):
            raise PageError(409, asked)
        return asked

    async def _asked(self, request: Request, engine: Engine) -> _Asked | str:
        """What is to be explained, or why there is nothing."""
        decision_id = request.path_params["decision_id"]
        query = (
            select(
                decisions.c.id,
                decisions.c.best,
                decisions.c.bundle,
                decisions.c.holdout,
                texts.c.body,
                texts.c.original,
            )
            .outerjoin(texts, texts.c.decision_id == decisions.c.id)
            .where(decisions.c.id == decision_id)
        )
        row = await self._records.read(lambda connection: connection.execute(query).one_or_none())
        if row is None:
            raise PageError(404, "This ticket is no longer on record: it was deleted.")
        if row.holdout:
            return "This ticket is of the random sample: what the model says of it is not shown."
        if row.best is None:
            return "The model was not asked."
        if not row.body:
            return "There is no stored text to explain."
        scoring = engine.graph.scorings[0]
        if row.best not in scoring.field.labels:
            return f"The bundle that serves now does not have the department {row.best}."
        other = None if row.bundle == engine.model.version else row.bundle
        return _Asked(row, row.body, row.original, engine, scoring, other)

    def _busy(self, request: Request, asked: _Asked, part: str, query: dict[str, str]) -> Response:
        given = request.query_params.get("try", "")
        tries = int(given) + 1 if given.isascii() and given.isdigit() and len(given) < 3 else 1
        return self._pages.render(
            request,
            "why_busy.html",
            row=asked.row,
            part=part,
            query=query | {"try": tries},
            again=tries < TRIES,
        )


async def _occlusion(asked: _Asked, seconds: float) -> Occlusion:
    return await Occlusion.of(asked.engine, asked.body, asked.scoring, asked.row.best, deadline_in(seconds))


class _Piece(NamedTuple):
    """`mark`: a class of the style sheet, or None."""

    text: str
    mark: str | None


def _strength(said: Phrases | Sequence[Phrase] | None) -> Any:
    """Of each phrase its class: for or against, and how much beside the strongest."""
    phrases = () if said is None else (*said.pro, *said.contra) if isinstance(said, Phrases) else said
    most = max((abs(each.score) for each in phrases), default=0.0) or 1.0

    def name(phrase: Phrase) -> str:
        strength = min(max(math.ceil(3 * abs(phrase.score) / most), 1), 3)
        return f"{'for' if phrase.score >= 0 else 'against'}-{strength}"

    return name


def _parts(asked: _Asked, said: Phrases | None) -> list[tuple[int, list[_Piece]]]:
    """The parts of the text as the ticket's page has them, each by its number there, with the phrases marked."""
    if said is None:
        return []
    name = _strength(said)
    marks = sorted((each.span, name(each)) for each in (*said.pro, *said.contra))
    parts, start = [], 0
    for number, part in enumerate(aligned(asked.body, asked.original)):
        if not part.cut:
            within = (start, start + len(part.text))
            parts.append((number, _pieces(part.text, within, marks)))
            start = within[1] + 1  # the line's end
    return parts


def _pieces(text: str, within: Span, marks: Sequence[tuple[Span, str]]) -> list[_Piece]:
    pieces, done = [], 0
    for (start, end), mark in marks:
        if start >= within[0] and end <= within[1]:
            start, end = start - within[0], end - within[0]
            pieces += [_Piece(text[done:start], None), _Piece(text[start:end], mark)]
            done = end
    return [*pieces, _Piece(text[done:], None)]
