"""Fuzz the parsers of mails, texts, HTML, JSON and HTTP, and print the number of inputs and the findings.

`python -m tests.fuzz [--only mail,text] [--runs N | --seconds S]`, for each target. Findings are kept under
build/fuzz/TARGET/found, new inputs under build/fuzz/TARGET/corpus; `--keep` merges those that reach new code into
tests/fuzz/corpus, and the suite replays that corpus.
"""

import argparse
import re
import resource
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz.dictionary import as_libfuzzer_wants_it

TARGETS = ("mail", "text", "html", "json", "http")
ROOT = Path(__file__).resolve().parents[2]
CORPUS = Path(__file__).parent / "corpus"
WORK = ROOT / "build" / "fuzz"
MAX_BYTES = 2_048
KEPT_BYTES = 1_024
"""Longer inputs seldom reach code that shorter ones do not, and the repository keeps them all."""
UNIT_SECONDS = 20
"""After this time libFuzzer reports an input as a hang."""


@dataclass(frozen=True, slots=True)
class Run:
    target: str
    executions: int
    findings: int
    known: bool
    """Whether the failing input was found in an earlier run, and still fails."""
    output: str


def fuzz(target: str, *flags: str, work: Path = WORK) -> Run:
    """One complete run. libFuzzer stops at the first finding."""
    corpus, found, words = work / target / "corpus", work / target / "found", work / "words"
    for folder in (corpus, found):
        folder.mkdir(parents=True, exist_ok=True)
    words.write_text(as_libfuzzer_wants_it())
    limits = (f"-max_len={MAX_BYTES}", f"-timeout={UNIT_SECONDS}", f"-rss_limit_mb={_memory_megabytes()}")
    places = (f"-dict={words}", f"-artifact_prefix={found}/", str(corpus), str(CORPUS / target))
    known = set(found.iterdir())
    finished = _libfuzzer(target, *limits, *flags, "-print_final_stats=1", *places)
    executed = re.search(r"number_of_executed_units: (\d+)", finished.stderr)
    written = {Path(path) for path in re.findall(r"Test unit written to (.+)", finished.stderr)}
    if finished.returncode and not written:
        raise SystemExit(f"{target}: libFuzzer could not run:\n{finished.stderr[-2000:]}")
    output = finished.stderr + finished.stdout
    return Run(target, int(executed[1]) if executed else 0, len(written), bool(written & known), output)


def _memory_megabytes() -> int:
    """A gigabyte. libFuzzer checks the process's peak memory, which starts with that of its parent process."""
    return 1024 + resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def keep(target: str) -> None:
    """Add inputs that reach new code to the repository's corpus."""
    _libfuzzer(target, "-merge=1", f"-max_len={KEPT_BYTES}", str(CORPUS / target), str(WORK / target / "corpus"))


def _libfuzzer(target: str, *flags: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "tests.fuzz.run", target, *flags]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default=",".join(TARGETS), help="targets, by comma")
    parser.add_argument("--runs", type=int, default=-1, help="inputs for each target")
    parser.add_argument("--seconds", type=int, default=0, help="time for each target; 60 where neither is given")
    parser.add_argument("--seed", type=int, default=0, help="0: another at every run")
    parser.add_argument("--keep", action="store_true", help="merge what is new into tests/fuzz/corpus")
    options = parser.parse_args()
    seconds = options.seconds or (60 if options.runs < 0 else 0)
    runs = []
    for target in options.only.split(","):
        flags = (f"-runs={options.runs}", f"-max_total_time={seconds}", f"-seed={options.seed}")
        runs.append(fuzz(target, *flags))
        still = ", known already: it still fails" if runs[-1].known else ""
        print(f"{target:6} {runs[-1].executions:10,} inputs  {runs[-1].findings} findings{still}", flush=True)
        if runs[-1].findings:
            print(runs[-1].output[-3000:])
        if options.keep:
            keep(target)
    findings = sum(run.findings for run in runs)
    print(f"{'all':6} {sum(run.executions for run in runs):10,} inputs  {findings} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main())
