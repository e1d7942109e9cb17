"""Measures the cleaning on mail bodies with known replies: precision and recall of words, and the misses by name.

Recall matters most: a word that was cut is lost, one that was left is noise that a model learns to ignore.

    python -m tests.benchmarks.quoted_replies PATH_TO_JSONL [--compare]

Each line holds `name`, `email` and `expected_trimmed`. `--compare` adds the uncut text and, if it is installed,
mail-parser-reply alone (not a dependency of the product).
"""

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from models.text.prepare import prepare
from models.ticket import Ticket

MISS_BELOW = 0.85


@dataclass(frozen=True, slots=True)
class Case:
    name: str
    email: str
    expected: str


def read_cases(path: Path) -> list[Case]:
    rows = (json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip())
    return [Case(row["name"], row["email"], row["expected_trimmed"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Words:
    """Words of one body or of all: the numbers found, expected, and common to both."""

    found: int
    expected: int
    both: int

    @property
    def precision(self) -> float:
        return self.both / self.found if self.found else 1.0

    @property
    def recall(self) -> float:
        return self.both / self.expected if self.expected else 1.0

    @property
    def f1(self) -> float:
        """1 when both are empty."""
        return 2 * self.both / (self.found + self.expected) if self.found + self.expected else 1.0


def compare(found: str, expected: str) -> Words:
    left, right = Counter(found.split()), Counter(expected.split())
    return Words(left.total(), right.total(), (left & right).total())


def cleaned(email: str) -> str:
    return prepare(Ticket(body=email)).text


def library(email: str) -> str:
    from mailparser_reply import EmailReplyParser  # type: ignore[import-not-found,import-untyped,unused-ignore]

    languages = ["en", "da", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "sv", "cs", "zh"]
    return str(EmailReplyParser(languages=languages).parse_reply(text=email) or "")


def summary(cases: Iterable[Case], method: Callable[[str], str]) -> str:
    """Means over the bodies, and the share of all expected words that was kept."""
    scores = [compare(method(case.email), case.expected) for case in cases]
    kept = sum(score.both for score in scores) / sum(score.expected for score in scores)
    means = {
        name: sum(getattr(score, name) for score in scores) / len(scores) for name in ("f1", "precision", "recall")
    }
    figures = ", ".join(f"{name} {mean:.4f}" for name, mean in means.items())
    return f"mean word {figures}; of all expected words kept {kept:.4f}; {len(scores)} bodies"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--compare", action="store_true", help="also the uncut text and mail-parser-reply")
    arguments = parser.parse_args()
    cases = read_cases(arguments.path)
    print(f"this code: {summary(cases, cleaned)}")
    for case in cases:
        score = compare(cleaned(case.email), case.expected)
        if score.f1 < MISS_BELOW or score.recall < 1:
            print(f"  F1 {score.f1:.2f} precision {score.precision:.2f} recall {score.recall:.2f}  {case.name}")
    if arguments.compare:
        print(f"uncut text: {summary(cases, str)}")
        print(f"mail-parser-reply: {summary(cases, library)}")


if __name__ == "__main__":
    main()
