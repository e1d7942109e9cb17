"""Records each event of a ticket once, in the metrics and in the spans of a traced request.

Called by the API and the router. The batcher records the stages of the queue and the run itself.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager

from service.decision import Decision
from service.errors import ServiceError
from service.http.problems import INTERNAL, kind_of
from service.inference.cache import InferenceResult
from service.metrics.metrics import NO_DEPARTMENT, Metrics, ResultSource, Stage
from service.tracing.recording import current_recording, set_current_recording


class Telemetry:
    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._observe_stage = metrics.stages.observe

    def end_stage(self, stage: Stage, started: float) -> None:
        """Record the time of a stage until now; `started` in seconds of `perf_counter`."""
        ended = time.perf_counter()
        self._observe_stage(ended - started, stage)
        if (recording := current_recording()) is not None:
            recording.add_stage(stage, started, ended)

    @contextmanager
    def ticket(self) -> Iterator[None]:
        """Record the span of one ticket of a batch, which is decided in its own task, if the request is traced."""
        request = current_recording()
        recording = request.start_ticket() if request is not None else None
        set_current_recording(recording)
        problem, failed = None, False
        try:
            yield
        except ServiceError as error:
            problem, failed = kind_of(error).code, kind_of(error).status >= INTERNAL.status
            raise
        finally:
            if recording is not None:
                recording.end(problem=problem, failed=failed)

    def record_result(self, source: ResultSource, result: InferenceResult) -> None:
        """Record the inference result of a ticket, and where it came from."""
        self._metrics.record_result(source, result.tokens, result.truncated)
        if (recording := current_recording()) is not None:
            recording.set_attributes(
                {
                    "ticket_router.answer.source": source,
                    "ticket_router.tokens": result.tokens,
                    "ticket_router.truncated": result.truncated,
                }
            )

    def count_rejection(self, error: ServiceError) -> None:
        """Count a ticket of a batch that got this error instead of a decision."""
        self._metrics.count_rejection(kind_of(error).code)

    def record_decision(self, decision: Decision) -> None:
        self._metrics.record_decision(decision)
        if (recording := current_recording()) is not None:
            department = decision.verdict.department
            recording.set_attributes(
                {
                    "ticket_router.decision.id": decision.id,
                    "ticket_router.outcome": department.outcome.value,
                    "ticket_router.reason": department.reason.value,
                    "ticket_router.department": department.predicted or NO_DEPARTMENT,
                    "ticket_router.model.version": decision.model.version,
                    "ticket_router.model.variant": decision.model.variant,
                }
            )
