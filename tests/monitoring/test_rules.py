"""Alert and recording rules: promtool accepts them, every alert fires and clears, and each has its runbook section."""

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
    *("RecordsUnavailable", "Refusing", "Refusing", "AvailabilityBurn", "AvailabilityBurn"),
)
PER_ALERT = ("Meaning", "Impact", "First look", "Likely causes", "Remedy", "Escalate")


def test_promtool_accepts_the_rules(tmp_path: Path) -> None:
    """Expressions and templates parse, and no rule is a duplicate."""
    run = promtool("check", "rules", "--lint-fatal", *write_rules(tmp_path))
    assert run.returncode == 0, run.stdout + run.stderr


def test_every_alert_behaves_as_in_its_cases(tmp_path: Path) -> None:
    """It fires when it should, clears afterwards, and stays silent on too little data. promtool names each failure."""
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
def test_every_rule_has_a_case_in_which_it_fires_and_clears(rule: dict[str, Any]) -> None:
    """Alerts with several rules have one for each rule."""
    shown = [case for case in CASES if case.alert == rule["alert"] and case.fires and case.quiet]
    labels = [f'{name}="{value}"' for name, value in rule["labels"].items()]
    assert any(case.only in ("", *labels) and max(case.quiet) > max(case.fires) for case in shown)


@pytest.mark.parametrize("rule", rules("alert"), ids=lambda rule: f"{rule['alert']} {rule['labels']}")
def test_every_alert_has_severity_summary_reason_and_runbook_link(rule: dict[str, Any]) -> None:
    """The link leads to the alert's own section of the runbook."""
    assert rule["labels"]["severity"] in ("page", "ticket")
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
    assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{rule['alert'].lower()}"


def test_only_urgent_alerts_page() -> None:
    """The alerts that page, once for each of their rules; all others are tickets."""
    paging = [rule["alert"] for rule in rules("alert") if rule["labels"]["severity"] == "page"]
    assert sorted(paging) == sorted(f"TicketRouter{name}" for name in PAGES)


def test_the_runbook_links_follow_one_setting(tmp_path: Path) -> None:
    """`runbook.env` holds the page's address; every alert's link is that address with its section."""
    folder = Path(shutil.copytree(FOLDER, tmp_path / "monitoring"))
    (folder / "runbook.env").write_text("url=https://wiki.example.com/runbook\n")
    (tmp_path / "kustomization.yaml").write_text("components: [monitoring]\n")
    groups = [group for each in render(tmp_path).all("PrometheusRule") for group in each["spec"]["groups"]]
    links = [rule["annotations"]["runbook_url"] for group in groups for rule in group["rules"] if "alert" in rule]
    assert sorted(links) == sorted(
        f"https://wiki.example.com/runbook#{rule['alert'].lower()}" for rule in rules("alert")
    )
    assert not any("annotations" in rule for group in groups for rule in group["rules"] if "record" in rule)


def test_the_required_retention_is_stated() -> None:
    """The furthest that any expression looks back: its range plus its offset."""
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


def test_the_runbook_has_exactly_one_section_for_each_alert() -> None:
    assert sorted(re.findall(r"^### (TicketRouter\w+)$", RUNBOOK, re.MULTILINE)) == alert_names()


@pytest.mark.parametrize("name", alert_names())
def test_every_section_of_the_runbook_is_complete(name: str) -> None:
    """Meaning, affected users, first look, cause, remedy, and when to escalate."""
    section = re.split(r"^##", RUNBOOK.split(f"### {name}\n")[1], maxsplit=1, flags=re.MULTILINE)[0]
    assert [part for part in PER_ALERT if f"**{part}" not in section] == []
