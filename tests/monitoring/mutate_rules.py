"""Which single changes to the alert rules no case notices.

python -m tests.monitoring.mutate_rules                       # every rule: hours
python -m tests.monitoring.mutate_rules --rule NoDecisions    # by a part of its name; a recording's too

A change is another number, comparison, `and`/`or`/`unless`, wait or window, or one alternative less in a label's
matcher. Survivors are listed, and then the exit code is 1.
"""

import argparse
import copy
import json
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from tests.monitoring.cases import CASES
from tests.monitoring.cases.case import Case
from tests.monitoring.rules import promtool, rules, unit_test

Rule = dict[str, Any]

COMPARISONS = {"==": "!=", ">=": "<", "<=": ">", ">": "<=", "<": ">="}
OPERATORS = {"and": ("or", "unless"), "or": ("and",), "unless": ("and", "or")}
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _name(rule: Rule) -> str:
    return str(rule.get("alert") or rule["record"])


def title(rule: Rule) -> str:
    labels = rule.get("labels", {}).items()
    return " ".join([_name(rule), *(f"{name}={value}" for name, value in labels)])


def _seconds(duration: str) -> int:
    return int(duration[:-1]) * SECONDS[duration[-1]]


def changes(rule: Rule) -> Iterator[tuple[str, Rule]]:
    """What is changed, and the rule with this one change."""
    expression = rule["expr"]
    found: list[tuple[tuple[int, int], list[str]]] = []
    for match in re.finditer(r'(?<=")[^"|]+(?:\|[^"|]+)+(?=")', expression):
        parts = match[0].split("|")
        fewer = ["|".join(parts[:number] + parts[number + 1 :]) for number in range(len(parts))]
        found.append((match.span(), fewer))
    for match in re.finditer(r"(?<![\w.\[])(?<!offset )\d+(?:\.\d+)?(?![\w.\]])", expression):
        value = float(match[0])
        if rule.get("record") == "ticket_router:business_hours":
            numbers = [value + 1, value - 1]
        else:
            numbers = {0.0: [1.0], 1.0: [2.0, 0.0]}.get(value, [value * 1.5, value / 1.5])
        found.append((match.span(), [f"{number:g}" for number in numbers]))
    for match in re.finditer(r"==|>=|<=|>|<", expression):
        found.append((match.span(), [COMPARISONS[match[0]]]))
    for match in re.finditer(r"\b(?:and|or|unless)\b", expression):
        found.append((match.span(), list(OPERATORS[match[0]])))
    for match in re.finditer(r"(?<=\[)\d+[smhdw](?=\])|(?<=offset )\d+[smhdw]", expression):
        seconds = _seconds(match[0])
        found.append((match.span(), [f"{seconds * 2}s", f"{seconds // 2}s"]))
    for (start, end), others in found:
        for other in others:
            changed = copy.deepcopy(rule)
            changed["expr"] = expression[:start] + other + expression[end:]
            before, after = expression[max(0, start - 60) : start], expression[end : end + 20]
            yield " ".join(f"{before}«{expression[start:end]} → {other}»{after}".split()), changed
    if "for" in rule:
        for seconds in (_seconds(rule["for"]) + 60, _seconds(rule["for"]) - 60):
            if seconds >= 0:
                changed = {**rule, "for": f"{seconds}s"}
                yield f"for: «{rule['for']} → {seconds}s»", changed


def seen_by(case: Case, everything: list[Rule]) -> list[Rule]:
    """The alert's rules that the case looks at, and the recordings they read: promtool evaluates all that it gets."""
    name, _, value = case.only.partition("=")
    needed = [rule for rule in everything if rule.get("alert") == case.alert]
    if name and not any("ALERTS{" in rule["expr"] for rule in needed):
        needed = [rule for rule in needed if rule["labels"].get(name) == value.strip('"')]
    for rule in reversed([rule for rule in everything if "record" in rule]):
        if any(_names([rule["record"]]).search(each["expr"]) for each in needed):
            needed = [rule, *needed]
    return needed


def _names(names: Iterable[str]) -> re.Pattern[str]:
    return re.compile(rf"(?<![\w:])({'|'.join(names)})(?![\w:])")


def noticed(case: Case, rule: Rule, variants: Mapping[int, Rule], seen: list[Rule]) -> set[int]:
    """The variants of the rule with which the case fails.

    One run for all: each variant, and what reads it, has its number behind its names, and the rest is shared.
    """
    copied = {_name(rule), case.alert}
    for each in seen:
        if _names(copied).search(each["expr"]):
            copied.add(_name(each))
    tested = [each for each in seen if _name(each) not in copied]
    for number, variant in variants.items():
        for each in (variant if each is rule else each for each in seen if _name(each) in copied):
            text = json.dumps({name: value for name, value in each.items() if name != "annotations"})
            tested.append(json.loads(_names(copied).sub(rf"\1__{number}", text)))
    test = unit_test(case, [f"{case.alert}__{number}" for number in variants])
    with tempfile.TemporaryDirectory() as folder:
        groups, file = Path(folder, "rules.json"), Path(folder, "test.json")
        groups.write_text(json.dumps({"groups": [{"name": "variants", "rules": tested}]}))
        every = f"{case.every}m"
        file.write_text(json.dumps({"rule_files": [str(groups)], "evaluation_interval": every, "tests": [test]}))
        run = promtool("test", "rules", str(file))
    if run.returncode == 0:
        return set()
    failed = {int(number) for number in re.findall(r"__(\d+)", run.stdout + run.stderr)}
    if not failed:
        sys.exit(run.stdout + run.stderr)
    if "got:" in run.stdout + run.stderr:
        return failed
    # Some cannot be parsed or evaluated at all: promtool has not come to the others.
    rest = {number: variant for number, variant in variants.items() if number not in failed}
    return failed | (noticed(case, rule, rest, seen) if rest else set())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rule", default="", help="a regular expression: part of the rule's name and labels")
    everything = rules("record") + rules("alert")
    chosen = [rule for rule in everything if re.search(parser.parse_args().rule, title(rule))]
    cheap_first = sorted(CASES, key=lambda case: max(*case.fires, *case.quiet, 0, 0) / case.every)
    survivors = 0
    for rule in chosen:
        changed = dict(enumerate(changes(rule), 1))
        left = {0: rule} | {number: variant for number, (_, variant) in changed.items()}
        for case in cheap_first:
            seen = seen_by(case, everything)
            if len(left) > 1 and any(each is rule for each in seen):
                failed = noticed(case, rule, left, seen)
                if 0 in failed:
                    sys.exit(f"fails without a change: {case.name}")
                left = {number: variant for number, variant in left.items() if number not in failed}
        survivors += len(left) - 1
        print(f"{title(rule)}: {len(changed)} changes, {len(left) - 1} survive", flush=True)
        for number in sorted(left)[1:]:
            print(f"  {changed[number][0]}", flush=True)
    sys.exit(1 if survivors else 0)


if __name__ == "__main__":
    main()
