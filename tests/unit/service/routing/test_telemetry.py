"""The parts of logs and traces that need no process: recorded stages, repeated messages."""

import asyncio
import logging
from contextvars import copy_context

import numpy as np
import pytest
import structlog
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from models.scoring import Logits
from service.errors import DeadlinePassed
from service.inference.batcher import Batcher, BatcherLimits
from service.inference.packing import Packing
from service.logs import RepeatFilter
from service.metrics.batch_report import BatchReport
from service.tracing.recording import set_current_recording
from service.tracing.spans import Clock, SpanRecording
from tests.support.batching import MAX_TOKENS, BusyBatcher, encoding, in_loop, soon


@pytest.fixture
def sent() -> InMemorySpanExporter:
    return InMemorySpanExporter()


@pytest.fixture
def recording(sent: InMemorySpanExporter) -> SpanRecording:
    """An unfinished span of the real SDK; at its end it is in `sent`."""
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(sent))
    tracer = provider.get_tracer("tests")
    return SpanRecording(tracer, tracer.start_span("request"), Clock.now(), tickets_left=0)


def stages_of(sent: InMemorySpanExporter) -> dict[str, tuple[int, int]]:
    """Start and end of each stage, in nanoseconds."""
    return {span.name: (span.start_time or 0, span.end_time or 0) for span in sent.get_finished_spans()}


def test_caller_that_joins_a_run_records_only_the_rest_of_it(
    sent: InMemorySpanExporter, recording: SpanRecording
) -> None:
    """No queue stage, and the run from the moment of joining: a stage cannot begin before its request."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            (first,) = await busy.submit(1, key=b"k")
            await busy.end_run()
            joined = Clock.now()
            set_current_recording(recording)
            second = asyncio.create_task(busy.batcher.join(b"k", soon()))
            await asyncio.sleep(0.01)
            busy.unblock()
            await asyncio.gather(first, second)
            recording.end()
            began, ended = stages_of(sent)["infer"]
            assert joined.epoch <= began < ended
            assert "queue" not in stages_of(sent)

    in_loop(test)


def test_entry_that_never_ran_records_only_the_queue(sent: InMemorySpanExporter, recording: SpanRecording) -> None:
    """For example if its deadline passed."""

    async def test() -> None:
        async with BusyBatcher() as busy:
            set_current_recording(recording)
            (late,) = await busy.submit(1, seconds=0.05)
            with pytest.raises(DeadlinePassed):
                await late
            recording.end()
            began, ended = stages_of(sent)["queue"]
            assert ended - began >= 40_000_000
            assert "infer" not in stages_of(sent)

    in_loop(test)


def test_run_is_logged_with_the_request_id_of_one_of_its_requests() -> None:
    """Not with the id of the request that triggered the dispatch."""
    request_ids: list[object] = []

    def infer(encodings: object, lone: bool) -> Logits:  # noqa: ARG001 - the runner's signature
        return np.zeros((1, 1), dtype=np.float32)

    def on_batch(_report: BatchReport) -> None:
        request_ids.append(structlog.contextvars.get_contextvars().get("request_id"))

    async def submit(batcher: Batcher, name: str) -> None:
        structlog.contextvars.bind_contextvars(request_id=name)
        await batcher.submit(encoding(1), soon())

    async def test() -> None:
        batcher = Batcher(infer, BatcherLimits(Packing(8, 1.0), 1000, 60, 1, MAX_TOKENS), on_batch)
        await asyncio.gather(*(submit(batcher, name) for name in ("a", "b", "c")))
        await batcher.close()
        assert sorted(map(str, request_ids)) == ["a", "b", "c"]

    copy_context().run(in_loop, test)


def test_clock_converts_relative_to_its_creation() -> None:
    """Changes of the system clock in between have no effect."""
    assert Clock(epoch=10**18, counter=5.0).to_epoch(6.5) == 10**18 + 1_500_000_000


def test_equal_messages_are_logged_once_per_interval() -> None:
    """Whatever its arguments; another message is not suppressed."""
    now = [0.0]
    repeat_filter = RepeatFilter(60, lambda: now[0])

    def passes(message: str, value: int) -> bool:
        return bool(repeat_filter.filter(logging.LogRecord("x", logging.WARNING, "", 0, message, (value,), None)))

    assert [passes("retry in %s", 1), passes("retry in %s", 2), passes("lost %s", 1)] == [True, False, True]
    now[0] = 60.0
    assert passes("retry in %s", 3)
