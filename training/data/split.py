"""Rows → train, validation, calibration and test; no text and no near-duplicate is in two parts.

A row's own `split` is respected. Parts that the file does not assign are drawn from its unassigned or training rows:
`prepared` cleans, `near_duplicates` and `groups` decide what stays together, `draw` chooses.
"""

from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from datetime import timedelta

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.draw import (
    Group,
    draw_at_random,
    draw_by_time,
    is_checked,
    sample_of_all,
    source_advice,
    wanted_shares,
    weighed,
)
from training.data.example import Example
from training.data.groups import near_duplicates, tied_groups
from training.data.prepared import distinct_rows, prepare_rows
from training.data.rare_labels import Scarce, scarce_advice, scarce_labels, without_scarce
from training.recipe import Recipe


class Removed(Frozen):
    """Rows left out before training, by reason."""

    empty: int = 0
    duplicates: int = 0
    conflicting: int = 0
    """Duplicates whose department differs from the kept row's, or all of them (`data.contradictions`)."""
    near_duplicates: int = 0
    """Training rows that are near-duplicates of the file's own validation, calibration or test rows."""
    unchecked: int = 0
    """Labels that the router set and no person checked, where they may not be used: on measuring rows, with weight 0,
    or tied to a measuring row."""
    not_closed: int = 0
    """Tickets whose status says that they are still open."""
    unlabelled: int = 0
    """Rows without a department, or with a placeholder such as nan for one."""
    faulty: int = 0
    """Rows that break the contract, with `--skip-faulty`."""
    retired: int = 0
    """Rows with a label that the labels file retires."""
    scarce: int = 0
    """Training and validation rows of departments with fewer than `data.minimum_rows` training rows."""
    old: int = 0
    """Rows from before `data.months`."""
    suspects: int = 0
    selected: int = 0
    """Rows for a calibration alone that people labelled because the router did not route them, or routed them wrong."""


PARTS = ("train", "validation", "calibration", "test")
_LEARNED = ("train", "validation")
_MEASURING = ("validation", "calibration", "test")
PLANNING = 1 / 3
"""Share of later rows that plans the tests."""
_MOST_PLANNED, _MOST_TESTED = 0.25, 0.5
_MONTH = timedelta(days=365.25 / 12)


@dataclass(frozen=True, slots=True)
class Split:
    """The four parts (the test may be empty), the rows left out, and notes for the user.

    Calibration and test keep the rows of `scarce` departments: such mail will arrive, and every answer to it is wrong.
    `unlearned` are those of training and validation. `groups` are the file's lines that must stay in one part.
    """

    parts: Mapping[str, tuple[Example, ...]]
    removed: Removed
    scarce: Scarce = field(default_factory=dict)
    by_time: bool = False
    advice: tuple[str, ...] = ()
    unlearned: tuple[Example, ...] = ()
    groups: tuple[tuple[int, ...], ...] = ()

    def __getitem__(self, part: str) -> tuple[Example, ...]:
        return self.parts[part]


def split_rows(rows: Iterable[Example], recipe: Recipe, seed: int) -> Split:
    """Clean every row, drop repeats and old rows, split the rest, and leave out labels with too few rows.

    Raises:
        TicketRouterError: fewer than two departments, too few rows to fill every part, or needed dates are missing.
    """
    filled, empty = prepare_rows(rows)
    recent = _recent(filled, recipe.data.months)
    distinct, conflicting = distinct_rows(recent, recipe.data.contradictions)
    usable = weighed(distinct, recipe.data.unchecked_weight)
    own, copies = own_parts(usable), near_duplicates(usable, recipe.data.near_duplicates)
    pool = pool_of(usable, copies)
    by_time = _is_by_time(usable, pool, recipe.split.order)
    # Known requesters write again: keeping requesters apart would undo a split by time.
    groups = tied_groups(pool, copies, requesters=not by_time)
    parts = _draw(groups, own, by_time, recipe, seed)
    drawable, drawn = len(pool) + sum(map(len, own.values())), sum(map(len, parts.values()))
    scarce = scarce_labels(parts, recipe.data.minimum_rows)
    learned = parts | {part: without_scarce(parts[part], scarce) for part in _LEARNED}
    removed = Removed(
        empty=empty,
        unchecked=len(distinct) - len(usable) + drawable - drawn,
        old=len(filled) - len(recent),
        duplicates=len(recent) - len(distinct),
        conflicting=conflicting,
        near_duplicates=len(usable) - drawable,
        scarce=sum(len(parts[part]) - len(learned[part]) for part in _LEARNED),
    )
    _refuse_unlearnable(learned, removed)
    advice = [*source_advice(distinct), *scarce_advice(scarce, recipe.data.minimum_rows)]
    unseen = _departments(learned["train"]) - _departments(learned["test"])
    if learned["test"] and unseen:
        advice.append(f"no test row of {', '.join(sorted(unseen))}: how well these are routed, no figure says")
    return Split(
        learned,
        removed,
        scarce,
        by_time,
        tuple(advice),
        tuple(item for part in _LEARNED for item in parts[part] if item.labels[DEPARTMENT] in scarce[DEPARTMENT]),
        tuple(tuple(item.line for item in group) for group in groups),
    )


def split_later(rows: Iterable[Example], recipe: Recipe, seed: int) -> Split:
    """Rows from after a training: a third plans (`validation`), the others test (`calibration`).

    Only rows that stand for all mail; the file's own parts are kept, but its training rows are left out.
    """
    filled, empty = prepare_rows(row for row in rows if row.split != "train")
    distinct, conflicting = distinct_rows(filled)
    sample = sample_of_all(distinct)
    own, copies = own_parts(sample), near_duplicates(sample, recipe.data.near_duplicates)
    groups = tied_groups(pool_of(sample, copies), copies, requesters=True)
    drawn = draw_at_random(groups, {"validation": 0.0 if own["validation"] else PLANNING}, seed)
    parts = {
        "train": (),
        "validation": (*own["validation"], *drawn["validation"]),
        "calibration": (*own["calibration"], *drawn["train"]),
        "test": tuple(own["test"]),
    }
    removed = Removed(
        empty=empty,
        duplicates=len(filled) - len(distinct),
        conflicting=conflicting,
        near_duplicates=len(sample) - sum(map(len, parts.values())),
        unchecked=sum(not is_checked(item) for item in distinct),
        selected=sum(map(is_checked, distinct)) - len(sample),
    )
    return Split(parts, removed, advice=tuple(source_advice(distinct)))


def _recent(rows: Sequence[Example], months: int | None) -> list[Example]:
    """The rows of the last months before the newest row; the file's own test rows and rows without a date stay."""
    if months is None:
        return list(rows)
    dates = [item.created_at for item in rows if item.created_at]
    if not dates:
        raise TicketRouterError("data.months: no row has a date; name its column with --column created_at=COLUMN")
    first = max(dates) - months * _MONTH
    return [item for item in rows if item.split == "test" or (item.created_at or first) >= first]


def own_parts(rows: Sequence[Example]) -> dict[str, list[Example]]:
    """The rows that the file itself assigns to a measuring part, by part."""
    return {part: [item for item in rows if item.split == part] for part in _MEASURING}


def pool_of(rows: Sequence[Example], copies: Sequence[Sequence[Example]]) -> list[Example]:
    """The rows to draw from: all but the file's own measuring rows and their near-duplicates."""
    near = {item.line for cluster in copies if any(item.split in _MEASURING for item in cluster) for item in cluster}
    return [item for item in rows if item.split not in _MEASURING and item.line not in near]


def _is_by_time(rows: Sequence[Example], pool: Sequence[Example], order: str) -> bool:
    undated = sum(item.created_at is None for item in pool)
    if order == "time" and undated:
        raise TicketRouterError(
            f"split.order = time: rows without a date: {undated}; fill created_at in, or use order = auto"
        )
    return order == "time" or (order == "auto" and not undated and all(not item.split for item in rows))


def _draw(
    groups: Sequence[Group],
    own: Mapping[str, Sequence[Example]],
    by_time: bool,
    recipe: Recipe,
    seed: int,
) -> dict[str, tuple[Example, ...]]:
    """Parts of the pool; only rows that stand for all mail are measured, the others are for training."""
    pool = [item for group in groups for item in group]
    sample = {item.line for item in sample_of_all(pool)}
    # A file that assigns rows itself also decides its test; only a file without any split gets a drawn test.
    has_split = any(own.values()) or any(item.split for item in pool)
    wanted = _shares_of(sample, len(pool), recipe)
    shares = {part: 0.0 if own[part] or (part == "test" and has_split) else wanted[part] for part in wanted}
    sampled = [kept for group in groups if (kept := [item for item in group if item.line in sample])]
    drawn = (draw_by_time if by_time else draw_at_random)(sampled, shares, seed)
    measured = {item.line for part in shares for item in drawn[part]}
    free = (group for group in groups if measured.isdisjoint(item.line for item in group))
    drawn["train"] += [item for group in free for item in group if item.line not in sample]
    return {part: tuple(sorted([*own.get(part, ()), *drawn[part]], key=lambda item: item.line)) for part in PARTS}


def _shares_of(sample: Set[int], pool: int, recipe: Recipe) -> dict[str, float]:
    """The measuring parts' shares of the sample. Where it is smaller than the pool, planning and tests of thresholds
    still get as many rows as usual, up to _MOST_PLANNED and _MOST_TESTED of it."""
    wanted = wanted_shares(recipe.split, pool)
    scale = pool / max(len(sample), 1)
    if scale == 1:
        return wanted
    most = {"validation": _MOST_PLANNED, "calibration": _MOST_TESTED, "test": 0.0}
    return {part: max(share, min(share * scale, most[part])) for part, share in wanted.items()}


def _departments(rows: Sequence[Example]) -> set[str]:
    return {str(item.labels[DEPARTMENT]) for item in rows}


def _refuse_unlearnable(parts: Mapping[str, Sequence[Example]], removed: Removed) -> None:
    left_out = f"after leaving out {removed.duplicates} repeated and {removed.empty} empty texts"
    if removed.scarce:
        left_out += f" and {removed.scarce} of departments with too few"
    trained = _departments(parts["train"])
    if len(trained) < 2:
        raise TicketRouterError(f"departments to learn {left_out}: {len(trained)}; routing needs at least two")
    for part in ("validation", "calibration"):
        if not _departments(parts[part]) & trained:
            raise TicketRouterError(f"too few rows {left_out}: none is left for {part}; add closed tickets")
