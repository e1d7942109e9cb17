"""What a ticket leaves behind on its way: the times and counts of `metrics.py`, and its spans where it is traced.

The API and the router tell it once what happens. The queue and the run are told by the batcher, which knows them.
"""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from service.decision import Decision
from service.errors import ServiceError
from service.http.problems import INTERNAL, kind_of
from service.inference.cache import Answer
from service.metrics.metrics import NO_DEPARTMENT, AnswerSource, Metrics, Stage
from service.tracing.recording import Recording, current, make_current


class Telemetry:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def stage(self, stage: Stage) -> AbstractContextManager[None]:
        """Time a stage, also when it raises."""
        timed, recording = self._metrics.stage(stage), current()
        return timed if recording is None else _recorded(timed, recording, stage)

    @contextmanager
    def ticket(self) -> Iterator[None]:
        """One ticket of many, decided in a task of its own: a span of its own, if its request is traced."""
        request = current()
        recording = request.ticket() if request is not None else None
        make_current(recording)
        problem, failed = None, False
        try:
            yield
        except ServiceError as error:
            problem, failed = kind_of(error).code, kind_of(error).status >= INTERNAL.status
            raise
        finally:
            if recording is not None:
                recording.end(problem=problem, failed=failed)

    def answered(self, source: AnswerSource, answer: Answer) -> None:
        """What the model said of a ticket, and where that came from."""
        self._metrics.answered(source, answer.tokens, answer.truncated)
        if (recording := current()) is not None:
            recording.note(
                {
                    "ticket_router.answer.source": source,
                    "ticket_router.tokens": answer.tokens,
                    "ticket_router.truncated": answer.truncated,
                }
            )

    def decided(self, decision: Decision) -> None:
        self._metrics.decided(decision)
        if (recording := current()) is not None:
            department = decision.verdict.department
            recording.note(
                {
                    "ticket_router.decision.id": decision.id,
                    "ticket_router.outcome": department.outcome.value,
                    "ticket_router.reason": department.reason.value,
                    "ticket_router.department": department.predicted or NO_DEPARTMENT,
                    "ticket_router.model.version": decision.model.version,
                    "ticket_router.model.variant": decision.model.variant,
                }
            )


@contextmanager
def _recorded(timed: AbstractContextManager[None], recording: Recording, stage: Stage) -> Iterator[None]:
    started = time.perf_counter()
    try:
        with timed:
            yield
    finally:
        recording.stage(stage, started, time.perf_counter())
