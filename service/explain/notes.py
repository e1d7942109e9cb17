"""`NoteWords`: the words that a helpdesk's note names for a suggested department."""

import asyncio

import structlog

from models.errors import BundleError
from models.fields import DEPARTMENT
from service.decision import Decision
from service.explain.ngrams import ngram_phrases
from service.routing.router import Router

LONGEST_PHRASE = 60
"""Characters."""

_log = structlog.get_logger()


class NoteWords:
    """Up to three phrases of a ticket that spoke most for its department; none where the bundle has no n-grams, or was
    replaced since.

    Without digits or @: numbers and addresses are no reasons, and are personal.
    """

    def __init__(self, router: Router) -> None:
        self._router = router

    async def __call__(self, decision: Decision) -> tuple[str, ...]:
        lease = self._router.lease_engine()
        try:
            engine, label = lease.engine, decision.verdict.department.predicted
            if engine.model != decision.model or label is None:
                return ()
            said = await asyncio.to_thread(ngram_phrases, engine, decision.text, DEPARTMENT, label)
        except BundleError as error:
            _log.warning("n-grams not read", cause=str(error))
            return ()
        finally:
            lease.release()
        words: dict[str, str] = {}
        for each in said.pro if said is not None else ():
            if len(each.text) <= LONGEST_PHRASE and not any(sign.isdigit() or sign == "@" for sign in each.text):
                words.setdefault(each.text.casefold(), each.text)
        return tuple(words.values())
