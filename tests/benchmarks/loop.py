"""Six months of a router at work: what it routes becomes its next training file, under several ways of labelling.

    python -m tests.benchmarks.loop --data FILE… [--promise .95] [--deals 5] [--out loop.svg]

Each month new tickets arrive. A random share is kept for people (`audit`); of the others the router routes what its
promise lets through. People move the wrong routes that they notice (`agent`) and choose where it did not route
(`close`); the right routes, and the wrong ones that nobody noticed, keep the router's label (`router_unchecked`). Then
the n-grams are learned and calibrated anew on all tickets so far, by the product's own split and promise. The new model
and the one that serves both answer the first tenth of the next month's tickets, the new one in the shadow; the one that
routes more of them serves. Way:

    drop       without the router's own labels, and without a word about sources: as the how-tos once said
    weight W   with `label_source`, the router's own labels at weight W
    all        every ticket with its true label: what people reading everything would give

`routed`: of the new tickets that were not kept for people; `right`: of these; `broken`: deals in which the upper 95 %
bound of the precision lies below the promise. Means over the deals, each of which orders the file anew.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from scipy.stats import beta
from transformers import AutoConfig

from models.encoding import Encoding
from models.fields import DEPARTMENT, Field, LabelSpace
from models.label_source import LabelSource
from models.scoring import FieldScoring, Outcome
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored, outcomes_of
from training.data import prepared
from training.data.example import Example
from training.data.prepared import label_numbers
from training.data.source import TicketFile, read_closed
from training.data.split import split_rows
from training.evaluation.metrics import UNKNOWN
from training.learn.base import resolve_base
from training.learn.classifier import load_encoder
from training.learn.linear.ngrams import NgramModel, ngram_rows
from training.recipe import DataRecipe, PromiseRecipe, Recipe, SplitRecipe

MONTHS = 6
START = 0.4
"""Share of the file that is closed before the router works."""
_MOST_BYTES = 20_000_000
_FIRST = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Way:
    """A way of labelling. `weight` None: the router's own labels are left out, and no source is named."""

    name: str
    weight: float | None = None
    all_true: bool = False


@dataclass(frozen=True)
class Router:
    """A model with its thresholds."""

    model: NgramModel
    scoring: FieldScoring


@dataclass(frozen=True)
class Month:
    """What the router did with one month's tickets."""

    routed: float
    right: int
    count: int
    unchecked: float
    """Share of the router's own labels in the file that it learned from."""


@dataclass(frozen=True)
class Desk:
    """A file's tickets, how texts are encoded, and what is simulated."""

    rows: tuple[Example, ...]
    encode: Callable[[str], Encoding]
    pad_id: int
    vocabulary: int
    promise: float
    audit: float
    noticed: float

    def months(self, way: Way, seed: int) -> Iterator[Month]:
        generator = np.random.default_rng(seed)
        order = generator.permutation(len(self.rows))
        start = int(START * len(order))
        seen = [self._closed(self.rows[n], 0, None, generator) for n in order[:start]]
        serving: Router | None = None
        for month, new in enumerate(np.array_split(order[start:], MONTHS), start=1):
            learned, unchecked = self._learn(seen, way, seed)
            tickets = [self.rows[n] for n in new]
            first = tickets[: max(1, len(tickets) // 10)]
            if serving is None or self._routed(learned, first) > self._routed(serving, first):
                serving = learned
            router = serving
            answers = router.model.logits([self.encode(item.text) for item in tickets])
            outcomes = outcomes_of(answers, router.scoring)
            labels = [router.scoring.field.labels[number] for number in answers.argmax(axis=1)]
            kept = generator.random(len(tickets)) < self.audit
            routed = (outcomes == Outcome.ROUTE) & ~kept
            wrong = np.array([label != item.labels[DEPARTMENT] for label, item in zip(labels, tickets, strict=True)])
            noticed = generator.random(len(tickets)) < self.noticed
            for number, item in enumerate(tickets):
                source, label = LabelSource.CLOSE, None
                if kept[number]:
                    source = LabelSource.AUDIT
                elif routed[number] and wrong[number] and noticed[number]:
                    source = LabelSource.AGENT
                elif routed[number]:
                    source, label = LabelSource.ROUTER_UNCHECKED, labels[number]
                if way.all_true:
                    source, label = LabelSource.CLOSE, None
                seen.append(self._closed(item, month, source, generator, label))
            count = int(routed.sum())
            yield Month(count / max(1, int((~kept).sum())), int((routed & ~wrong).sum()), count, unchecked)

    def _closed(
        self, item: Example, month: int, source: LabelSource | None, generator: np.random.Generator,
        label: str | None = None,
    ) -> Example:  # fmt: skip
        date = _FIRST + timedelta(
            days=30 * month - (generator.uniform(0, 300) if not month else -generator.uniform(0, 30))
        )
        labels = {DEPARTMENT: label or item.labels[DEPARTMENT]}
        return replace(item, labels=labels, split="", created_at=date, label_source=source)

    def _learn(self, seen: Sequence[Example], way: Way, seed: int) -> tuple[Router, float]:
        rows = list(seen)
        if way.weight is None and not way.all_true:
            rows = [replace(row, label_source=None) for row in rows if row.label_source != LabelSource.ROUTER_UNCHECKED]
        recipe = Recipe(
            data=DataRecipe(unchecked_weight=way.weight or 0.0, near_duplicates=1.0, minimum_rows=5),
            split=SplitRecipe(test=0.0),
            promise=PromiseRecipe(route_precision=self.promise, scope_refused=0.0),
        )
        split = split_rows(rows, recipe, seed)
        train = split["train"]
        space = LabelSpace.of({DEPARTMENT: sorted({str(item.labels[DEPARTMENT]) for item in train})})
        field = space.department
        known = ngram_rows(
            [self.encode(item.text) for item in train], space, vocabulary=self.vocabulary, pad_id=self.pad_id,
            most_bytes=_MOST_BYTES,
        )  # fmt: skip
        assert known is not None
        weights = np.array([item.weight for item in train], dtype=np.float32)
        model = known.fit(label_numbers(train, field)[:, None], space, seed, row_weights=weights)
        planned, tested = (self._scored(model, field, split[part]) for part in ("validation", "calibration"))
        entry = calibrate_field(field, planned, tested, recipe, "exact")
        unchecked = sum(item.label_source is LabelSource.ROUTER_UNCHECKED for item in train) / len(train)
        return Router(model, entry.scoring(field)), unchecked

    def _routed(self, router: Router, tickets: Sequence[Example]) -> int:
        answers = router.model.logits([self.encode(item.text) for item in tickets])
        return int((outcomes_of(answers, router.scoring) == Outcome.ROUTE).sum())

    def _scored(self, model: NgramModel, field: Field, rows: Sequence[Example]) -> Scored:
        return Scored(model.logits([self.encode(item.text) for item in rows]), label_numbers(rows, field, UNKNOWN))


def is_broken(month: Month, promise: float) -> bool:
    if month.right == month.count:
        return False
    return float(beta.ppf(0.95, month.right + 1, month.count - month.right)) < promise


def plot(found: dict[str, dict[str, list[list[Month]]]], path: Path) -> None:
    figure = Figure(figsize=(4.2 * len(found), 3.4), layout="constrained")
    for column, (name, ways) in enumerate(found.items(), start=1):
        axes = figure.add_subplot(1, len(found), column)
        for way, deals in ways.items():
            shares = np.mean([[month.routed for month in deal] for deal in deals], axis=0)
            axes.plot(range(1, MONTHS + 1), 100 * shares, marker="o", label=way)
        axes.set(title=name, xlabel="month", ylim=(0, 100))
        axes.set_ylabel("% of new tickets routed" if column == 1 else "")
        axes.legend(frameon=False, fontsize="small")
    figure.savefig(path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, nargs="+", required=True, metavar="FILE")
    parser.add_argument("--promise", type=float, default=0.95)
    parser.add_argument("--rows", type=int, help="tickets of each file that are used; all if not given")
    parser.add_argument("--audit", type=float, default=0.1, help="random share of tickets that is kept for people")
    parser.add_argument("--noticed", type=float, default=0.8, help="share of the wrong routes that people move")
    parser.add_argument("--weights", type=float, nargs="*", default=[0.5], help="weights of the router's own labels")
    parser.add_argument("--deals", type=int, default=5)
    parser.add_argument("--out", type=Path, help="an SVG plot")
    options = parser.parse_args()
    prepared.prepare = cache(prepared.prepare)  # the same texts each month; cleaning them is most of the time
    base = resolve_base("embedded")
    config = AutoConfig.from_pretrained(base)
    encoder = load_encoder(base, config, Recipe())
    ways = [Way("drop"), *(Way(f"weight {weight:g}", weight) for weight in options.weights), Way("all", all_true=True)]
    found: dict[str, dict[str, list[list[Month]]]] = {}
    for path in options.data:
        rows = read_closed(TicketFile(path)).rows
        if options.rows:
            rows = tuple(rows[n] for n in np.random.default_rng(0).permutation(len(rows))[: options.rows])
        desk = Desk(
            rows,
            cache(encoder.encode),
            encoder.pad_id,
            config.vocab_size,
            options.promise,
            options.audit,
            options.noticed,
        )
        print(f"{path.stem}: {len(rows)} tickets, {START:.0%} before the router; promise {options.promise:g}")
        print(f"  {'':<12}" + "".join(f" month {month}      " for month in range(1, MONTHS + 1)) + " broken")
        found[path.stem] = {}
        for way in ways:
            deals = [list(desk.months(way, seed)) for seed in range(options.deals)]
            found[path.stem][way.name] = deals
            cells = []
            for month in zip(*deals, strict=True):
                right = sum(one.right for one in month) / max(1, sum(one.count for one in month))
                cells.append(f"{np.mean([one.routed for one in month]):6.1%} ({right:.3f})")
            broken = sum(is_broken(month, options.promise) for deal in deals for month in deal)
            print(f"  {way.name:<12}" + " ".join(cells) + f"  {broken} of {len(deals) * MONTHS}", flush=True)
    if options.out:
        plot(found, options.out)


if __name__ == "__main__":
    main()
