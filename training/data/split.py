"""Rows → train, validation, calibration and test; no text and no near-duplicate is in two parts.

A row's own `split` is respected. Parts that the file does not assign are drawn from its unassigned or training rows:
`prepared` cleans, `near_duplicates` and `groups` decide what stays together, `draw` chooses.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

from models.bundle.manifest import Frozen
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.contract import TicketRow
from training.data.draw import draw_at_random, draw_by_time, wanted_shares
from training.data.groups import Ties, largest_group, tied_groups
from training.data.near_duplicates import near_duplicate_clusters
from training.data.prepared import PreparedRow, distinct_rows, prepare_rows
from training.data.rare_labels import Scarce, scarce_advice, scarce_labels, without_scarce
from training.recipe import DataRecipe, Recipe


class Removed(Frozen):
    """Rows left out before training, by reason."""

    empty: int = 0
    duplicates: int = 0
    conflicting: int = 0
    """Duplicates whose department differs from the kept row's, or all of them (`data.contradictions`)."""
    near_duplicates: int = 0
    """Training rows that are near-duplicates of the file's own validation, calibration or test rows."""
    unchecked: int = 0
    """Labels that the router set and no person checked (`label_source`)."""
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


PARTS = ("train", "validation", "calibration", "test")
_LEARNED = ("train", "validation")
_MONTH = timedelta(days=365.25 / 12)


@dataclass(frozen=True, slots=True)
class Split:
    """The four parts (the test may be empty), the rows left out, and notes for the user.

    Calibration and test keep the rows of `scarce` departments: such mail will arrive, and every answer to it is wrong.
    """

    parts: Mapping[str, tuple[PreparedRow, ...]]
    removed: Removed
    scarce: Scarce = field(default_factory=dict)
    by_time: bool = False
    advice: tuple[str, ...] = ()

    def __getitem__(self, part: str) -> tuple[PreparedRow, ...]:
        return self.parts[part]


def split_rows(rows: Iterable[TicketRow], recipe: Recipe, seed: int) -> Split:
    """Clean every row, drop repeats and old rows, split the rest, and leave out labels with too few rows.

    Raises:
        TicketRouterError: fewer than two departments, too few rows to fill every part, or needed dates are missing.
    """
    filled, empty = prepare_rows(rows)
    recent = _recent(filled, recipe.data.months)
    distinct, conflicting = distinct_rows(recent, recipe.data.contradictions)
    pool, own, clusters = _apart(distinct, recipe.data)
    by_time = _is_by_time(distinct, pool, recipe.split.order)
    parts = _draw(pool, own, clusters, by_time, recipe, seed)
    scarce = scarce_labels(parts, recipe.data.minimum_rows)
    learned = parts | {part: without_scarce(parts[part], scarce) for part in _LEARNED}
    removed = Removed(
        empty=empty,
        old=len(filled) - len(recent),
        duplicates=len(recent) - len(distinct),
        conflicting=conflicting,
        near_duplicates=len(distinct) - len(pool) - sum(map(len, own.values())),
        scarce=sum(len(parts[part]) - len(learned[part]) for part in _LEARNED),
    )
    _refuse_unlearnable(learned, removed)
    return Split(learned, removed, scarce, by_time, tuple(_advice(learned, scarce, recipe.data.minimum_rows)))


def _recent(rows: Sequence[PreparedRow], months: int | None) -> list[PreparedRow]:
    """The rows of the last months before the newest row; the file's own test rows and rows without a date stay."""
    if months is None:
        return list(rows)
    dates = [item.row.created_at for item in rows if item.row.created_at]
    if not dates:
        raise TicketRouterError("data.months: no row has a date; name its column with --column created_at=COLUMN")
    first = max(dates) - months * _MONTH
    return [item for item in rows if item.row.split == "test" or (item.row.created_at or first) >= first]


def _apart(
    rows: Sequence[PreparedRow], recipe: DataRecipe
) -> tuple[list[PreparedRow], dict[str, list[PreparedRow]], list[list[int]]]:
    """The pool to draw from, the file's own measuring rows by part, and the pool's clusters of near-duplicates.

    Near-duplicates of a measuring row are removed from the pool.
    """
    clusters = near_duplicate_clusters(
        [item.text for item in rows], recipe.near_duplicates, largest_group(len(rows))
    )  # fmt: skip
    own = {part: [item for item in rows if item.row.split == part] for part in PARTS if part != "train"}
    measuring = [cluster for cluster in clusters if any(rows[number].row.split in own for number in cluster)]
    near = {number for cluster in measuring for number in cluster}
    numbers = [n for n, item in enumerate(rows) if item.row.split not in own and n not in near]
    place = {number: index for index, number in enumerate(numbers)}
    inside = [[place[number] for number in cluster] for cluster in clusters if cluster[0] not in near]
    return [rows[number] for number in numbers], own, inside


def _is_by_time(rows: Sequence[PreparedRow], pool: Sequence[PreparedRow], order: str) -> bool:
    undated = sum(item.row.created_at is None for item in pool)
    if order == "time" and undated:
        raise TicketRouterError(
            f"split.order = time: rows without a date: {undated}; fill created_at in, or use order = auto"
        )
    return order == "time" or (order == "auto" and not undated and all(not item.row.split for item in rows))


def _draw(
    pool: Sequence[PreparedRow],
    own: Mapping[str, Sequence[PreparedRow]],
    clusters: Sequence[Sequence[int]],
    by_time: bool,
    recipe: Recipe,
    seed: int,
) -> dict[str, tuple[PreparedRow, ...]]:
    # A file that assigns rows itself also decides its test; only a file without any split gets a drawn test.
    has_split = any(own.values()) or any(item.row.split for item in pool)
    wanted = wanted_shares(recipe.split, len(pool))
    shares = {part: 0.0 if own[part] or (part == "test" and has_split) else wanted[part] for part in wanted}
    # Known requesters write again: keeping requesters apart would undo a split by time.
    groups = tied_groups(pool, Ties(clusters, requesters=not by_time))
    drawn = (draw_by_time if by_time else draw_at_random)(groups, shares, seed)
    return {part: tuple(sorted([*own.get(part, ()), *drawn[part]], key=lambda item: item.row.line)) for part in PARTS}


def _advice(parts: Mapping[str, Sequence[PreparedRow]], scarce: Scarce, minimum: int) -> Iterator[str]:
    yield from scarce_advice(scarce, minimum)
    unseen = _departments(parts["train"]) - _departments(parts["test"])
    if parts["test"] and unseen:
        yield f"no test row of {', '.join(sorted(unseen))}: how well these are routed, no figure says"


def _departments(rows: Sequence[PreparedRow]) -> set[str]:
    return {str(item.row.labels[DEPARTMENT]) for item in rows}


def _refuse_unlearnable(parts: Mapping[str, Sequence[PreparedRow]], removed: Removed) -> None:
    left_out = f"after leaving out {removed.duplicates} repeated and {removed.empty} empty texts"
    if removed.scarce:
        left_out += f" and {removed.scarce} of departments with too few"
    trained = _departments(parts["train"])
    if len(trained) < 2:
        raise TicketRouterError(f"departments to learn {left_out}: {len(trained)}; routing needs at least two")
    for part in ("validation", "calibration"):
        if not _departments(parts[part]) & trained:
            raise TicketRouterError(f"too few rows {left_out}: none is left for {part}; add closed tickets")
