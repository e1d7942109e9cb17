"""How often the drift of the service sees no change, and changes that were made, on real rows.

python -m tests.benchmarks.drift --bundle B --usual rows.csv [--other rows.csv …]

`usual`: rows that the bundle did not learn from, with the columns body and department. Windows are drawn from them as
they are, and changed: one department doubled or tripled; other rows, made-up German tickets, Cyrillic letters or long
texts mixed in. Printed first: the cost of a ticket. Then by change: the share of windows in which each signal exceeds
the threshold, and the mean expected precision of what is routed beside the true one.
"""

import argparse
import csv
import random
import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from models.bundle.bundle import Bundle, Graph, open_bundle
from models.processor import instructions
from models.scoring import Outcome, Verdict
from models.text.prepare import prepare
from models.ticket import Ticket
from service.drift.window import Drift, DriftWindow
from training.evaluation.bundle_answers import load_graph
from training.sample.tickets import make_tickets

THRESHOLD = 0.1
"""The alert's."""
WINDOWS = 200
_CHUNK = 500


class Row(NamedTuple):
    text: str
    tokens: int
    verdict: Verdict
    department: str


def read_rows(path: Path) -> list[tuple[str, str]]:
    with path.open(newline="") as file:
        return [(row["body"], row["department"]) for row in csv.DictReader(file)]


class Judge:
    """Answers as the service does, with the graph for this processor."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        variants = [graph.entry.variant for graph in bundle.graphs if graph.entry.suits_processor(instructions())]
        self.graph = bundle.graph("int8" if "int8" in variants else "fp32", instructions())
        self._model = load_graph(bundle, self.graph, threads=1)

    def rows(self, texts: Sequence[tuple[str, str]]) -> list[Row]:
        found = []
        for start in range(0, len(texts), _CHUNK):
            chunk = [
                (prepare(Ticket(body=text)).text, department) for text, department in texts[start : start + _CHUNK]
            ]
            encodings = [self.bundle.encode(text) for text, _ in chunk]
            verdicts = self.graph.judge_batch(self._model.logits(encodings))
            for (text, department), encoding, verdict in zip(chunk, encodings, verdicts, strict=True):
                found.append(Row(text, len(encoding.ids), verdict, department))
        return found


def window_of(graph: Graph, rows: Sequence[Row]) -> Drift:
    window = DriftWindow(graph.entry)
    for row in rows:
        window.add(row.text, row.tokens, row.verdict)
    return window.read()


def fewest(graph: Graph) -> int:
    return max(signal.fewest for signal in DriftWindow(graph.entry).read().signals.values())


def times(usual: Sequence[Row], label: str, factor: int) -> Callable[[random.Random, int], list[Row]]:
    weights = [factor if row.department == label else 1 for row in usual]
    return lambda rng, count: rng.choices(usual, weights, k=count)


def mixed(usual: Sequence[Row], others: Sequence[Row], share: float) -> Callable[[random.Random, int], list[Row]]:
    def draw(rng: random.Random, count: int) -> list[Row]:
        other = sum(rng.random() < share for _ in range(count))
        return rng.sample(usual, count - other) + rng.choices(others, k=other)

    return draw


def report(name: str, graph: Graph, draw: Callable[[random.Random, int], list[Row]], count: int) -> None:
    rng, raised, precise = random.Random(f"{name}:{count}"), Counter[str](), []
    for _ in range(WINDOWS):
        rows = draw(rng, count)
        drift = window_of(graph, rows)
        found = [name for name, signal in drift.signals.items() if signal.shift and signal.shift.psi > THRESHOLD]
        raised.update([*found, "any"] if found else [])
        routed = [row for row in rows if row.verdict.department.outcome is Outcome.ROUTE]
        if (expected := drift.expected_precision["department"].value) is not None:
            right = sum(row.verdict.department.candidates[0].label == row.department for row in routed)
            precise.append((expected, right / len(routed)))
    signals = ", ".join(f"{name} {times / WINDOWS:.1%}" for name, times in raised.most_common())
    precision = " ".join(f"{sum(column) / len(column):.3f}" for column in zip(*precise, strict=True)) or "-"
    print(f"{name} | {count} | {signals or 'none'} | {precision}", flush=True)


def cost(graph: Graph, rows: Sequence[Row]) -> None:
    window = DriftWindow(graph.entry)
    best = float("inf")
    for _ in range(5):
        started = time.perf_counter()
        for row in rows:
            window.add(row.text, row.tokens, row.verdict)
        best = min(best, (time.perf_counter() - started) / len(rows))
    started = time.perf_counter()
    for _ in range(20):
        window.read()
    print(f"{1e6 * best:.2f} us a ticket, {1e3 * (time.perf_counter() - started) / 20:.2f} ms a reading")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--usual", type=Path, required=True)
    parser.add_argument("--other", type=Path, action="append", default=[])
    options = parser.parse_args()
    judge = Judge(open_bundle(options.bundle))
    graph = judge.graph
    texts = read_rows(options.usual)
    usual = judge.rows(texts)
    cost(graph, usual)
    least = fewest(graph)
    print("change | tickets | windows in which a signal exceeds the threshold | expected and true precision")
    sizes = [size for size in (least, 4 * least) if size <= len(usual) / 2]
    by_size = [label for label, _ in Counter(row.department for row in usual).most_common()]
    largest, middle = by_size[0], by_size[len(by_size) // 2]
    others = {path.stem: judge.rows(random.Random(1).sample(read_rows(path), 1000)) for path in options.other}
    german = [
        ticket for ticket in make_tickets(3000, 1) if ticket.language == "de" and ticket.content_type == "text/plain"
    ]
    others["German"] = judge.rows([(ticket.body, "") for ticket in german[:300]])
    letters = {code: 0x430 + code - 97 for code in range(97, 123)}
    others["Cyrillic"] = judge.rows([(text.lower().translate(letters), "") for text, _ in texts[:500]])
    others["three times as long"] = judge.rows([(f"{text} {text} {text}", label) for text, label in texts[:1000]])
    for size in sizes:
        report("none", graph, lambda rng, count: rng.sample(usual, count), size)
        for label in dict.fromkeys((largest, middle)):
            for factor in (2, 3):
                report(f"{label} x {factor}", graph, times(usual, label, factor), size)
        for name, rows in others.items():
            for share in (0.05, 0.1, 0.2):
                report(f"{name} {share:.0%}", graph, mixed(usual, rows, share), size)


if __name__ == "__main__":
    main()
