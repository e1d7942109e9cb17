"""What the service itself costs: CPU per ticket of everything but the model, which a constant stands in for.

    python -m tests.benchmarks.overhead --bundle BUNDLE [--tickets 5000] [-- FLAG…]

The bundle's own tokenizer, labels and thresholds stay; its graph gives place to one that answers every ticket with the
same logits, at once. A real service process answers real HTTP. Printed for each number of callers: milliseconds of CPU
of the service per ticket (user and system time of its process, from the kernel), and the client's, with tickets/s and
latency. What follows `--` goes to the service, in place of `--cache-entries 0`.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.bundle.bundle import Bundle, open_bundle, write_bundle
from models.bundle.golden import dump_rows, load_rows
from tests.benchmarks.serving.load import OK, Load, Window, closed_loop
from tests.benchmarks.serving.servers import ours, running
from tests.benchmarks.serving.tickets import short_texts, workload

CALLERS = (1, 8, 64)
SHORT_TEXTS = 2048
WARM_SECONDS = 1.0
SECONDS = 4.0
"""Of a window, which lasts longer where it takes longer to answer the tickets asked for."""
UNCACHED = ("--cache-entries", "0")
INPUTS = ("input_ids", "attention_mask")


def null_bundle(bundle: Bundle, store: Path) -> Path:
    """A copy of the bundle whose model gives the logits of its first golden row whatever it is asked."""
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
    """A graph of the usual inputs that gives `logits`, shape [labels], and `pooled`, shape [width], for every row."""
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


def row(callers: int, load: Load) -> str:
    finished = load.finished()
    wrong = sum(answer.status != OK for answer in finished)
    count = len(finished)
    median, high = np.percentile([1000 * (a.finished - a.due) for a in finished], (50, 99))
    server, client = 1000 * load.server_cpu / count, 1000 * load.client_cpu / count
    return (
        f"{callers:7d}  {count:7d}  {wrong:6d}  {server:10.3f}  {client:10.3f}  {count / load.seconds:9.0f}"
        f"  {median:7.2f}  {high:7.2f}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--tickets", type=int, default=5000, help="at least so many per number of callers")
    parser.add_argument("--callers", type=int, nargs="+", default=CALLERS)
    parser.add_argument("--python", default=sys.executable, help="interpreter that runs the service")
    parser.add_argument("flags", nargs="*", help="for the service, after --, in place of --cache-entries 0")
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    tickets = workload(short_texts(), bundle, SHORT_TEXTS)
    server = ours("service", *(arguments.flags or UNCACHED))
    requests = server.requests(tickets.texts)
    print(f"{tickets.describe()}; milliseconds of CPU per ticket, latency in milliseconds")
    print("callers  tickets  errors   service ms   client ms  tickets/s   median      p99")
    with tempfile.TemporaryDirectory() as folder:
        null = null_bundle(bundle, Path(folder))
        with running(server, null, Path(arguments.python), Path(folder) / "service.log") as service:
            for callers in arguments.callers:
                window = Window(WARM_SECONDS, SECONDS, service.family.cpu_seconds, arguments.tickets)
                print(row(callers, closed_loop(service.target, requests, callers, window)), flush=True)


if __name__ == "__main__":
    main()
