"""Checks that cleaning keeps a customer's words: short mails with words that must stay and words that must be cut.

    python -m tests.benchmarks.kept_words PATH_TO_JSONL

Each line has `name`, `subject`, `body`, `content_type`, `must_keep` and `must_drop`. Exits with 1 if one fails.
"""

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from models.text.prepare import prepare
from models.ticket import Ticket


def faults(row: dict[str, Any]) -> list[str]:
    """Words missing from the cleaned text, and words left in it that should be cut."""
    text = prepare(Ticket(subject=row["subject"], body=row["body"], content_type=row["content_type"])).text
    flat = " ".join(text.split())
    lost = [f"lost {words!r}" for words in row["must_keep"] if words not in flat]
    return lost + [f"left {words!r}" for words in row["must_drop"] if words in flat]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    lines = parser.parse_args().path.read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    failed = {row["name"]: found for row in rows if (found := faults(row))}
    for name, found in failed.items():
        print(f"  {name}: {', '.join(found)}")
    print(f"{len(rows) - len(failed)} of {len(rows)} hold")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
