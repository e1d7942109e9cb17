"""Results of the commands in `bundles` and of `tune`, formatted as lines of text."""

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # they import torch, too slow for `--help`
    from training.commands.compare import Comparison
    from training.commands.compare_record import RecordComparison
    from training.commands.recalibrate import Recalibration
    from training.commands.tune import TuneResult
    from training.evaluation.paired_bootstrap import Difference
    from training.evaluation.robustness.behavioural import BehaviourFigures
    from training.registry import Gate, Promotion

_NAMES = {
    "accuracy": "accuracy",
    "macro_f1": "macro-F1",
    "routed": "routed share",
    "route_precision": "precision of routed",
    "ece": "calibration error",
}
_RECORD_NAMES = {"accuracy": "right department"}
"""Of a record, which has no department for tickets left to people."""
_MARKS = {True: "✓", False: "✗", None: "–"}
_MOST = 10


def behaviour_lines(found: Sequence["BehaviourFigures"]) -> Iterator[str]:
    """One line for each behavioural test."""
    yield "behaviour: changes that must not change the department"
    for one in found:
        share = one.changed / one.rows
        yield (
            f"  {one.change:<14} {one.changed:>4} of {one.rows} changed ({share:.1%}); "
            f"of {one.routed} routed, {one.flipped} routed elsewhere; {one.outcomes_changed} other outcomes"
        )


def comparison_lines(found: "Comparison") -> Iterator[str]:
    """Figures with intervals, labels that got worse, tickets with another answer, and the verdict last."""
    yield f"champion {found.champion}, challenger {found.challenger}: {found.rows} closed tickets, {found.variant}"
    yield f"  {'':<20} champion challenger  difference  95 % interval"
    for name, figure in found.figures.items():
        yield f"  {_NAMES[name]:<20} {_difference(figure)}"
    before, after = found.champion_cost, found.challenger_cost
    yield f"  {'ms per ticket':<20} {before.milliseconds:>8.2f} {after.milliseconds:>10.2f}  (one core, median)"
    yield f"  {'MB':<20} {before.megabytes:>8.1f} {after.megabytes:>10.1f}"
    expected = f"{found.compared} figures looked at: about {found.compared / 40:.0f} would fall this far by chance"
    yield f"labels that fell: {len(found.regressions)} ({expected})"
    for one in found.regressions[:_MOST]:
        yield f"  {one.label}: {one.figure}, {one.rows} rows: {_difference(one.fall).strip()}"
    if len(found.regressions) > _MOST:
        yield f"  … and {len(found.regressions) - _MOST} more"
    changes = found.changes
    yield (
        f"another department: {changes.departments} tickets ({changes.mended} now right, {changes.broken} no longer); "
        f"another outcome: {changes.outcomes}"
    )
    for each in changes.examples[:_MOST]:
        yield f"  line {each.line}: {each.champion} → {each.challenger} (at close: {each.wanted})"
    if found.only_champion:
        yield f"labels that only the champion knows: {', '.join(found.only_champion)}"
    if found.only_challenger:
        yield f"labels that only the challenger knows: {', '.join(found.only_challenger)}"
    parts = [f"better in {_named(found.better)}"] if found.better else []
    parts += [f"worse in {_named(found.worse)}"] if found.worse else []
    yield f"verdict: {found.verdict}{': ' if parts else ''}{', '.join(parts)}"


def record_lines(found: "RecordComparison") -> Iterator[str]:
    """Each shadow and each canary of the record, with a verdict."""
    for shadow in found.shadows:
        yield (
            f"champion {shadow.champion}, shadow {shadow.challenger}: {shadow.rows} tickets that both judged, "
            f"{shadow.truths} with feedback"
        )
        if shadow.agreement is not None:
            same = shadow.agreement
            yield f"  same department where both route: {same.value:.1%} ({same.low:.1%} to {same.high:.1%})"
        yield (
            f"  routed by the champion alone: {shadow.only_champion_routes}, by the shadow alone: "
            f"{shadow.only_challenger_routes}; mean shift of confidence: {shadow.shift:+.3f}"
        )
        yield from _record_figures(shadow.figures)
        yield f"verdict: {shadow.verdict}"
    for canary in found.canaries:
        yield (
            f"champion {canary.champion}, canary {canary.challenger}, different tickets of the same time: "
            f"{canary.rows[0]} and {canary.rows[1]} tickets, {canary.truths[0]} and {canary.truths[1]} with feedback"
        )
        yield from _record_figures(canary.figures)
        yield f"verdict: {canary.verdict}"
    yield "all but the routed share is of tickets with feedback, and people correct more often than they confirm"


def _record_figures(figures: Mapping[str, "Difference"]) -> Iterator[str]:
    yield f"  {'':<20} champion challenger  difference  95 % interval"
    for name, figure in figures.items():
        yield f"  {_RECORD_NAMES.get(name, _NAMES[name]):<20} {_difference(figure)}"


def promotion_lines(done: "Promotion", store: object) -> Iterator[str]:
    """Every gate with its figure, and the new pointer."""
    yield from gate_lines(done.gates)
    if done.forced:
        yield f"forced: {done.reason}"
    was = f" (was {done.from_version})" if done.from_version else ""
    yield f"{store}/current → {done.to_version}{was}"


def gate_lines(gates: Sequence["Gate"]) -> Iterator[str]:
    for gate in gates:
        yield f"{_MARKS[gate.passed]} {gate.name}: {gate.figure}"


def recalibration_lines(found: "Recalibration") -> Iterator[str]:
    """What is routed now and was before, and the next command."""
    if found.record.remedies is not None:
        yield found.record.remedies.text
    for entry in found.entries:
        share = found.routed.get(entry.name)
        if share is None:
            yield f"{entry.name}: not in the file, calibrated as before"
            continue
        wanted = f"{entry.promise.route_precision:.4g}" if entry.promise.aim == "precision" else "fewest minutes"
        yield (
            f"{entry.name}: routes {share.after:.1%} of {share.rows} testing rows, "
            f"{_right(share.precision_after)} right (before {share.before:.1%}, "
            f"{_right(share.precision_before)} right); promised: {wanted}"
        )
    for variant in found.record.variants:
        yield f"{variant.variant}, {variant.what}: {'ships' if variant.ships else 'left out'} ({variant.why})"
    yield f"bundle: {found.bundle} (of {found.of}; not current)"
    yield f"report: {found.bundle / 'report.html'}"
    empty = " --allow-empty" * (found.record.remedies is not None)
    yield f"to serve it: python -m training promote --bundle {found.bundle} --store {found.bundle.parent}{empty}"


def _right(precision: float | None) -> str:
    return "–" if precision is None else f"{precision:.1%}"


def tune_lines(found: "TuneResult") -> Iterator[str]:
    """A Markdown table of the trials, and the path of the best recipe."""
    names = sorted({name for trial in found.trials for name in trial.changed})
    yield "| trial | ended | macro-F1 | minutes | " + " | ".join(names) + " |"
    yield "|---" * (4 + len(names)) + "|"
    for trial in found.trials:
        changed = (trial.changed.get(name) for name in names)
        values = (f"{value:.3g}" if isinstance(value, float) else "–" if value is None else str(value)
                  for value in changed)  # fmt: skip
        score = "–" if trial.macro_f1 is None else f"{trial.macro_f1:.4f}"
        mark = " (best)" if trial.number == found.best else ""
        yield f"| {trial.number} | {trial.state} | {score}{mark} | {trial.seconds / 60:.1f} | {' | '.join(values)} |"
    yield f"best recipe: {found.out}, from trial {found.best}"
    yield f"to learn with it: python -m training train --recipe {found.out} --data …"


def _difference(figure: "Difference") -> str:
    before, after = (f"{value:.4f}" if value is not None else "–" for value in (figure.champion, figure.challenger))
    if figure.difference is None:
        return f"{before:>8} {after:>10}"
    return f"{before:>8} {after:>10}  {figure.difference:>+10.4f}  [{figure.low:+.4f}, {figure.high:+.4f}]"


def _named(figures: Sequence[str]) -> str:
    return " and ".join(_NAMES[name] for name in figures)
