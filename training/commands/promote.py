"""`training promote` and `rollback`: check the gates of a bundle, then move the store's pointer and record the move."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from scipy.stats import beta

from models.bundle.bundle import Bundle, open_bundle
from models.bundle.golden import load_rows, replay
from models.bundle.manifest import Variant
from models.errors import BundleError, TicketRouterError
from models.fields import DEPARTMENT
from models.processor import instructions
from models.text.prepare import prepare
from models.ticket import Ticket
from training.commands.cases import failures, failures_line, load_cases
from training.commands.compare import compare_bundles
from training.data.labels import NO_RULES, LabelRules, load_rules
from training.data.source import TicketFile, read_closed
from training.evaluation.bundle_answers import graph_here, load_graph, load_predictor
from training.evaluation.latency import Cost, costs
from training.registry import Gate, Promotion, current_version, locked, move, previous_version

_UNSEEN_MILLISECONDS = 2.0
"""A ratio above the gate passes if the ticket takes at most this much longer: users would not notice the difference."""


@dataclass(frozen=True, slots=True)
class PromotionLimits:
    """The gates of a promotion. Ratios are relative to the champion; None: no gate."""

    macro_f1: float | None = None
    """Of the department, on the measured rows of its training run."""
    slower: float = 1.5
    larger: float = 2.0
    retired: tuple[str, ...] = ()
    """Labels (`field=label`) of the champion that the bundle may lack."""
    variant: Variant = "fp32"
    """The graph whose speed, size and answers are compared."""


@dataclass(frozen=True, slots=True)
class PromoteRequest:
    """The options of the command. `force` moves the pointer although gates fail, and needs a reason."""

    bundle: Path
    store: Path
    file: TicketFile | None = None
    reason: str | None = None
    force: bool = False
    limits: PromotionLimits = PromotionLimits()
    allow_empty: bool = False
    """Also a bundle that routes nothing."""
    cases: Path | None = None
    """Must-route cases, as a gate."""


def promote(request: PromoteRequest) -> Promotion:
    """Make a bundle the store's current one, if it passes its gates.

    Raises:
        TicketRouterError: the bundle is damaged, of another store, already current, or fails a gate without `force`.
    """
    if request.force and not request.reason:
        raise TicketRouterError("--force needs --reason: why a bundle that fails its gates is to serve")
    bundle = open_bundle(request.bundle)
    if bundle.path.parent != request.store.resolve():
        raise TicketRouterError(f"{request.bundle}: is not in the store {request.store}; name its store with --store")
    metrics = _read_metrics(bundle)
    cases = load_cases(request.cases) if request.cases else ()
    with locked(request.store):
        if current_version(request.store) == bundle.version:
            raise TicketRouterError(f"{request.bundle}: is the current bundle of {request.store} already")
        limits, labels = request.limits, bundle.manifest.label_space().department.labels
        gates = [
            Gate(name="digests", passed=True, figure=f"{len(bundle.manifest.files)} files as they were written"),
            _beats_baseline(metrics),
            _keeps_promise(bundle, metrics),
            *_replays(bundle),
            _routes(bundle, allow_empty=request.allow_empty),
        ]
        if limits.macro_f1 is not None:
            found = _on_measured_part(metrics)
            value = found["macro_f1"] if found else 0.0
            figure = f"{value:.3f}, asked {limits.macro_f1:.3f}"
            gates.append(Gate(name="macro-F1", passed=value >= limits.macro_f1, figure=figure))
        if cases:
            failed = list(failures(cases, load_predictor(bundle, limits.variant), labels))
            gates.append(Gate(name="cases", passed=not failed, figure=failures_line(failed, len(cases))))
        gates += _against_champion(bundle, request)
        failing = [gate for gate in gates if gate.passed is False]
        # The service refuses to start with a bundle that fails its golden rows, so `force` does not apply.
        final = [gate for gate in failing if gate.name.startswith("golden rows")]
        if final or (failing and not request.force):
            named = "; ".join(f"{gate.name}: {gate.figure}" for gate in failing)
            way_out = "" if final else " (--force with --reason promotes it all the same)"
            raise TicketRouterError(f"{request.bundle}: not promoted: {named}{way_out}")
        return move(request.store, bundle.version, "promote", request.reason, gates)


def rollback(store: Path, to_version: str | None = None, reason: str | None = None) -> Promotion:
    """Make the previous bundle, or the named one, current again. Only its digests are checked: it has served before.

    Raises:
        TicketRouterError: no such bundle is on record, or it is damaged.
    """
    with locked(store):
        version = to_version or previous_version(store)
        if version is None:
            raise TicketRouterError(f"{store}: no earlier bundle is on record; name one with --to VERSION")
        if version == current_version(store):
            raise TicketRouterError(f"{store}: {version} is the current bundle already")
        if "/" in version:
            raise TicketRouterError("--to wants a version, the name of a bundle's folder in the store")
        open_bundle(store / version)
        return move(store, version, "rollback", reason)


def _read_metrics(bundle: Bundle) -> Mapping[str, Any]:
    """A bundle's `metrics.json`. Validated loosely: a bundle of an older release may be promoted too.

    Raises:
        TicketRouterError: the file does not even contain the comparison with the baseline.
    """
    try:
        metrics = json.loads(bundle.read("metrics.json"))
        bool(metrics["beats_baseline"])
    except (ValueError, KeyError, TypeError) as error:
        raise TicketRouterError(f"{bundle.path}: its metrics.json is not of this release; train it anew") from error
    return dict(metrics)


def _beats_baseline(metrics: Mapping[str, Any]) -> Gate:
    own = _measured(metrics, "encoder", "validation")
    baseline = _measured(metrics, "baseline", "validation")
    passed = bool(metrics["beats_baseline"])
    figure = "beats its TF-IDF baseline" if passed else "does not beat its TF-IDF baseline"
    if own and baseline:
        figure += f": validation macro-F1 {own['macro_f1']:.3f} against {baseline['macro_f1']:.3f}"
    return Gate(name="baseline", passed=passed, figure=figure)


def _keeps_promise(bundle: Bundle, metrics: Mapping[str, Any]) -> Gate:
    """Whether the precision of the routed rows is compatible with the target: its upper 95 % bound reaches the
    target."""
    promise = bundle.manifest.fields[0].promise
    if promise.aim == "cost":
        return Gate(name="promise", passed=None, figure="thresholds follow from minutes, no precision was promised")
    found, promised = _on_measured_part(metrics), promise.route_precision
    precision = found["outcomes"]["route_precision"] if found else None
    if not found or precision is None:
        return Gate(name="promise", passed=None, figure="no routed row was measured")
    routed = round(found["outcomes"]["routed"] * found["rows"])
    right = round(precision * routed)
    high = 1.0 if right == routed else float(beta.ppf(0.95, right + 1, routed - right))
    figure = f"{precision:.1%} of {routed} routed rows right (at most {high:.1%}), promised {promised:.1%}"
    return Gate(name="promise", passed=high >= promised, figure=figure)


def _routes(bundle: Bundle, *, allow_empty: bool) -> Gate:
    """A bundle that routes nothing in place of one that routes would end the automation."""
    labels = bundle.manifest.fields[0].labels
    count = sum(label.route is not None for label in labels)
    figure = f"{count} of {len(labels)} departments are routed above a threshold"
    if not count:
        figure = f"routes nothing, {'as allowed' if allow_empty else '--allow-empty promotes it for its suggestions'}"
    return Gate(name="automation", passed=bool(count) or allow_empty, figure=figure)


def _replays(bundle: Bundle) -> Iterator[Gate]:
    here = instructions()
    for graph in bundle.graphs:
        name = f"golden rows, {graph.entry.file}"
        if not graph.entry.suits_processor(here):  # the service replays them at start
            yield Gate(name=name, passed=None, figure="not replayed: the graph is for other processors than this one")
            continue
        try:
            found = replay(bundle, graph, load_graph(bundle, graph).infer)
            figure = f"{found.rows} replayed, off by {found.largest_difference:.1e} at most"
            yield Gate(name=name, passed=True, figure=figure)
        except TicketRouterError as error:
            yield Gate(name=name, passed=False, figure=str(error))


def _against_champion(bundle: Bundle, request: PromoteRequest) -> Iterator[Gate]:
    """The gates relative to the bundle in service; none if there is no such bundle or it cannot be opened."""
    version, limits = current_version(request.store), request.limits
    if version is None:
        yield Gate(name="champion", passed=None, figure="the store has no current bundle to compare with")
        return
    try:
        champion = open_bundle(request.store / "current")
        graph_here(champion, limits.variant)
    except BundleError as error:
        yield Gate(name="champion", passed=None, figure=f"nothing to compare with: {error}")
        return
    if request.file is None:
        yield Gate(name="champion", passed=None, figure="not compared with it on tickets: give some with --data")
        tickets = [Ticket(subject=r.subject, body=r.body, content_type=r.content_type) for r in load_rows(champion)]
        texts = [prepare(ticket).text for ticket in tickets]
        before, after = costs((champion, bundle), limits.variant, texts)
        yield from _cost_gates(before, after, limits)
    else:
        rows = read_closed(request.file).rows
        aliases = load_rules(request.file.rules).of(DEPARTMENT).aliases
        found = compare_bundles(champion, bundle, rows, limits.variant, aliases)
        shown = ("accuracy", "macro_f1", "route_precision")
        figures = ", ".join(
            f"{name.replace('_', ' ')} {one.difference:+.4f} [{one.low:+.4f}, {one.high:+.4f}]"
            for name in shown
            if (one := found.figures[name]).difference is not None
        )
        passed = not set(found.worse) & set(shown)
        yield Gate(name="champion", passed=passed, figure=f"{figures} on {found.rows} tickets")
        yield from _cost_gates(found.champion_cost, found.challenger_cost, limits)
    yield _keeps_labels(champion, bundle, limits, NO_RULES if request.file is None else load_rules(request.file.rules))


def _cost_gates(champion: Cost, challenger: Cost, limits: PromotionLimits) -> Iterator[Gate]:
    slowest = max(champion.milliseconds * limits.slower, champion.milliseconds + _UNSEEN_MILLISECONDS)
    yield Gate(
        name="latency",
        passed=challenger.milliseconds <= slowest,
        figure=f"{challenger.milliseconds:.1f} ms per ticket on one core, the champion {champion.milliseconds:.1f}, "
        f"allowed {slowest:.1f}",
    )
    largest = champion.megabytes * limits.larger
    yield Gate(
        name="size",
        passed=challenger.megabytes <= largest,
        figure=f"{challenger.megabytes:.1f} MB, the champion {champion.megabytes:.1f}, allowed {largest:.1f}",
    )


def _keeps_labels(champion: Bundle, challenger: Bundle, limits: PromotionLimits, rules: LabelRules) -> Gate:
    """Clients of the service depend on the labels of the champion, so the new bundle must know them, or their aliases,
    unless the labels file retires them."""
    before, after = (
        {
            f"{field.name}={rules.of(field.name).aliases.get(label, label)}"
            for field in bundle.manifest.label_space()
            for label in field.labels
            if label not in rules.of(field.name).retire
        }
        for bundle in (champion, challenger)
    )
    lost = sorted(before - after - set(limits.retired))
    named = ", ".join(lost[:5]) + (f" and {len(lost) - 5} more" if len(lost) > 5 else "")
    return Gate(name="labels", passed=not lost, figure=f"no longer known: {named}" if lost else "none is lost")


def _measured(metrics: Mapping[str, Any], kind: str, part: str) -> Mapping[str, Any] | None:
    """The department's figures on one part, if the record has them."""
    found = metrics.get(kind, {}).get(DEPARTMENT, {}).get(part)
    return found if found is None else dict(found)


def _on_measured_part(metrics: Mapping[str, Any]) -> Mapping[str, Any] | None:
    return _measured(metrics, "encoder", "test") or _measured(metrics, "encoder", "validation")
