"""Similar closed tickets: how often one of the right department is among the five shown, and how long a search takes.

    python -m tests.benchmarks.similar --bundle models/bundles/current --data closed.jsonl
    python -m tests.benchmarks.similar --bundle models/bundles/current --rows 100000

With `--data`, the file's rows of the split `test` are looked up among all others, which `training index` has indexed;
the bundle's served graph makes the vectors of the tickets that are looked up. The search is timed over made-up vectors.
"""

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from models.fields import DEPARTMENT
from models.index_file import Vectors, read_index, unit, unpack_vector
from models.redact import redact
from models.text.prepare import prepare
from service.inference.engine import Engine, open_engine
from service.settings import Settings
from service.similar.nearest import Nearest, varied
from service.similar.similar import NEAR, OF_ONE_DEPARTMENT, SHOWN, vectors_in_file
from service.similar.vectors import VectorMaker
from training.commands.index import IndexRequest, index
from training.data.source import TicketFile, open_tickets

SEARCHES = 200


def shares(bundle: Path, engine: Engine, data: Path) -> dict[str, float | int]:
    """The share of test rows with their department: of the nearest, among the five nearest, among the five shown."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        rows = [json.loads(line) for line in data.read_text("utf-8").splitlines()]
        others = folder / "others.jsonl"
        others.write_text("".join(json.dumps(row) + "\n" for row in rows if row["split"] != "test"), "utf-8")
        index(IndexRequest(bundle, TicketFile(others), folder / "index.jsonl", 1_000_000), print)
        closed = list(read_index(folder / "index.jsonl")[1])
    departments = [each.department for each in closed]
    nearest = Nearest(
        [str(row) for row in range(len(closed))], np.array([unpack_vector(each.vector) for each in closed])
    )
    tests = [each for each in open_tickets(TicketFile(data), (DEPARTMENT,)) if each.split == "test"]
    vectors = asyncio.run(_vectors(engine, [redact(prepare(each.ticket).text, None) for each in tests]))
    hits: dict[str, list[bool]] = {"first": [], "five": [], "five as shown": []}
    for each, vector in zip(tests, vectors, strict=True):
        found = [departments[int(row)] for row, _ in nearest.of(vector, NEAR)]
        department = each.labels[DEPARTMENT]
        hits["first"].append(department == found[0])
        hits["five"].append(department in found[:SHOWN])
        hits["five as shown"].append(department in [found[row] for row in varied(found, SHOWN, OF_ONE_DEPARTMENT)])
    shares = {name: float(np.mean(each)) for name, each in hits.items()}
    return {"closed": len(closed), "tests": len(tests), **shares}


def milliseconds(rows: int, width: int) -> dict[str, float]:
    """Of one search over so many vectors, in a file as the service has them."""
    random = np.random.default_rng(5)
    with tempfile.TemporaryDirectory() as folder:
        vectors = vectors_in_file(Path(folder), rows, width)
        vectors[:] = unit(random.standard_normal((rows, width), dtype=np.float32))
        nearest = Nearest.over([str(row) for row in range(rows)], vectors)
        nearest.of(vectors[0], NEAR)
        taken, busy = [], []
        for vector in unit(random.standard_normal((SEARCHES, width), dtype=np.float32)):
            started, used = time.perf_counter(), time.process_time()
            nearest.of(vector, NEAR)
            taken.append(1000 * (time.perf_counter() - started))
            busy.append(1000 * (time.process_time() - used))
    p50, p95 = np.percentile(taken, (50, 95))
    return {"p50": float(p50), "p95": float(p95), "p50 of CPU time": float(np.percentile(busy, 50))}


async def _vectors(engine: Engine, texts: list[str]) -> Vectors:
    maker = VectorMaker()
    try:
        return await maker.of(engine, texts)
    finally:
        maker.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, required=True)
    parser.add_argument("--data", type=Path, help="JSON lines with text, label and split")
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--variant", default="auto")
    options = parser.parse_args()
    engine = open_engine(Settings(bundle=options.bundle, variant=options.variant), lambda _report: None, options.bundle)
    print(f"bundle {engine.model.version}, {engine.model.variant}")
    if options.data is not None:
        print({name: round(value, 4) for name, value in shares(options.bundle, engine, options.data).items()})
    for width in sorted({engine.bundle.manifest.encoder.width, 768}):
        figures = {name: round(value, 1) for name, value in milliseconds(options.rows, width).items()}
        print(f"search over {options.rows:,} of width {width}, milliseconds: {figures}")


if __name__ == "__main__":
    main()
