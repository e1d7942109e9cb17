"""The process of the shadow: `python -m service.challengers.worker`, started by `shadow.py`.

It reads JSON lines and answers each with one: first what to open, then portions of tickets. It ends when its input
does, so it never outlives the service.
"""

import contextlib
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from pydantic_core import from_json, to_json

from models.encoding import Encoding
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from models.scoring import Verdict
from service.decision import field_record
from service.inference.engine import Engine, open_engine
from service.settings import Settings

PASSED = ("bundle_key", "device", "variant", "state_dir", "queue_tokens", "max_batch_tokens")
"""The settings that the shadow takes from the service."""
BATCH_TOKENS = 256
"""Padded tokens of one run, as on a CPU (`inference/plan.py`)."""
LOADING_NICENESS = 19
"""While it loads, it gets some 1 % of a busy core: in the idle class it would never be ready on a busy machine."""


class Answer(NamedTuple):
    """The champion's answer in a field. `label`: its best one, whatever the outcome."""

    label: str
    outcome: str
    confidence: float


class Item(NamedTuple):
    """A ticket to compute. `answers`: the champion's, by field."""

    decision_id: str
    text: str
    answers: Mapping[str, Answer]


class Agreement(NamedTuple):
    """What a portion's verdicts of one kind have in common. `same`: the label. `shift`: the shadow's confidence less
    the champion's, summed."""

    field: str
    label: str
    outcome: str
    shadow_outcome: str
    same: bool
    tickets: int
    shift: float


class Ready(NamedTuple):
    """The first answer. `cause`: why it cannot start."""

    version: str
    variant: str
    cause: str | None


class Portion(NamedTuple):
    """The answer to a portion. `verdicts`: ids with `decisions.fields`; `cause`: why there are none."""

    verdicts: Sequence[tuple[str, str]]
    agreements: Sequence[Agreement]
    cause: str | None


def main() -> None:
    # The protocol keeps the real standard output; what a library prints goes to standard error.
    with os.fdopen(os.dup(1), "wb") as output:
        os.dup2(2, 1)
        with contextlib.suppress(KeyboardInterrupt, BrokenPipeError):
            _serve(sys.stdin.buffer, output)


def _serve(lines: BinaryIO, output: BinaryIO) -> None:
    def answer(content: Ready | Portion) -> None:
        output.write(to_json(content) + b"\n")
        output.flush()

    os.setpriority(os.PRIO_PROCESS, 0, LOADING_NICENESS)
    start = from_json(lines.readline())
    try:
        engine = _open(Path(start["bundle"]), start["settings"])
    except (TicketRouterError, MemoryError) as error:
        answer(Ready("", "", str(error) or "there is not enough memory to load it"))
        return
    with contextlib.suppress(OSError, AttributeError):  # where there is no such class, the niceness stays
        os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    answer(Ready(engine.model.version, engine.model.variant, None))
    for line in lines:
        items = [
            Item(each[0], each[1], {name: Answer(*said) for name, said in each[2].items()}) for each in from_json(line)
        ]
        try:
            portion = compute(engine, items)
        except Exception as error:  # the run, of any class: the service counts it
            portion = Portion((), (), type(error).__name__)
        answer(portion)


def _open(path: Path, settings: Mapping[str, Any]) -> Engine:
    one_thread = Settings(**settings, runners=1, intra_op_threads=1, cache_entries=0)
    return open_engine(one_thread, lambda _report: None, path)


def compute(engine: Engine, items: Sequence[Item]) -> Portion:
    verdicts = _judge(engine, [item.text for item in items])
    counts: dict[tuple[str, str, str, str, bool], list[float]] = defaultdict(lambda: [0, 0.0])
    rows = []
    for item, verdict in zip(items, verdicts, strict=True):
        thresholds = engine.thresholds_of(verdict)
        fields = {DEPARTMENT: verdict.department, **verdict.fields}
        rows.append(
            (item.decision_id, to_json({name: field_record(each, thresholds[name]) for name, each in fields.items()}))
        )
        for name, said in item.answers.items():
            found = fields[name]
            label = found.candidates[0].label if found.candidates else None
            count = counts[name, said.label, said.outcome, found.outcome.value, label == said.label]
            count[0] += 1
            count[1] += found.confidence - said.confidence
    return Portion(
        [(decision_id, fields.decode()) for decision_id, fields in rows],
        [Agreement(*kind, int(count), shift) for kind, (count, shift) in counts.items()],
        None,
    )


def _judge(engine: Engine, texts: Sequence[str]) -> list[Verdict]:
    """In runs of texts of like lengths."""
    encodings = [engine.bundle.encode(text) for text in texts]
    verdicts: dict[int, Verdict] = {}
    for numbers in _runs(encodings):
        batch = engine.bundle.encoder.batch([encodings[number] for number in numbers], engine.plan.length_multiple)
        verdicts.update(zip(numbers, engine.graph.judge_batch(engine.sessions.run(batch)), strict=True))
    return [verdicts[number] for number in range(len(texts))]


def _runs(encodings: Sequence[Encoding]) -> Iterable[list[int]]:
    run: list[int] = []
    for number in sorted(range(len(encodings)), key=lambda each: len(encodings[each].ids)):
        if run and len(encodings[number].ids) * (len(run) + 1) > BATCH_TOKENS:
            yield run
            run = []
        run.append(number)
    if run:
        yield run


if __name__ == "__main__":
    main()
