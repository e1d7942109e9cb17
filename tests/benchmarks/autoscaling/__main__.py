"""Replays the autoscaler's rule against a day of traffic, beside other rules; writes docs/autoscaling.svg.

The rule is read from k8s/components/autoscaling/hpa.yaml. Nothing is measured here: pods are as fast as
docs/results.md found them (`--speed`), and the day's shape is written down in traffic.py. The same seed gives the
same figures. A rule takes some ten seconds.

Examples:
  python -m tests.benchmarks.autoscaling
  python -m tests.benchmarks.autoscaling --speed fp32 --per-week 3e6
  python -m tests.benchmarks.autoscaling --alternatives
"""

import argparse
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.autoscaling.alternatives import Trial, alternatives, compared
from tests.benchmarks.autoscaling.cluster import Cluster, Replay
from tests.benchmarks.autoscaling.figures import HEADER, figures, line
from tests.benchmarks.autoscaling.plot import write_plot
from tests.benchmarks.autoscaling.pods import SPEEDS
from tests.benchmarks.autoscaling.rule import read_rule
from tests.benchmarks.autoscaling.traffic import MAILING, Day, day, mean_tokens

PICTURE = Path("docs/autoscaling.svg")
DRAWN = 3
"""Rules in the picture, the first ones of the table."""


@dataclass(frozen=True, slots=True)
class Play:
    """A day, and the pods and the seed it is replayed with."""

    day: Day
    speed: str
    seed: int

    def replay(self, trial: Trial) -> Replay:
        return Cluster(trial.rule, SPEEDS[self.speed], trial.around, self.seed).play(self.day)

    def table(self, trials: Iterator[Trial]) -> dict[str, Replay]:
        """Prints a line for each, as it comes."""
        print(HEADER)
        replays = {}
        for trial in trials:
            replays[trial.name] = self.replay(trial)
            print(line(trial.name, figures(replays[trial.name], MAILING)), flush=True)
        return replays


def main() -> None:
    arguments = _arguments()
    rule = read_rule()
    play = Play(day(arguments.per_week, arguments.seed), arguments.speed, arguments.seed)
    capacity = SPEEDS[arguments.speed].capacity(mean_tokens())
    print(f"{arguments.per_week:,.0f} e-mails a week; {len(play.day.moments):,} on this Monday; {capacity:.0f}/s a pod")
    if arguments.alternatives:
        play.table(alternatives(rule))
        return
    replays = dict(list(play.table(compared(rule)).items())[:DRAWN])
    title = f"Simulated: a Monday of {arguments.per_week:,.0f} e-mails a week; a saturated pod answers {capacity:.0f}/s"
    write_plot(play.day.rate, replays, title, arguments.out)
    print(f"written: {arguments.out}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--per-week", type=float, default=1e7, help="e-mails a week, the events' aside")
    parser.add_argument("--speed", choices=sorted(SPEEDS), default="int8", help="of a pod; long complaints")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--alternatives", action="store_true", help="print other targets and behaviours, draw nothing")
    parser.add_argument("--out", type=Path, default=PICTURE)
    return parser.parse_args()


if __name__ == "__main__":
    main()
