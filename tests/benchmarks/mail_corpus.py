"""Send every mail of some folders to a running service and count the answers.

    python -m tests.benchmarks.mail_corpus http://localhost:8080 FOLDER…

Exits with 1 when a mail gets anything but a decision (200).
"""

import argparse
import sys
import time
from collections import Counter
from pathlib import Path
from statistics import median

import httpx


def main() -> None:
    arguments = _arguments()
    mails = [path for folder in arguments.folders for path in sorted(folder.iterdir()) if path.is_file()]
    codes: Counter[int] = Counter()
    outcomes: Counter[str] = Counter()
    seconds = []
    with httpx.Client(base_url=arguments.url, timeout=30) as client:
        for mail in mails:
            started = time.perf_counter()
            answer = client.post("/v1/route", content=mail.read_bytes(), headers={"Content-Type": "message/rfc822"})
            seconds.append(time.perf_counter() - started)
            codes[answer.status_code] += 1
            if answer.status_code == 200:
                outcomes[f"{answer.json()['outcome']}/{answer.json()['reason']}"] += 1
            else:
                print(f"{answer.status_code} {mail.name}")
    print(f"{len(mails)} mails: {dict(codes)}; {dict(outcomes)}")
    print(f"median {median(seconds) * 1000:.0f} ms, longest {max(seconds) * 1000:.0f} ms")
    sys.exit(0 if set(codes) == {200} else 1)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("url")
    parser.add_argument("folders", nargs="+", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
