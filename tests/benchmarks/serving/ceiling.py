"""The machine's limit: `InferenceSession.run` over pre-tokenised tickets sorted by length, and nothing else.

`rounds.py` runs it as a separate process, as it does the servers: the job comes as JSON on standard input, the result
goes to standard output.
"""

import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice, product
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from pydantic import BaseModel

from tests.benchmarks.serving.peers.classifier import open_session
from tests.benchmarks.serving.tickets import BLOCK
from tests.support.process import ROOT

BATCHES = (1, 4, 8, 16, 32)
SINGLES = 2 * BLOCK
WARM_RUNS = 3

Feed = dict[str, NDArray[np.int64]]


class Job(BaseModel):
    """The graph, the tickets (token ids), and the approximate seconds for each setting."""

    graph: Path
    pad_id: int
    tickets: list[list[int]]
    cores: int
    seconds: float


class Loop(BaseModel):
    threads: int
    runs: int
    batch: int
    rate: float


class Alone(BaseModel):
    threads: int
    median: float
    p99: float


class Found(BaseModel):
    """Tickets/s of each setting of the loop, and ms of a ticket run alone with one thread and with all."""

    loops: list[Loop]
    alone: list[Alone]


def measure_apart(job: Job) -> Found:
    """`measure` in a separate process."""
    command = [sys.executable, "-m", "tests.benchmarks.serving.ceiling"]
    done = subprocess.run(command, cwd=ROOT, input=job.model_dump_json(), capture_output=True, text=True, check=True)
    return Found.model_validate_json(done.stdout)


def measure(job: Job) -> Found:
    sessions = {threads: open_session(job.graph, threads) for threads in dict.fromkeys((1, job.cores))}
    alone = [_alone(job, threads, session) for threads, session in sessions.items()]
    tickets = _enough(job, 1000 / min(found.median for found in alone))
    loops = [
        _loop(job, tickets, threads, session, batch) for (threads, session), batch in product(sessions.items(), BATCHES)
    ]
    return Found(loops=loops, alone=alone)


def batches(tickets: Sequence[Sequence[int]], size: int, pad_id: int) -> list[Feed]:
    """Batches of similar length, each padded to its longest; the longest first, so that runs end together."""
    ranked = sorted(tickets, key=len, reverse=True)
    return [_feed(ranked[start : start + size], pad_id) for start in range(0, len(ranked), size)]


def _feed(tickets: Sequence[Sequence[int]], pad_id: int) -> Feed:
    ids = np.full((len(tickets), max(map(len, tickets))), pad_id, dtype=np.int64)
    mask = np.zeros_like(ids)
    for row, ticket in enumerate(tickets):
        ids[row, : len(ticket)] = ticket
        mask[row, : len(ticket)] = 1
    return {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def _enough(job: Job, rate: float) -> list[list[int]]:
    """As many tickets, in whole blocks and repeated, as take about the requested seconds."""
    blocks = max(1, round(job.seconds * rate / BLOCK))
    return list(islice(cycle(job.tickets), blocks * BLOCK))


def _alone(job: Job, threads: int, session: ort.InferenceSession) -> Alone:
    run = _runner(session)
    feeds = [_feed([ticket], job.pad_id) for ticket in job.tickets[:SINGLES]]
    for feed in feeds[:WARM_RUNS]:
        run(feed)
    times = []
    for feed in feeds:
        begin = time.perf_counter()
        run(feed)
        times.append(1000 * (time.perf_counter() - begin))
    return Alone(threads=threads, median=float(np.median(times)), p99=float(np.percentile(times, 99)))


def _loop(job: Job, tickets: list[list[int]], threads: int, session: ort.InferenceSession, batch: int) -> Loop:
    runs, run = job.cores // threads, _runner(session)
    feeds = batches(tickets, batch, job.pad_id)
    with ThreadPoolExecutor(runs) as pool:
        list(pool.map(run, feeds[-WARM_RUNS:]))
        begin = time.perf_counter()
        list(pool.map(run, feeds))
        seconds = time.perf_counter() - begin
    return Loop(threads=threads, runs=runs, batch=batch, rate=len(tickets) / seconds)


def _runner(session: ort.InferenceSession) -> Callable[[Feed], Any]:
    wanted = [node.name for node in session.get_inputs()]
    return lambda feed: session.run(["logits"], {name: feed[name] for name in wanted})


if __name__ == "__main__":
    sys.stdout.write(measure(Job.model_validate_json(sys.stdin.read())).model_dump_json())
