"""Alert and recording rules: promtool takes them, every alert fires and clears, and each has its runbook section."""

import itertools
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.manifests.render import render
from tests.monitoring.cases import CASES
from tests.monitoring.rules import FOLDER, alert_names, promtool, rules, rules_of, unit_test, write_rules
from tests.support.process import ROOT

RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
METRICS_PAGE = (ROOT / "docs" / "observe.md").read_text()
PAGES = (
    *("Absent", "NoneReady", "NoDecisions", "LockedOut", "ReviewJump", "AutomationFall", "KeyExpires", "LatencyBurn"),
    *("Refusing", "Refusing", "AvailabilityBurn", "AvailabilityBurn"),
)
PER_ALERT = ("Meaning", "Impact", "First look", "Likely causes", "Remedy", "Escalate")


def test_promtool_finds_nothing_wrong(tmp_path: Path) -> None:
    """Expressions parse, templates too, and no rule stands twice."""
    run = promtool("check", "rules", "--lint-fatal", *write_rules(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_does_as_its_cases_say(tmp_path: Path) -> None:
    """It fires when it should, is over when that is over, and is silent about too little. promtool names what fails."""
    files = []
    for (alert, every), cases in itertools.groupby(
        sorted(CASES, key=lambda case: (case.alert, case.every)), lambda case: (case.alert, case.every)
    ):
        tested = tmp_path / f"{alert}.rules.json"
        tested.write_text(json.dumps({"groups": [{"name": alert, "rules": rules_of(alert)}]}))
        content = {
            "rule_files": [str(tested)],
            "evaluation_interval": f"{every}m",
            "tests": [unit_test(case, [alert]) for case in cases],
        }
        files.append(tmp_path / f"{alert}.{every}.json")
        files[-1].write_text(json.dumps(content))
    run = promtool("test", "rules", *map(str, files))
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: f"{rule['alert']} {rule['labels']}")
def test_every_rule_is_seen_to_fire_and_to_clear(rule: dict[str, Any]) -> None:
    """No alert without a case in which it fires and is over again; those with several rules have one for each."""
    shown = [case for case in CASES if case.alert == rule["alert"] and case.fires and case.quiet]
    labels = [f'{name}="{value}"' for name, value in rule["labels"].items()]
    assert any(case.only in ("", *labels) and max(case.quiet) > max(case.fires) for case in shown)


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: f"{rule['alert']} {rule['labels']}")
def test_an_alert_says_all_that_a_person_needs(rule: dict[str, Any]) -> None:
    """How urgent, what, why, and where to read on: at its own section of the runbook."""
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_only_what_cannot_wait_calls_a_person() -> None:
    """The alerts that page, once for each of their rules; all others are tickets."""
    paging = [rule["alert"] for rule in rules("alert") if rule["labels"]["severity"] == "page"]
    assert sorted(paging) == sorted(f"TicketRouter{name}" for name in PAGES)


def test_the_links_to_the_runbook_follow_one_setting(tmp_path: Path) -> None:
    """`runbook.env` holds the page's address; every alert's link is that and its section, and rules keep the rest."""
    folder = Path(shutil.copytree(FOLDER, tmp_path / "monitoring"))
    (folder / "runbook.env").write_text("url=https://wiki.example.com/runbook\n")
    (tmp_path / "kustomization.yaml").write_text("components: [monitoring]\n")
    groups = [group for each in render(tmp_path).all("PrometheusRule") for group in each["spec"]["groups"]]
    links = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert sorted(links) == sorted(
        f"https://wiki.example.com/runbook#{rule['alert'].lower()}" for rule in rules("alert")
    )
    assert not any("annotations" in rule for group in groups for rule in group["rules"] if "record" in rule)


def test_the_retention_that_the_rules_need_is_stated() -> None:
    """The furthest that any expression looks back: its range and its offset together."""
    seconds = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
    spans = [
        sum(int(number) * seconds[unit] for number, unit in (match for match in found if match[0]))
        for rule in rules("alert") + rules("record")
        for found in (
            [part[:2], part[2:]]
            for part in re.findall(r"(?:\[(\d+)([mhdw])\])?(?: offset (\d+)([mhdw]))?", rule["expr"])
        )
    ]
    days, rest = divmod(max(spans), 86_400)
    assert f"The rules look back **{days} days and {rest // 3600} hours**" in " ".join(METRICS_PAGE.split())


def test_the_runbook_has_a_section_for_each_alert_and_no_other() -> None:
    """Neither an alert without a page nor a page without its alert."""
    assert sorted(re.findall(r"^### (TicketRouter\w+)$", RUNBOOK, re.MULTILINE)) == alert_names()


@pytest.mark.parametrize("name", alert_names())
def test_a_section_of_the_runbook_says_what_to_do(name: str) -> None:
    """What it means, whom it hurts, where to look first, why, what to do, and when to call for help."""
    section = re.split(r"^##", RUNBOOK.split(f"### {name}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    assert [part for part in PER_ALERT if f"**{part}" not in section] == []
