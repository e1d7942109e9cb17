"""`make loop`: a quarter of a made-up helpdesk's life, and the checks of what it claims.

A week is a slice of tickets, not of the clock: the record has the minutes in which the story runs.
"""

import json
import os
import random
import shutil
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scipy.stats import beta

from training.demo import helpdesk
from training.demo.loop_plot import draw
from training.demo.running import DemoError, Service, console, heading, read_command
from training.sample import SampleTicket, write_tickets

FOLDER = Path("loop")
SEED = 7
PROMISE = 0.9
RECIPE = f"""\
# So few rows can't carry the default promise of .95 where one label in fifty is wrong on purpose.
[promise]
route_precision = {PROMISE}
"""
RECALIBRATED, RETRAINED, SHADOWED = 5, 10, 11
"""The weeks after which this is done, and the week with the shadow."""
CHUNK = 25
"""Tickets between two looks of the misroute alarm, in the weeks in which the story waits for it."""
ALARM_WITHIN = 60
"""Closed tickets routed to the split team; docs/record.md has 24 (half) and 42 (95 %) for 5 x the allowed share."""
LOOK_SECONDS = 90
DRIFTED = 0.1
"""The alert's threshold."""
SHADOW_PAUSE = 20


@dataclass(slots=True)
class Week:
    """What a week's tickets got. `drift`: the largest index of any signal; None: too few tickets since the reload."""

    number: int
    tickets: int = 0
    routed: int = 0
    right: int = 0
    drift: float | None = None
    signal: str = ""
    suggested: int = 0
    """To the split team, by the switch."""
    of_split: int = 0
    """Routed to the split team."""

    @property
    def coverage(self) -> float:
        return self.routed / self.tickets

    @property
    def precision(self) -> float:
        return self.right / self.routed if self.routed else 1.0


@dataclass(slots=True)
class Story:
    """The quarter so far."""

    service: Service
    people: random.Random = field(default_factory=lambda: random.Random(SEED))
    weeks: list[Week] = field(default_factory=list)
    events: list[tuple[float, str]] = field(default_factory=list)
    """Weeks, and what happened at their end."""
    tickets: list[SampleTicket] = field(default_factory=list)
    to_split: int = 0
    """Closed tickets that this bundle routed to the split team."""
    moved_to_split: int = 0
    alarm_at: int | None = None
    """Closed tickets routed to the split team, from the split to the alarm."""
    alarm_week: int | None = None
    recalibrated: tuple[float, float] = (0.0, 0.0)
    """Routed share of the same tickets before and after."""
    better: dict[str, Any] = field(default_factory=dict)
    shadowed: dict[str, Any] = field(default_factory=dict)
    labels_taken_back: set[str] = field(default_factory=set)

    def event(self, week: float, text: str, short: str) -> None:
        console.print(f"[bold]         {text}[/bold]", soft_wrap=True)
        self.events.append((week, short))


def main() -> None:
    """Run the story; exit 1 with one line when a step fails or a claim does not hold."""
    try:
        _quarter()
    except DemoError as error:
        sys.exit(f"loop: {error}")
    except KeyboardInterrupt:
        sys.exit("loop: stopped")


def _quarter() -> None:
    started = time.monotonic()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    heading(f"{helpdesk.BEFORE} closed tickets, and a first bundle from them")
    write_tickets(helpdesk.closed_before(SEED), FOLDER / "before.csv")
    (FOLDER / "recipe.toml").write_text(RECIPE)
    read_command(
        f"training train --quick --base embedded --data {FOLDER}/before.csv --recipe {FOLDER}/recipe.toml "
        f"--out {FOLDER}/bundles"
    )
    service = Service.start(FOLDER, "--records-text", "true")
    try:
        heading(
            f"{helpdesk.WEEKS} weeks of {helpdesk.WEEK} tickets (not of the clock); people close every ticket, and "
            f"move {helpdesk.NOTICED:.0%} of the wrong routes; promise: {PROMISE:.0%} of the routes are right"
        )
        console.print("week  tickets  routed  right  drift (PSI, the largest signal)")
        story = Story(service)
        _live(story)
    finally:
        service.stop()
    plot = FOLDER / "loop.svg"
    draw(story.weeks, story.events, PROMISE, DRIFTED, plot)
    heading("What the story claims")
    for claim, holds in claims(story):
        if not holds:
            raise DemoError(f"a claim does not hold: {claim}; the plot: {plot.resolve()}")
        console.print(f"  holds: {claim}", soft_wrap=True)
    console.print(f"\nStopped cleanly after {time.monotonic() - started:.0f} s. The plot:")
    console.print(f"  {plot.resolve()}", soft_wrap=True)


def _live(story: Story) -> None:
    service = story.service
    for number, tickets in enumerate(helpdesk.weeks(SEED), start=1):
        if number == helpdesk.LAUNCH:
            story.event(
                number - 0.5,
                f"A product is launched: {helpdesk.LAUNCHED_SHARE:.0%} of the tickets are about it from now on",
                "product launched",
            )
        if number == helpdesk.SPLIT:
            story.event(
                number - 0.5,
                f"The team {helpdesk.SPLIT_FROM} is split: disputed charges belong to {helpdesk.SPLIT_TO} from now on",
                "team split",
            )
        if number == SHADOWED:
            _put_shadow(story)
        _week(story, number, tickets)
        if number == RECALIBRATED:
            _recalibrate(story)
        if number == RETRAINED:
            _retrain(story)
        if number == SHADOWED:
            _compare(story)
            _promote(story, Path(story.better["bundle"]).name, "better-as-shadow")
            service.post(
                f"{service.management}/admin/automation",
                {"label": helpdesk.SPLIT_FROM, "mode": "route", "why": "the new bundle knows the split"},
            )
            story.event(number + 0.5, f"Promoted by hand; {helpdesk.SPLIT_FROM} is put back to route", "promoted")


def _week(story: Story, number: int, tickets: Sequence[SampleTicket]) -> None:
    week = Week(number)
    story.weeks.append(week)
    is_watched = number >= helpdesk.SPLIT and story.alarm_at is None
    size = SHADOW_PAUSE if number == SHADOWED else CHUNK if is_watched else len(tickets)
    for start in range(0, len(tickets), size):
        part = tickets[start : start + size]
        _route_and_close(story, week, part)
        if number == SHADOWED:
            _let_shadow_compute(story, start + len(part))
        if is_watched and story.alarm_at is None:
            _let_alarm_look(story, number)
    story.tickets += tickets
    status = story.service.status()
    signals = {name: each["psi"] for name, each in status["drift"]["signals"].items() if each["psi"] is not None}
    if signals:
        week.signal = max(signals, key=lambda name: signals[name])
        week.drift = signals[week.signal]
    story.labels_taken_back |= {
        each["label"] for each in status["automation"]["switches"] if each["who"] == "misroute alarm"
    }
    drift = "too few since the bundle was loaded" if week.drift is None else f"{week.drift:.2f} {week.signal}"
    console.print(f"{number:4}  {week.tickets:7}  {week.coverage:6.0%}  {week.precision:5.1%}  {drift}", soft_wrap=True)


def _route_and_close(story: Story, week: Week, tickets: Sequence[SampleTicket]) -> None:
    service = story.service
    results = service.post_all("/v1/route/batch", "tickets", [helpdesk.sent(each) for each in tickets])
    decisions = [each["decision"] for each in results]
    list(service.post_all("/v1/feedback/batch", "feedback", list(helpdesk.said(tickets, decisions, story.people))))
    for ticket, decision in zip(tickets, decisions, strict=True):
        is_routed = decision["outcome"] == "route"
        week.tickets += 1
        week.routed += is_routed
        week.right += is_routed and decision["department"] == ticket.department
        to_split = decision["candidates"] and decision["candidates"][0]["department"] == helpdesk.SPLIT_FROM
        week.suggested += bool(to_split and decision["reason"] == "automation_off")
        if is_routed and decision["department"] == helpdesk.SPLIT_FROM:
            week.of_split += 1
            story.to_split += 1
            story.moved_to_split += week.number >= helpdesk.SPLIT


def _let_alarm_look(story: Story, week: int) -> None:
    """Wait until the alarm has seen all feedback."""

    def looked() -> bool:
        automation = story.service.status()["automation"]
        for switch in automation["switches"]:
            if switch["label"] == helpdesk.SPLIT_FROM:
                story.alarm_at, story.alarm_week = story.moved_to_split, week
                story.event(
                    week,
                    f"Misroute alarm: {helpdesk.SPLIT_FROM} is taken back to suggest, after {story.alarm_at} closed "
                    f"tickets routed to it since the split ({switch['why']})",
                    f"misroute alarm ({story.alarm_at} tickets)",
                )
                return True
        seen = {each["label"]: each["tickets"] for each in automation["misroutes"]}
        # Not "at least": until it has looked again, the evidence is that of the bundle before.
        return bool(seen.get(helpdesk.SPLIT_FROM, 0) == story.to_split)

    _wait(looked, "the misroute alarm did not look at the feedback", LOOK_SECONDS)
    if story.alarm_at is not None:
        since = list(helpdesk.moved_since(story.tickets))
        list(story.service.post_all("/v1/feedback/batch", "feedback", since))
        console.print(f"         The helpdesk moves {len(since)} closed tickets to {helpdesk.SPLIT_TO} as well")


def _recalibrate(story: Story) -> None:
    _export()
    read_command(
        f"training export-feedback --records {FOLDER}/records.jsonl --out {FOLDER}/feedback.jsonl --quiet-days 0"
    )
    recalibrate = f"training recalibrate --bundle {FOLDER}/bundles/current --data {FOLDER}/feedback.jsonl --json"
    done = json.loads(read_command(recalibrate))
    routed = done["routed"]["department"]
    story.recalibrated = (routed["before"], routed["after"])
    _promote(story, Path(done["bundle"]).name, "recalibrated")
    story.event(
        RECALIBRATED + 0.5,
        f"Recalibrated: the same promise routes {routed['after']:.0%} of {routed['rows']} tickets, before "
        f"{routed['before']:.0%} ({routed['precision_after']:.1%} right, before {routed['precision_before']:.1%})",
        "recalibrated",
    )


def _retrain(story: Story) -> None:
    _export()
    retrain = (
        f"training retrain --quick --records {FOLDER}/records.jsonl --store {FOLDER}/bundles --quiet-days 0 "
        f"--out {FOLDER}/retrain.jsonl --report {FOLDER}/comparison.html --json"
    )
    story.better = json.loads(read_command(retrain))
    comparison = story.better["comparison"]
    accuracy = comparison["figures"]["accuracy"]
    story.event(
        RETRAINED + 0.5,
        f"Retrained on the record: {comparison['verdict']} on {comparison['rows']} held-out tickets, accuracy "
        f"{accuracy['challenger']:.1%}, before {accuracy['champion']:.1%}",
        "retrained",
    )


def _put_shadow(story: Story) -> None:
    service = story.service
    version = Path(story.better["bundle"]).name
    service.post(
        f"{service.management}/admin/challenger",
        {"role": "shadow", "bundle": version, "share": 1, "why": "retrained on ten weeks"},
    )
    _wait(
        lambda: any(each["state"] == "running" for each in service.status()["challengers"]),
        "the shadow did not start",
        60,
    )


def _let_shadow_compute(story: Story, offered: int) -> None:
    """A shadow has what the serving bundle leaves: the next tickets wait until it has computed or shed these."""

    def counted() -> bool:
        metrics = story.service.get(f"{story.service.management}/metrics").splitlines()
        counts = [line.split() for line in metrics if line.startswith("ticket_router_shadow_tickets_total{")]
        return sum(float(count) for name, count in counts if '"unrecorded"' not in name) >= offered

    _wait(counted, "the shadow neither computed nor shed", 30)


def _promote(story: Story, version: str, why: str) -> None:
    read_command(f"training promote --bundle {FOLDER}/bundles/{version} --store {FOLDER}/bundles --reason {why}")
    story.service.post(f"{story.service.management}/admin/reload", {})
    story.to_split = 0


def _compare(story: Story) -> None:
    time.sleep(3)  # verdicts are on record 2 s after their decisions
    _export()
    found = json.loads(read_command(f"training compare --record {FOLDER}/records.jsonl --json"))
    version = Path(story.better["bundle"]).name
    story.shadowed = next(each for each in found["shadows"] if each["challenger"] == version)
    accuracy = story.shadowed["figures"]["accuracy"]
    story.event(
        SHADOWED,
        f"Shadow, beside the serving bundle: accuracy {accuracy['challenger']:.1%}, the serving one's "
        f"{accuracy['champion']:.1%}, on {story.shadowed['truths']} tickets of week {SHADOWED}",
        "shadow",
    )


def _export() -> None:
    (FOLDER / "records.jsonl").unlink(missing_ok=True)
    read_command(f"service records export --out {FOLDER}/records.jsonl --state-dir {FOLDER}/state")


def _wait(condition: Callable[[], bool], otherwise: str, seconds: float) -> None:
    started = time.monotonic()
    while not condition():
        if time.monotonic() - started > seconds:
            raise DemoError(otherwise)
        time.sleep(0.5)


def claims(story: Story) -> Iterator[tuple[str, bool]]:
    alarm_week = story.alarm_week or helpdesk.SPLIT
    broken = [each for each in story.weeks if helpdesk.SPLIT <= each.number <= alarm_week]
    kept = [each for each in story.weeks if each not in broken]
    for week in kept:
        yield (
            f"week {week.number} keeps the promise: {week.precision:.1%} of {week.routed} routes right",
            not _is_broken([week]),
        )
    precision = sum(each.right for each in kept) / max(1, sum(each.routed for each in kept))
    yield f"these {len(kept)} weeks together: {precision:.1%} right", precision >= PROMISE
    yield "from the split to the alarm the promise is broken, as it must be", _is_broken(broken)
    yield (
        f"the alarm takes {helpdesk.SPLIT_FROM} back within {ALARM_WITHIN} closed tickets: {story.alarm_at}",
        story.alarm_at is not None and story.alarm_at <= ALARM_WITHIN,
    )
    yield "it takes back no other department", story.labels_taken_back == {helpdesk.SPLIT_FROM}
    during = [each for each in story.weeks if min(alarm_week, RETRAINED) < each.number <= SHADOWED]
    suggested = sum(each.suggested for each in during)
    yield (
        f"then it is suggested {suggested} times and routed never",
        suggested > 0 and not any(each.of_split for each in during),
    )
    usual, launched = story.weeks[: helpdesk.LAUNCH - 1], story.weeks[helpdesk.LAUNCH - 1 : RECALIBRATED]
    before, moved = usual[-1].drift, launched[-1].drift
    yield (
        f"drift moves with the launch, from {before} to {moved}",
        before is not None and moved is not None and before < DRIFTED < moved,
    )
    yield (
        f"the launch lowers the routed share: {_coverage(usual):.0%} to {_coverage(launched):.0%}",
        _coverage(launched) < _coverage(usual),
    )
    old, new = story.recalibrated
    yield f"recalibration raises the routed share on the same tickets: {old:.0%} to {new:.0%}", new > old
    calibrated = story.weeks[RECALIBRATED : helpdesk.SPLIT - 1]
    yield (
        f"and in the weeks after it: {_coverage(launched):.0%} to {_coverage(calibrated):.0%}",
        _coverage(calibrated) > _coverage(launched),
    )
    drift = calibrated[-1].drift
    yield f"drift is lower by its reference: {drift}", drift is not None and moved is not None and drift < moved
    yield "the retrained bundle is better on held-out tickets", story.better["comparison"]["verdict"] == "better"
    low = story.shadowed["figures"]["accuracy"]["low"]
    yield f"and as a shadow: its accuracy is higher by {low:.1%} at least", low > 0
    after = story.weeks[SHADOWED:]
    yield (
        f"after the promotion {_coverage(after):.0%} are routed, before {_coverage(during):.0%}",
        _coverage(after) > _coverage(during),
    )
    yield f"{helpdesk.SPLIT_FROM} is routed again", all(each.of_split for each in after)


def _coverage(weeks: Sequence[Week]) -> float:
    return sum(each.routed for each in weeks) / sum(each.tickets for each in weeks)


def _is_broken(weeks: Sequence[Week]) -> bool:
    """Whether fewer routes are right than promised, by the upper 95 % bound."""
    routed, right = sum(each.routed for each in weeks), sum(each.right for each in weeks)
    return right < routed and float(beta.ppf(0.95, right + 1, routed - right)) < PROMISE


if __name__ == "__main__":
    os.chdir(Path(__file__).resolve().parents[2])
    main()
