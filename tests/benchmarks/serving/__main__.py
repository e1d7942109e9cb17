"""Measures our service and other servers side by side and writes the report.

Without --tickets the texts are made up; without --peers only ours, the naive server and the bare loop run. Each
requested peer gets its own environment (some hundred MB each, made once). Close everything else on the machine first:
figures are ratios within one run, but only as good as the machine is quiet.

Examples:
  python -m tests.benchmarks.serving --bundle models/bundles/current
  python -m tests.benchmarks.serving --bundle short=B1 --bundle long=B2 --peers all \
      --tickets short=questions.jsonl --tickets long=complaints.jsonl
  python -m tests.benchmarks.serving --bundle B --peers litserve,ray --rounds 1 --seconds 2
  python -m tests.benchmarks.serving --render .bench/results.json
"""

import argparse
import shlex
import signal
import sys
from pathlib import Path

from models.errors import TicketRouterError
from service.inference.hardware import usable_cores
from tests.benchmarks.serving.entrants import WORKLOADS, Choice, by_workload, peers_of, workloads_of
from tests.benchmarks.serving.records import Results
from tests.benchmarks.serving.report import write_report
from tests.benchmarks.serving.rounds import Plan, Rounds
from tests.benchmarks.serving.servers import all_peers
from tests.benchmarks.serving.surroundings import about

RAW = "results.json"


def main() -> int:
    arguments = _arguments()
    # a killed benchmark ends its servers too: the exception runs their `finally`
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        if arguments.render is None:
            _measure(arguments)
        write_report(Results.load(arguments.render or arguments.work / RAW), arguments.out)
    except TicketRouterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"written: {arguments.out}")
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.benchmarks.serving",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("--bundle", action="append", default=[], metavar="[WORKLOAD=]FOLDER", help="short, long, mix; or one for all")
    add("--student", action="append", default=[], metavar="[WORKLOAD=]FOLDER", help="a distilled bundle, beside it")
    add("--tickets", action="append", default=[], metavar="WORKLOAD=FILE", help="CSV, JSONL or Parquet of tickets")
    add("--workloads", default=",".join(WORKLOADS), metavar="NAMES", help="default: %(default)s")
    add("--count", type=int, default=512, metavar="N", help="texts of a workload (default: %(default)s)")
    add("--peers", default="none", metavar="NAMES", help=f"all, none, or of {','.join(all_peers(1))} (default: none)")
    add("--peer-workers", type=int, default=1, metavar="N", help="processes of a peer; its threads are cores / N")
    add("--rounds", type=int, default=3, metavar="N", help="default: %(default)s")
    add("--seconds", type=float, default=6.0, help="of each window (default: %(default)s)")
    add("--warm", type=float, default=1.0, metavar="SECONDS", help="before each window (default: %(default)s)")
    add("--concurrency", default="1,8,64", metavar="NUMBERS", help="callers of the closed loops (default: %(default)s)")
    add("--open-loop", default="0.5,0.9", metavar="SHARES", help="of our capacity; '' for none (default: %(default)s)")
    add(
        "--service-flags",
        default="--cache-entries 0 --records off",
        metavar="FLAGS",
        help="for ours (default: %(default)s)",
    )
    add("--python", type=Path, default=Path(sys.executable), metavar="PATH", help="interpreter of our service")
    add("--work", type=Path, default=Path(".bench"), metavar="FOLDER", help="environments, logs, raw results")
    add("--out", type=Path, default=Path(".bench/benchmarks.md"), metavar="FILE", help="the report, beside its plot")
    add("--render", type=Path, metavar="FILE", help="measure nothing, render these raw results")
    return parser.parse_args()


def _measure(arguments: argparse.Namespace) -> None:
    arguments.work.mkdir(parents=True, exist_ok=True)
    (arguments.work / ".gitignore").write_text("*\n")
    cores = usable_cores()
    peers, failed = peers_of(arguments.peers, arguments.work, all_peers(cores, arguments.peer_workers))
    choice = Choice(
        bundles=by_workload("--bundle", arguments.bundle),
        students=by_workload("--student", arguments.student),
        files=by_workload("--tickets", arguments.tickets),
        names=tuple(arguments.workloads.split(",")),
        count=arguments.count,
        flags=tuple(shlex.split(arguments.service_flags)),
        python=arguments.python,
    )
    plan = Plan(
        workloads=workloads_of(choice, peers),
        rounds=arguments.rounds,
        seconds=arguments.seconds,
        warm=arguments.warm,
        callers=tuple(int(number) for number in arguments.concurrency.split(",")),
        shares=tuple(float(share) for share in arguments.open_loop.split(",") if share),
        cores=cores,
        folder=arguments.work,
    )
    results = Results(about=about(plan, sys.argv[1:], peers), failed=failed)
    Rounds(plan, results, arguments.work / RAW).run()


if __name__ == "__main__":
    sys.exit(main())
