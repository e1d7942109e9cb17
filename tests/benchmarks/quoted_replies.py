"""Measures the cleaning on mail bodies with known replies: mean word F1, and the misses by name.

    python -m tests.benchmarks.quoted_replies PATH_TO_JSONL [--compare]

Each line holds `name`, `email` and `expected_trimmed`. `--compare` adds the uncut text and, where it is installed,
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


def word_f1(found: str, expected: str) -> float:
    """F1 over the multisets of words; 1 when both are empty."""
    left, right = Counter(found.split()), Counter(expected.split())
    if not left and not right:
        return 1.0
    return 2 * (left & right).total() / (left.total() + right.total())


def cleaned(email: str) -> str:
    return prepare(Ticket(body=email)).text


def library(email: str) -> str:
    from mailparser_reply import EmailReplyParser  # type: ignore[import-not-found,import-untyped,unused-ignore]

    languages = ["en", "da", "de", "es", "fr", "it", "ja", "ko", "nl", "pl", "sv", "cs", "zh"]
    return str(EmailReplyParser(languages=languages).parse_reply(text=email) or "")


def mean_f1(cases: Iterable[Case], method: Callable[[str], str]) -> float:
    scores = [word_f1(method(case.email), case.expected) for case in cases]
    return sum(scores) / len(scores)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("path", type=Path)
    parser.add_argument("--compare", action="store_true", help="also the uncut text and mail-parser-reply")
    arguments = parser.parse_args()
    cases = read_cases(arguments.path)
    print(f"this code: mean word F1 {mean_f1(cases, cleaned):.4f} over {len(cases)} bodies")
    for case in cases:
        score = word_f1(cleaned(case.email), case.expected)
        if score < MISS_BELOW:
            print(f"  miss {score:.2f}  {case.name}")
    if arguments.compare:
        print(f"uncut text: {mean_f1(cases, str):.4f}")
        print(f"mail-parser-reply: {mean_f1(cases, library):.4f}")


if __name__ == "__main__":
    main()
