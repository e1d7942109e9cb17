"""The service's own cost: CPU per ticket of everything but the model, which is replaced by a constant.

    python -m tests.benchmarks.overhead --bundle BUNDLE [--rounds 5] [--callers 1 64] [-- FLAG…]

The bundle keeps its tokenizer, labels and thresholds; its graph is replaced by one that answers every ticket at once
with the same logits. Real processes answer real HTTP, in turn: the service, a minimal server (`plain.py`), and an echo
of the body. Printed for each number of callers: milliseconds of CPU per ticket (user and system time of the process,
from the kernel), tickets/s, latency, and the ratios within a round. Flags after `--` go to the service, in place of
`--cache-entries 0 --records off`.
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from ulid import ULID

from models.bundle.bundle import Bundle, open_bundle, write_bundle
from models.bundle.golden import dump_rows, load_rows
from models.text.prepare import prepare
from service.api.convert import decision_out, ticket_of
from service.api.parse import parse_route
from service.decision import Decision, ModelIdentity
from tests.benchmarks.serving.load import OK, Load, Window, closed_loop
from tests.benchmarks.serving.servers import Server, ours, running
from tests.benchmarks.serving.tickets import short_texts, workload

CALLERS = (1, 64)
SHORT_TEXTS = 2048
WARM_SECONDS = 1.0
SECONDS = 3.0
"""Seconds of a window; it lasts longer if the requested tickets take longer."""
UNCACHED = ("--cache-entries", "0", "--records", "off")
INPUTS = ("input_ids", "attention_mask")


def null_bundle(bundle: Bundle, store: Path) -> Path:
    """A copy of the bundle whose model always gives the logits of its first golden row."""
    rows = load_rows(bundle)
    logits, pooled = (np.asarray(values, dtype=np.float32) for values in (rows[0].logits, rows[0].pooled))
    verdict = bundle.fp32.judge(logits).department
    answer = {
        "logits": rows[0].logits,
        "pooled": rows[0].pooled,
        "outcome": verdict.outcome,
        "label": verdict.candidates[0].label,
    }
    golden = [row.model_copy(update=answer) for row in rows]
    model = bundle.fp32.entry.model_copy(update={"instructions": (), "devices": ("cpu",)})
    draft = bundle.manifest.model_dump(mode="json", exclude={"version", "files"}) | {"models": [model.model_dump()]}
    files = {
        "tokenizer.json": bundle.read("tokenizer.json"),
        "golden.jsonl": dump_rows(golden),
        model.file: null_graph(logits, pooled).SerializeToString(),
    }
    return write_bundle(store, draft, files)


def null_graph(logits: np.ndarray, pooled: np.ndarray) -> onnx.ModelProto:
    """A graph with the usual inputs that gives `logits`, shape [labels], and `pooled`, shape [width], for every row."""
    tokens = [helper.make_tensor_value_info(name, TensorProto.INT64, ["rows", "length"]) for name in INPUTS]
    answers = {"logits": logits, "pooled": pooled}
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["rows", len(answer)])
        for name, answer in answers.items()
    ]
    constants = {
        "first": np.array([0], dtype=np.int64),
        "second": np.array([1], dtype=np.int64),
        "nothing": np.array([0], dtype=np.float32),
        **{f"{name}.answer": answer for name, answer in answers.items()},
    }
    nodes = [
        helper.make_node("Slice", ["attention_mask", "first", "second", "second"], ["one"]),  # [rows, 1]
        helper.make_node("Cast", ["one"], ["real"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["real", "nothing"], ["zero"]),
        *(helper.make_node("Add", ["zero", f"{name}.answer"], [name]) for name in answers),
    ]
    weights = [numpy_helper.from_array(value, name) for name, value in constants.items()]
    graph = helper.make_graph(nodes, "null", tokens, outputs, weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def essentials(bundle: Bundle, bodies: Sequence[bytes]) -> float:
    """Milliseconds of CPU a ticket, of this thread: parse, clean, encode, judge, render, once each, in a loop."""
    logits = np.asarray(load_rows(bundle)[0].logits, dtype=np.float32)
    model = ModelIdentity(bundle.version, "fp32", bundle.manifest.text_version)
    for measured in (False, True):  # warm up first
        started = time.thread_time()
        for body in bodies:
            ticket = ticket_of(parse_route(body))
            text = prepare(ticket)
            bundle.encode(text.text)
            verdict = bundle.fp32.judge(logits)
            decision = Decision(str(ULID()), ticket.id, verdict, tuple(sorted(text.flags)), model, "", {})
            decision_out(decision).model_dump_json()
        if measured:
            return 1000 * (time.thread_time() - started) / len(bodies)
    raise AssertionError


def plain(name: str, *flags: str) -> Server:
    """The minimal server, or its echo mode."""

    def command(bundle: Path, port: int) -> list[str]:
        return ["-m", "tests.benchmarks.plain", str(bundle), str(port), *flags]

    return Server(name, command, "/v1/route", lambda text: {"subject": "", "body": text})


@dataclass(frozen=True, slots=True)
class Figures:
    """Figures of one window: CPU milliseconds a ticket of the server, tickets per second, and latencies in
    milliseconds."""

    cpu: float
    rate: float
    median: float
    high: float
    wrong: int

    @classmethod
    def of(cls, load: Load) -> "Figures":
        finished = load.finished()
        median, high = np.percentile([1000 * (each.finished - each.due) for each in finished], (50, 99))
        wrong = sum(each.status != OK for each in finished)
        return cls(
            1000 * load.server_cpu / len(finished), len(finished) / load.seconds, float(median), float(high), wrong
        )


def middle(values: Iterable[float]) -> str:
    """Median, lowest and highest."""
    ordered = sorted(values)
    return f"{median(ordered):.3f} ({ordered[0]:.3f}-{ordered[-1]:.3f})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--tickets", type=int, default=3000, help="at least so many per window")
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument(
        "flags", nargs="*", help="for the service, after --; instead of: --cache-entries 0 --records off"
    )
    asked = parser.parse_args()
    bundle = open_bundle(asked.bundle)
    tickets = workload(short_texts(), bundle, SHORT_TEXTS)
    servers = (ours("service", *(asked.flags or UNCACHED)), plain("yardstick"), plain("echo", "--echo"))
    requests = servers[0].requests(tickets.texts)
    bodies = [request.partition(b"\r\n\r\n")[2] for request in requests]
    print(f"{tickets.describe()}; medians of {asked.rounds} rounds (lowest-highest)")
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as stack:
        null = null_bundle(bundle, Path(folder))
        started = [
            stack.enter_context(running(server, null, Path(sys.executable), Path(folder) / f"{server.name}.log"))
            for server in servers
        ]
        for callers in asked.callers:
            found: dict[str, list[Figures]] = {server.name: [] for server in servers}
            needed = []
            for _ in range(asked.rounds):
                for server, one in zip(servers, started, strict=True):
                    window = Window(WARM_SECONDS, SECONDS, one.family.cpu_seconds, asked.tickets)
                    found[server.name].append(Figures.of(closed_loop(one.target, requests, callers, window)))
                needed.append(essentials(bundle, bodies))
            _print(callers, found, needed)


def _print(callers: int, found: Mapping[str, Sequence[Figures]], needed: Sequence[float]) -> None:
    print(f"{callers} callers")
    for name, figures in found.items():
        print(
            f"  {name:10s} CPU ms a ticket {middle(each.cpu for each in figures)}, tickets/s "
            f"{median(each.rate for each in figures):.0f}, ms {median(each.median for each in figures):.2f}, p99 "
            f"{median(each.high for each in figures):.2f}, errors {sum(each.wrong for each in figures)}"
        )
    print(f"  {'essentials':10s} CPU ms a ticket {middle(needed)}")
    service, yardstick, echo = ([each.cpu for each in figures] for figures in found.values())
    print(f"  service / yardstick {middle(a / b for a, b in zip(service, yardstick, strict=True))}")
    sums = [a + b for a, b in zip(needed, echo, strict=True)]
    print(f"  service / (essentials + echo) {middle(a / b for a, b in zip(service, sums, strict=True))}", flush=True)


if __name__ == "__main__":
    main()
