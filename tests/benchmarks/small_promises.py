"""What a promise from few tickets routes, and whether it holds: re-deals of a quick model's rows.

`python -m tests.benchmarks.small_promises FILE [--column department=COLUMN] [--labels FILE] [--rows N | --per-label N]
[--noise SHARE] [--deals N] [--precision P]`.

Each deal draws the rows of a small desk, fits the linear parts in folds as `train --quick` does, sets the thresholds
from the out-of-fold answers, and routes rows that no part has seen (3,000 at most) with the mean of the folds.
`broken`: their precision is below the promise; `significantly`: even its upper 95 % bound (Clopper-Pearson) is. With
`--noise`, this share of the dealt rows has a wrong label: where the frozen encoder alone finds two labels most alike,
one of them the row's, the row gets the other one. The unseen rows keep theirs.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.stats import beta

from models.encoding import Encoding
from models.fields import LabelSpace
from models.scoring import Outcome
from training.calibration.calibrate import calibrate_field
from training.calibration.predictions import Scored, outcomes_of
from training.data.draw import draw_folds
from training.data.prepared import label_numbers, prepare_rows
from training.data.source import TicketFile, read_tickets
from training.learn.base import resolve_base
from training.learn.classifier import load_classifier, load_encoder
from training.learn.linear.head import fit_linear_head, mean_head, pooled
from training.learn.linear.ngrams import mean_ngrams, ngram_rows
from training.recipe import PromiseRecipe, Recipe
from training.run.crossfit import QUICK_FOLDS
from training.run.trained import Folds, factors_of, shares_of

UNSEEN = 3000
TABLE_BYTES = 9_000_000


class Desk:
    """All rows of a file: wordpieces, frozen vectors [rows, width] and label numbers [rows, 1]."""

    def __init__(self, file: TicketFile, base: str) -> None:
        rows, _ = prepare_rows(read_tickets(file, ("department",)).rows)
        self.space = LabelSpace.of({"department": sorted({str(row.labels["department"]) for row in rows})})
        folder, recipe = resolve_base(base), Recipe()
        model = load_classifier(folder, self.space, recipe)
        self.encoder = load_encoder(folder, model.config, recipe)
        self.vocabulary = model.config.vocab_size
        self.encodings: list[Encoding] = [self.encoder.encode(row.text) for row in rows]
        self.labels = label_numbers(rows, self.space.department)[:, None]
        self.vectors = pooled(model, self.encoder, self.encodings)

    def deal(
        self, chosen: NDArray[np.int64], unseen: NDArray[np.int64], recipe: Recipe, noise: float
    ) -> tuple[int, int]:
        """The numbers of unseen rows that are routed, and of these the right ones."""
        space, labels, count = self.space, self.labels[chosen], QUICK_FOLDS
        folds = draw_folds(list(range(len(chosen))), labels, [], count, recipe.seed)
        encodings, vectors = [self.encodings[row] for row in chosen], self.vectors[chosen]
        if noise:
            labels = self._with_noise(vectors, labels, folds, noise)
        known = ngram_rows(
            encodings, space, vocabulary=self.vocabulary, pad_id=self.encoder.pad_id, most_bytes=TABLE_BYTES
        )
        assert known is not None
        rests = [np.flatnonzero(folds != fold) for fold in range(count)]
        heads = tuple(fit_linear_head(space, vectors[rest], labels[rest]) for rest in rests)
        words = tuple(known.fit(labels, space, recipe.seed, rest) for rest in rests)
        raw = Folds(heads, words, (), {"all": folds})
        network, said = raw.network("all", vectors), raw.words("all", encodings)
        planning = (folds >= 0) & (folds < count // 3)
        testing = folds >= count // 3
        shares = {
            name: s.factor for name, s in shares_of(network[planning], said[planning], labels[planning], space).items()
        }
        factors = factors_of(shares, space)
        logits = network + factors * said
        plan, test = (Scored(logits[mask], labels[mask, 0]) for mask in (planning, testing))
        scoring = calibrate_field(space.department, plan, test, recipe, "measured").scoring(space.department)
        served = mean_head(heads).logits(self.vectors[unseen])
        served = served + factors * mean_ngrams(words).logits([self.encodings[row] for row in unseen])
        routed = outcomes_of(served, scoring) == Outcome.ROUTE
        right = served.argmax(axis=1) == self.labels[unseen, 0]
        return int(routed.sum()), int((routed & right).sum())

    def _with_noise(
        self, vectors: NDArray[np.float32], labels: NDArray[np.int64], folds: NDArray[np.int64], share: float
    ) -> NDArray[np.int64]:
        heads = [fit_linear_head(self.space, vectors[folds != f], labels[folds != f]) for f in range(QUICK_FOLDS)]
        logits = Folds(tuple(heads), (), (), {"all": np.maximum(folds, 0)}).network("all", vectors)
        pair = np.argsort(-logits, axis=1)[:, :2]
        scores = np.take_along_axis(logits, pair, axis=1)
        inside = np.flatnonzero((pair == labels).any(axis=1))
        hardest = inside[np.argsort((scores[:, 0] - scores[:, 1])[inside])[: round(share * len(labels))]]
        swapped = labels.copy()
        swapped[hardest, 0] = np.where(pair[hardest, 0] == labels[hardest, 0], pair[hardest, 1], pair[hardest, 0])
        return swapped


def main() -> None:
    parser = argparse.ArgumentParser(description="What a promise from few tickets routes, and whether it holds.")
    parser.add_argument("file", type=Path)
    parser.add_argument("--column", default="")
    parser.add_argument("--labels", type=Path)
    parser.add_argument("--rows", type=int, default=1500)
    parser.add_argument("--per-label", type=int)
    parser.add_argument("--noise", type=float, default=0.0)
    parser.add_argument("--deals", type=int, default=50)
    parser.add_argument("--precision", type=float, default=0.95)
    parser.add_argument("--base", default="embedded")
    asked = parser.parse_args()
    columns = dict([asked.column.split("=")]) if asked.column else {}
    desk = Desk(TicketFile(asked.file, columns, asked.labels), asked.base)
    found = []
    for deal in range(asked.deals):
        order = np.random.default_rng(deal).permutation(len(desk.labels))
        if asked.per_label:
            labels = desk.labels[order, 0]
            chosen = np.concatenate([order[labels == label][: asked.per_label] for label in np.unique(labels)])
        else:
            chosen = order[: asked.rows]
        unseen = np.random.default_rng(deal).permutation(np.setdiff1d(order, chosen))[:UNSEEN]
        recipe = Recipe(seed=deal, promise=PromiseRecipe(route_precision=asked.precision, scope_refused=0))
        routed, right = desk.deal(chosen, unseen, recipe, asked.noise)
        bound = beta.ppf(0.975, right + 1, routed - right) if right < routed else 1.0
        found.append((routed / len(unseen), right / routed if routed else np.nan, routed == 0,
                      right < asked.precision * routed, routed > 0 and bound < asked.precision))  # fmt: skip
        if deal % 10 == 9:
            cover, precision, nothing, broken, surely = np.array(found, float).T
            print(
                f"{len(chosen)} rows, {deal + 1} deals: routed {cover.mean():.3f}, of these right "
                f"{np.nanmean(precision):.4f}, routes nothing {nothing.mean():.2f}, broken {broken.mean():.2f}, "
                f"significantly {surely.mean():.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
