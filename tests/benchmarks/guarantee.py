"""Holds bundles' promises against real rows: calibration and test rows dealt anew, the model fixed.

    python -m tests.benchmarks.guarantee BUNDLE… --data FILE [--labels FILE] [--column ROLE=COLUMN] [--splits 200]

FILE is what the bundles were trained on; its split is made again from the recipe in each bundle's provenance. Printed
for each field, over all deals: coverage, ECE, and how often a promise is broken. `broken`: the precision of all routed
rows; `any_broken`: that, or any label's or the pool's own; both judged on all dealt rows, the population that the
calibration rows are drawn from. `held_out_broken` is judged on the held-out rows alone, which are finite: where the
true precision is just the one promised, they fall short of it in half the deals. `p` is the probability of so many
broken promises if each deal broke it with the probability allowed; deals overlap, so take it as a guide.
Where the labels file names out-of-scope labels, the share of their rows that the bundle refuses is printed too.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from models.bundle.bundle import Bundle, open_bundle
from models.fields import Field
from models.scoring import Logits, in_scope
from tests.support.resplit import deal, table
from training.calibration.predictions import Scored
from training.cli.options import ticket_file
from training.data.example import Example
from training.data.prepared import label_numbers
from training.data.source import TicketFile, read_tickets
from training.data.split import split_rows
from training.evaluation.metrics import UNKNOWN
from training.export.onnx import OnnxModel
from training.recipe import Recipe
from training.run.dataset import outside_rows

PARTS = ("validation", "calibration", "test")


def answers(bundle: Bundle, rows: Sequence[Example]) -> Logits:
    model = OnnxModel.load(bundle.read(bundle.fp32.entry.file), bundle.encoder)
    return model.logits([bundle.encode(row.text) for row in rows])


def report(bundle: Bundle, file: TicketFile, splits: int) -> None:
    recipe = Recipe.model_validate(bundle.manifest.provenance["recipe"])
    checked = read_tickets(file, [field.name for field in bundle.manifest.label_space()])
    split = split_rows(checked.rows, recipe, recipe.seed)
    logits = {part: answers(bundle, split[part]) for part in PARTS if split[part]}
    for field in bundle.manifest.label_space():
        parts = {part: Scored(found, label_numbers(split[part], field, UNKNOWN)) for part, found in logits.items()}
        asked = f"asked for {recipe.promise.route_precision} at {recipe.promise.confidence}"
        print(f"{bundle.version} {field.name}: {asked}")
        for line in lines(field, parts, recipe, splits):
            print(f"  {line}")
    if outside := outside_rows(checked):
        refused = ~in_scope(answers(bundle, outside), bundle.fp32.scorings[0])
        print(f"{bundle.version} out of scope: {refused.mean():.3f} of {len(outside)} rows refused")


def lines(field: Field, parts: dict[str, Scored], recipe: Recipe, splits: int) -> list[str]:
    known = {part: rows.labelled.where(rows.labelled.labels != UNKNOWN) for part, rows in parts.items()}
    dealt = [rows for part, rows in known.items() if part != "validation"]
    rest = Scored(np.concatenate([rows.logits for rows in dealt]), np.concatenate([rows.labels for rows in dealt]))
    # Without test rows, two thirds of the calibration rows test and the rest are held out.
    count = len(known["calibration"].labels) if "test" in known else 2 * len(rest.labels) // 3
    deals = list(deal(field, known["validation"], rest, count, recipe, splits))
    return [f"{count} calibration rows of {len(rest.labels)} dealt", *table(deals, 1 - recipe.promise.confidence)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", type=Path, metavar="BUNDLE")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--column", action="append", default=[], metavar="ROLE=COLUMN")
    parser.add_argument("--date-format")
    parser.add_argument("--splits", type=int, default=200)
    arguments = parser.parse_args()
    file = ticket_file([arguments.data], arguments.column, arguments.labels, arguments.date_format)
    for path in arguments.bundles:
        report(open_bundle(path), file, arguments.splits)


if __name__ == "__main__":
    main()
