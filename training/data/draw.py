"""Groups of rows → parts with the recipe's shares, stratified by department or newest first; rows → folds; and which
rows may be drawn for measuring.

Once a router works, the tickets that people labelled are no sample of all mail: of what it routed they saw the wrong
ones only. Thresholds set on such rows would be far too strict, and a few months later nothing would be routed. The
random share that is kept for people (`audit`) is a sample, and so are the tickets from before the router worked.
"""

import random
import warnings
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil

import numpy as np
from numpy.typing import NDArray
from sklearn.model_selection import StratifiedGroupKFold

from models.fields import DEPARTMENT
from models.label_source import LabelSource
from training.data.example import Example
from training.recipe import SplitRecipe

Group = list[Example]
"""Rows that always stay in the same part."""
_VALIDATION = (500, 0.05, 0.10)
_CALIBRATION = (800, 0.10, 0.20)
"""The sufficient number of rows, and the smallest and largest share of all rows."""
_RECENT = 0.5
FEWEST = 100
"""With fewer such rows no usual promise can be planned and tested on them alone."""
_DOMINATE = 0.5
_OLDEST = datetime.min.replace(tzinfo=UTC)


ALWAYS_TRAINED = -1
"""The fold of rows that every fold's model is fitted on, and that test nothing."""


def wanted_shares(recipe: SplitRecipe, rows: int) -> dict[str, float]:
    """The share of `rows` for each measuring part that the file does not assign itself."""
    return {
        "test": recipe.test,
        "calibration": _sized(rows, *_CALIBRATION) if recipe.calibration is None else recipe.calibration,
        "validation": _sized(rows, *_VALIDATION) if recipe.validation is None else recipe.validation,
    }


def _sized(rows: int, enough: int, least: float, largest: float) -> float:
    return min(max(enough / max(rows, 1), least), largest)


def rows_for_calibration(rows: int, recipe: SplitRecipe) -> int:
    """The number of rows of which a split gives at least this many to calibration."""
    if recipe.calibration:
        return ceil(rows / recipe.calibration)
    enough, least, largest = _CALIBRATION
    return ceil(rows / (largest if rows <= enough else least))


def draw_at_random(groups: Sequence[Group], shares: Mapping[str, float], seed: int) -> dict[str, Group]:
    """Draw each share from the groups, stratified by department; the rest is for training.

    Calibration and validation take audited rows first: a sample of all mail, as people see it.

    A group counts for the department of most of its rows. A group larger than the rows still missing for its department
    is skipped, so that no single thread or requester dominates a measuring part. Each department keeps a group for
    training.
    """
    generator = random.Random(seed)
    by_label: dict[str, list[Group]] = defaultdict(list)
    for group in groups:
        by_label[_department(group)].append(group)
    drawn: dict[str, Group] = {part: [] for part in (*shares, "train")}
    for label in sorted(by_label):
        left = by_label[label]
        generator.shuffle(left)
        rows = sum(map(len, left))
        for part, share in shares.items():
            if part != "test":
                left = sorted(left, key=lambda group: all(map(audited_first, group)))
            # Random rounding: rounding to nearest would leave small labels out of every part.
            taken, left = _fill(left, int(rows * share + generator.random()))
            drawn[part] += taken
        drawn["train"] += [item for group in left for item in group]
    return drawn


def draw_by_time(groups: Sequence[Group], shares: Mapping[str, float], seed: int) -> dict[str, Group]:
    """The newest groups are the test; calibration is drawn from the newer half of the rest, validation from all of it.

    Calibration rows should be recent, because the thresholds apply to future mail. But calibration must not take all of
    the newest rows: a team founded last month would never be learned. The test shows whether the precision holds over
    time.
    """
    newest_first = sorted(groups, key=_date, reverse=True)
    rows = sum(map(len, groups))
    test, rest = _newest(newest_first, rows * shares["test"])
    calibration = _scaled(shares["calibration"], rows, sum(map(len, rest)))
    # For a large calibration share, half of the rows that it is drawn from still go to training.
    recent, older = _newest(rest, sum(map(len, rest)) * min(max(_RECENT, 2 * calibration), 1))
    recent_rows = sum(map(len, recent))
    first = draw_at_random(recent, {"calibration": _scaled(shares["calibration"], rows, recent_rows)}, seed)
    chosen = {item.line for item in first["calibration"]}
    left = [group for group in (*recent, *older) if group[0].line not in chosen]
    validation = _scaled(shares["validation"], rows, sum(map(len, left)))
    second = draw_at_random(left, {"validation": validation}, seed)
    return {"test": [item for group in test for item in group], "calibration": first["calibration"], **second}


def draw_folds(
    lines: Sequence[int], labels: NDArray[np.int64], groups: Sequence[Sequence[int]], count: int, seed: int
) -> NDArray[np.int64]:
    """Each row's fold, [rows]: 0…count - 1, stratified by the first field's label.

    The rows of a label that a single fold holds, for example one thread, are ALWAYS_TRAINED: the model without that
    fold would lack the label.

    Args:
        lines: each row's line in the file.
        labels: label numbers, [rows, fields]; negative: none to learn.
        groups: lines that stay in one fold.
        count: folds.
        seed: of the draw.
    """
    group_of = {line: number for number, group in enumerate(groups) for line in group}
    ties = np.array([group_of.get(line, -1 - line) for line in lines])
    splitter = StratifiedGroupKFold(count, shuffle=True, random_state=seed)
    folds = np.empty(len(lines), np.int64)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # a label with fewer rows than folds: some folds lack it
        for number, (_, fold) in enumerate(splitter.split(np.zeros(len(lines)), labels[:, 0], ties)):
            folds[fold] = number
    lonely = np.zeros(len(folds), bool)
    for column in range(labels.shape[1]):
        for label in np.unique(labels[labels[:, column] >= 0, column]):
            rows = labels[:, column] == label
            lonely |= rows & (len(np.unique(folds[rows])) < 2)
    return np.where(lonely, ALWAYS_TRAINED, folds)


def _department(group: Group) -> str:
    counts = Counter(str(item.labels[DEPARTMENT]) for item in group)
    return min(counts, key=lambda label: (-counts[label], label))


def _date(group: Group) -> datetime:
    """A group's date is the date of most of its rows: one late reply does not make an old thread new."""
    dates = sorted(item.created_at or _OLDEST for item in group)
    return dates[len(dates) // 2]


def _fill(groups: Sequence[Group], rows: int) -> tuple[Group, list[Group]]:
    """As many groups as fit into this number of rows, always leaving one group; and the other groups."""
    taken: Group = []
    left: list[Group] = []
    for number, group in enumerate(groups):
        is_last = not left and number == len(groups) - 1
        if len(taken) + len(group) <= rows and not is_last:
            taken += group
        else:
            left.append(group)
    return taken, left


def _newest(newest_first: Sequence[Group], rows: float) -> tuple[list[Group], list[Group]]:
    """The newest groups with about this many rows together, and the older groups."""
    count = total = 0
    while count < len(newest_first) and total + len(newest_first[count]) <= rows:
        total += len(newest_first[count])
        count += 1
    return list(newest_first[:count]), list(newest_first[count:])


def _scaled(share: float, rows: int, among: int) -> float:
    """A share of all rows → a share of the rows that it is drawn from."""
    return min(share * rows / among, 1) if among else 0.0


def is_checked(item: Example) -> bool:
    """Whether a person chose the label, or saw it and let it stand."""
    return item.label_source is not LabelSource.ROUTER_UNCHECKED


def weighed(rows: Sequence[Example], unchecked_weight: float) -> list[Example]:
    """The rows with their weights in training; without those of weight 0, and without unchecked ones that the file
    wants to measure on."""
    kept = []
    for item in rows:
        if is_checked(item):
            kept.append(item)
        elif unchecked_weight and item.split in ("train", ""):
            kept.append(replace(item, weight=unchecked_weight))
    return kept


def sample_of_all(rows: Sequence[Example]) -> list[Example]:
    """The rows that stand for all mail: the audited ones and those from before the router worked; all rows if none is
    audited or unchecked. With fewer than FEWEST of these, all checked rows: the best there is."""
    routed = [item.created_at for item in rows if _is_audited(item) or not is_checked(item)]
    dates = [date for date in routed if date is not None]
    begin = min(dates, default=None) if len(dates) == len(routed) else None
    if not routed:
        return list(rows)
    chosen = [
        item
        for item in rows
        if is_checked(item)
        and (_is_audited(item) or (begin is not None and item.created_at is not None and item.created_at < begin))
    ]
    return chosen if len(chosen) >= FEWEST else [item for item in rows if is_checked(item)]


def audited_first(item: Example) -> bool:
    """A sort key: audited rows before the others."""
    return not _is_audited(item)


def unchecked_advice(unchecked: int, rows: int) -> list[str]:
    """A warning if labels that the router set unchecked dominate."""
    if unchecked <= _DOMINATE * rows:
        return []
    return [
        f"warning: {unchecked} of {rows} labels are the router's own and nobody checked them; the model confirms "
        "itself: keep a larger random share for people, and mark those rows label_source = audit"
    ]


def source_advice(rows: Sequence[Example]) -> Sequence[str]:
    """Warnings about the sources of all rows' labels, for people."""
    unchecked, audited = sum(not is_checked(item) for item in rows), sum(map(_is_audited, rows))
    advice = unchecked_advice(unchecked, len(rows))
    if unchecked and audited < FEWEST and len(sample_of_all(rows)) == len(rows) - unchecked:
        advice.append(
            f"warning: {audited} rows are audited, {FEWEST - audited} more are needed to stand for all mail; the "
            "thresholds rest on all checked rows, which lack the right automatic routes: they are too strict"
        )
    return advice


def _is_audited(item: Example) -> bool:
    return item.label_source is LabelSource.AUDIT
