"""`training compare`: champion and challenger answer the same closed tickets, through onnxruntime."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from models.bundle.bundle import Bundle, open_bundle
from models.bundle.manifest import Frozen, Variant
from models.errors import TicketRouterError
from models.fields import DEPARTMENT
from training.data.example import Example
from training.data.labels import load_rules
from training.data.source import TicketFile, read_closed
from training.evaluation.bundle_answers import Verdicts, load_predictor, verdicts_of
from training.evaluation.latency import Cost, costs
from training.evaluation.paired_bootstrap import FIGURES, LABEL_FIGURES, Difference, pair

SEED = 13
FEWEST_ROWS = 30
"""With fewer rows a bootstrap interval is too narrow to call a bundle better or worse."""
_EXAMPLES = 20
DECISIVE = ("accuracy", "macro_f1", "routed", "route_precision")
"""Figures that decide the verdict; higher is better for each. The calibration error is only reported: its effect is
already in the share routed and the precision."""


class Regression(Frozen):
    """A label whose recall or precision fell, with an interval that excludes 0; `rows` counts the label at close."""

    label: str
    figure: str
    rows: int
    fall: Difference


class Change(Frozen):
    """One ticket with another answer: its line in the file, never its content."""

    line: int
    champion: str
    challenger: str
    wanted: str


class Changes(Frozen):
    """Tickets with another answer: another department, or the same department with another outcome."""

    departments: int
    outcomes: int
    mended: int
    """Of the tickets with another department: wrong before, right now."""
    broken: int
    examples: tuple[Change, ...]


class Comparison(Frozen):
    """The result of a comparison. A difference is the challenger's figure minus the champion's."""

    champion: str
    challenger: str
    variant: Variant
    rows: int
    figures: Mapping[str, Difference]
    compared: int
    """The number of tests for a fallen label: by chance alone, one in forty would show a fall."""
    regressions: tuple[Regression, ...]
    changes: Changes
    only_champion: tuple[str, ...]
    only_challenger: tuple[str, ...]
    champion_cost: Cost
    challenger_cost: Cost

    @property
    def better(self) -> tuple[str, ...]:
        return self._decided(1)

    @property
    def worse(self) -> tuple[str, ...]:
        return self._decided(-1)

    @property
    def verdict(self) -> str:
        """`better`, `worse`, `mixed`, or `no difference shown`."""
        if self.better and self.worse:
            return "mixed"
        return "better" if self.better else "worse" if self.worse else "no difference shown"

    def _decided(self, sign: int) -> tuple[str, ...]:
        enough = self.rows >= FEWEST_ROWS
        return tuple(name for name in DECISIVE if enough and self.figures[name].sign == sign)


def compare(champion: Path, challenger: Path, file: TicketFile, variant: Variant = "fp32") -> Comparison:
    """Compare two bundles on a file of closed tickets.

    Raises:
        TicketRouterError: a bundle or the file is not valid, a bundle lacks the variant, or no row has text.
    """
    bundles = open_bundle(champion), open_bundle(challenger)
    rows = read_closed(file).rows
    return compare_bundles(*bundles, rows, variant, load_rules(file.rules).of(DEPARTMENT).aliases)


def compare_bundles(
    champion: Bundle,
    challenger: Bundle,
    rows: Sequence[Example],
    variant: Variant = "fp32",
    aliases: Mapping[str, str] = MappingProxyType({}),
) -> Comparison:
    """Compare two opened bundles on these rows; the label sets may differ.

    `aliases` of the labels file apply to the answers of both, as to the rows: a label that was merged since is not
    wrong.

    Raises:
        TicketRouterError: a bundle lacks the variant, or onnxruntime cannot load it.
    """
    bundles = (champion, challenger)
    wanted = [str(row.labels[DEPARTMENT]) for row in rows]
    known = [
        {aliases.get(label, label) for label in bundle.manifest.label_space().department.labels} for bundle in bundles
    ]
    catalogue = sorted({*wanted, *known[0], *known[1]})
    texts = [row.text for row in rows]
    before, after = (verdicts_of(load_predictor(bundle, variant)(texts), catalogue, aliases) for bundle in bundles)
    numbers = np.array([catalogue.index(label) for label in wanted], dtype=np.int64)
    paired = pair(before, after, numbers, len(catalogue), SEED)
    # The differences of each label that both bundles know, for each figure that has a value in both.
    counts = Counter(wanted)
    found = [
        Regression(label=label, figure=name, rows=counts[label], fall=difference)
        for name, figure in LABEL_FIGURES.items()
        for label, difference in zip(catalogue, paired.differences(figure), strict=True)
        if label in known[0] & known[1] and difference.difference is not None
    ]
    fallen = [one for one in found if one.fall.sign < 0]
    champion_cost, challenger_cost = costs(bundles, variant, texts)
    return Comparison(
        champion=champion.version,
        challenger=challenger.version,
        variant=variant,
        rows=len(rows),
        figures={name: paired.differences(figure)[0] for name, figure in FIGURES.items()},
        compared=len(found),
        regressions=tuple(sorted(fallen, key=lambda one: one.fall.difference or 0.0)),
        changes=_changes(before, after, rows, catalogue),
        only_champion=tuple(sorted(known[0] - known[1])),
        only_challenger=tuple(sorted(known[1] - known[0])),
        champion_cost=champion_cost,
        challenger_cost=challenger_cost,
    )


def _changes(before: Verdicts, after: Verdicts, rows: Sequence[Example], catalogue: Sequence[str]) -> Changes:
    wanted = np.array([str(row.labels[DEPARTMENT]) for row in rows])
    names = np.array([*catalogue, "no answer"])  # index -1: the scores were NaN
    old, new = names[before.predicted], names[after.predicted]
    moved = old != new
    reheld = ~moved & (before.outcome != after.outcome)
    shown = [*np.flatnonzero(moved), *np.flatnonzero(reheld)][:_EXAMPLES]
    return Changes(
        departments=int(moved.sum()),
        outcomes=int(reheld.sum()),
        mended=int((moved & (new == wanted)).sum()),
        broken=int((moved & (old == wanted)).sum()),
        examples=tuple(
            Change(
                line=rows[i].line,
                champion=f"{before.outcome[i]} {old[i]}",
                challenger=f"{after.outcome[i]} {new[i]}",
                wanted=str(wanted[i]),
            )
            for i in shown
        ),
    )


def write_comparison(found: Comparison, path: Path) -> None:
    """Write the comparison as one self-contained HTML page.

    Raises:
        TicketRouterError: the file cannot be written.
    """
    from training.report.comparison import render_comparison

    try:
        path.write_text(render_comparison(found.model_dump(mode="json"), found.verdict), "utf-8")
    except OSError as error:
        raise TicketRouterError(f"{path}: cannot write the report there ({error.strerror})") from error
