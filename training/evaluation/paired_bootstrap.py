"""Two sets of answers to the same rows: the difference of each figure, with a paired bootstrap interval.

Rows are drawn with replacement, and both sides are measured on the same draw, so that the difficulty of the rows
cancels out (Efron & Tibshirani, "An Introduction to the Bootstrap", 1993; Koehn, EMNLP 2004). Every figure is computed
from sums over rows, so a thousand draws are one product of counts and columns.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, hstack

from models.bundle.manifest import Frozen
from training.evaluation.bundle_answers import Verdicts
from training.evaluation.metrics import ECE_BINS

RESAMPLES = 1000
_BLOCK = 100
"""Draws per block: the counts of a hundred thousand rows then take 80 MB, not 800."""
LEVEL = 0.95

Values = NDArray[np.float64]


class Difference(Frozen):
    """A figure of both sides, and the challenger's minus the champion's with its 95 % interval.

    None: the figure has no value on these rows, for example a precision if nothing is routed.
    """

    champion: float | None
    challenger: float | None
    difference: float | None
    low: float | None
    high: float | None

    @property
    def sign(self) -> int:
        """1 or -1 if the interval is wholly above or below 0; otherwise 0: no difference is shown."""
        if self.low is None or self.high is None:
            return 0
        return int(self.low > 0) - int(self.high < 0)


@dataclass(frozen=True, slots=True)
class Sums:
    """Sums over rows, one entry for each draw: [draws], or [draws, bins] and [draws, labels]."""

    rows: Values
    right: Values
    routed: Values
    routed_right: Values
    gaps: Values
    """Confidence minus rightness, by bin of confidence."""
    hits: Values
    predicted: Values
    wanted: Values

    def accuracy(self) -> Values:
        return self.right / self.rows

    def routed_share(self) -> Values:
        return self.routed / self.rows

    def route_precision(self) -> Values:
        return _ratio(self.routed_right, self.routed)

    def ece(self) -> Values:
        """As in `metrics`: 15 equal bins (Naeini et al., AAAI 2015)."""
        return np.asarray(np.abs(self.gaps).sum(axis=1) / self.rows)

    def macro_f1(self) -> Values:
        """As in `metrics`: the mean over the labels that occur at close or among the answers of the draw."""
        f1 = _ratio(2 * self.hits, self.predicted + self.wanted)
        occurs = self.predicted + self.wanted > 0
        return np.asarray(np.where(occurs, f1, 0.0).sum(axis=1) / occurs.sum(axis=1))

    def recall(self) -> Values:
        """[draws, labels]."""
        return _ratio(self.hits, self.wanted)

    def precision(self) -> Values:
        """[draws, labels]."""
        return _ratio(self.hits, self.predicted)


FIGURES: dict[str, Callable[[Sums], Values]] = {
    "accuracy": Sums.accuracy,
    "macro_f1": Sums.macro_f1,
    "routed": Sums.routed_share,
    "route_precision": Sums.route_precision,
    "ece": Sums.ece,
}
LABEL_FIGURES: dict[str, Callable[[Sums], Values]] = {"recall": Sums.recall, "precision": Sums.precision}


@dataclass(frozen=True, slots=True)
class Paired:
    """Both sides' sums over the original rows (one draw), and over the bootstrap's draws."""

    champion: Sums
    challenger: Sums
    drawn_champion: Sums
    drawn_challenger: Sums

    def differences(self, figure: Callable[[Sums], Values]) -> list[Difference]:
        """The figure's difference: one value, or one per label."""
        before, after = (np.atleast_1d(figure(sums)[0]) for sums in (self.champion, self.challenger))
        drawn = figure(self.drawn_challenger) - figure(self.drawn_champion)
        # A draw without the label (or without a routed row) counts as no difference; skipping such draws would make the
        # interval of a few rows too narrow.
        drawn = np.nan_to_num(drawn, nan=0.0).reshape(len(drawn), -1)
        low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=0)
        differences = []
        for was, now, least, most in zip(before, after, low, high, strict=True):
            both = not (np.isnan(was) or np.isnan(now))
            differences.append(
                Difference(
                    champion=None if np.isnan(was) else float(was),
                    challenger=None if np.isnan(now) else float(now),
                    difference=float(now - was) if both else None,
                    low=float(least) if both else None,
                    high=float(most) if both else None,
                )
            )
        return differences


def pair(champion: Verdicts, challenger: Verdicts, wanted: NDArray[np.int64], labels: int, seed: int) -> Paired:
    """Compare two sets of answers to the same rows.

    Args:
        champion: answers of the bundle in service.
        challenger: answers of the bundle that may replace it.
        wanted: labels at close, [rows], numbered as in the answers.
        labels: the number of labels.
        seed: seed of the draws.
    """
    columns = [_columns(side, wanted, labels) for side in (champion, challenger)]
    once = np.ones((1, len(wanted)))
    # The number of times that each draw contains each row: blocks of [draws, rows].
    generator, even = np.random.default_rng(seed), np.full(len(wanted), 1 / len(wanted))
    draws = [
        generator.multinomial(len(wanted), even, size=_BLOCK).astype(np.float64) for _ in range(RESAMPLES // _BLOCK)
    ]
    return Paired(
        *(_sums(once @ side, labels) for side in columns),
        *(_sums(np.concatenate([draw @ side for draw in draws]), labels) for side in columns),
    )


def _columns(side: Verdicts, wanted: NDArray[np.int64], labels: int) -> csr_array:
    """The values to sum, [rows, columns]: sparse, because a row has one label and one bin."""
    right = (side.predicted == wanted).astype(np.float64)
    routed = side.routed.astype(np.float64)
    bins = np.clip((side.confidence * ECE_BINS).astype(np.int64), 0, ECE_BINS - 1)
    single = np.stack([np.ones(len(wanted)), right, routed, routed * right], axis=1)
    return csr_array(
        hstack(
            [
                csr_array(single),
                _spread(side.confidence - right, bins, ECE_BINS),
                _spread(right, wanted, labels),
                _spread(np.ones(len(wanted)), side.predicted, labels),
                _spread(np.ones(len(wanted)), wanted, labels),
            ]
        )
    )


def _spread(values: Values, columns: NDArray[np.int64], width: int) -> csr_array:
    """Each row's value in its own column, [rows, width]; rows of column NO_LABEL stay empty."""
    rows = np.flatnonzero(columns >= 0)
    return csr_array((values[rows], (rows, columns[rows])), shape=(len(values), width))


def _sums(sums: Values, labels: int) -> Sums:
    edges = np.cumsum([4, ECE_BINS, labels, labels])
    single, *wide = np.split(np.asarray(sums), edges, axis=1)
    rows, right, routed, routed_right = single.T
    return Sums(rows, right, routed, routed_right, *wide)


def _ratio(part: Values, whole: Values) -> Values:
    """A share; NaN if the denominator is 0."""
    return np.asarray(np.divide(part, whole, out=np.full(whole.shape, np.nan), where=whole > 0))
