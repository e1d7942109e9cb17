"""The quality page, its downloads and the promise simulator, over sockets."""

import csv
import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.desk.operate.person import Person
from tests.desk.operate.test_try import text_of
from tests.support.desk import visitor
from tests.support.process import Service, serving

TABLES = ("weeks", "flows", "calibration", "drift")


@pytest.fixture(scope="module")
def told(curved_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Service, Person]]:
    """A service with forty decisions, of which people told that every fourth belongs elsewhere."""
    folder = tmp_path_factory.mktemp("told")
    with serving(curved_bundle, "--state-dir", str(folder), "--desk", "true") as service:
        with service.client() as client:
            for number in range(40):
                body = f"Where is parcel {number} of order {number * 7}? {'Please hurry. ' * (number % 7)}"
                answer = client.post("/v1/route", json={"id": f"T-{number}", "body": body}).json()
                label = answer["candidates"][0]["department"]
                other = "sales" if label != "sales" else "billing"
                said = {"department": other if number % 4 == 0 else label}
                item = {"ticket_id": f"T-{number}", "fields": said, "source": "close"}
                assert client.post("/v1/feedback", json=item).status_code == 200
        with visitor(service) as client:
            person = Person(client)
            yield service, person


def test_weeks_flows_and_calibration_are_shown_with_their_tables(told: tuple[Service, Person]) -> None:
    _, person = told
    page = person.get("/quality")
    assert page.status_code == 200
    shown = text_of(page.text)
    assert re.search(r"Of 40 tickets in all departments \d+ were routed, with a precision of", shown)
    assert "→" in shown
    assert page.text.count("<svg viewBox") >= 3
    assert page.text.count("<details>") >= 3
    assert 'style="' not in page.text
    assert len(page.content) < 60_000


def test_department_and_weeks_are_chosen_by_the_address(told: tuple[Service, Person]) -> None:
    _, person = told
    shown = text_of(person.get("/quality", weeks="4", department="billing").text)
    assert "Precision and coverage by week : billing" in shown.replace("week:", "week :")
    rows = list(csv.reader(io.StringIO(person.get("/quality/weeks.csv", weeks="4").text)))
    assert len(rows) == 5
    assert [row[0] for row in rows[1:]] == sorted(row[0] for row in rows[1:])
    assert sum(int(row[1]) for row in rows[1:]) == 40
    for weeks in ("-1", "nan", "1000000000"):
        assert person.get("/quality", weeks=weeks, department="<b>").status_code == 200


def test_assumptions_change_the_hours(told: tuple[Service, Person]) -> None:
    _, person = told

    def hours(**given: str) -> str:
        found = re.search(r"(-?[\d.]+) hours", text_of(person.get("/quality", **given).text))
        assert found is not None
        return found[1]

    assert hours(triage_minutes="100") != hours(triage_minutes="1000")
    assert hours(misroute_minutes="nan", triage_minutes="x") == hours()


@pytest.mark.parametrize("name", TABLES)
def test_tables_are_downloads(told: tuple[Service, Person], name: str) -> None:
    _, person = told
    answer = person.get(f"/quality/{name}.csv")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.headers["content-disposition"] == f'attachment; filename="{name}.csv"'
    assert len(list(csv.reader(io.StringIO(answer.text)))) >= 2
    assert person.get("/quality/secrets.csv").status_code == 404


def test_moved_target_moves_coverage_misroutes_and_minutes(told: tuple[Service, Person]) -> None:
    _, person = told
    low, high = (text_of(person.get("/promise", target=each, tickets="1000").text) for each in ("0.9", "0.95"))
    assert "Routed 70.0 % Right of these 93.0 %" in low
    assert "Routed 50.0 % Right of these 97.0 %" in high
    assert "By the feedback on record" in low
    assert "straight line" not in low
    assert "straight line" in text_of(person.get("/promise", target="0.925").text)
    assert person.get("/promise", target="nan", tickets="-1").status_code == 200


def test_target_asked_for_is_on_record_with_its_command(desk: Service, admin: Person, reviewer: Person) -> None:
    page = admin.send("/promise", target="0.93")
    assert (page.status_code, page.url.path) == (200, "/desk/promise")
    shown = text_of(page.text)
    assert "93.0 % by adam" in shown
    assert "--precision 0.93" in shown
    assert "python -m training recalibrate --bundle" in shown
    assert any(each.get("action") == "recalibration" and each["who"] == "adam" for each in desk.events)
    assert "93.0 % by adam" in text_of(reviewer.get("/promise").text)
    assert reviewer.send("/promise", target="0.93").status_code == 403
    for target in ("0.5", "1", "nan", ""):
        assert admin.send("/promise", target=target).status_code == 422


def test_bundle_without_a_curve_and_a_record_without_feedback_say_what_to_do(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    flags = ("--state-dir", str(tmp_path), "--desk", "true")
    with serving(tiny_bundle_path, *flags) as service, visitor(service) as client:
        person = Person(client)
        shown = text_of(person.get("/promise").text)
        assert "This bundle has no curve of targets" in shown
        assert "python -m training recalibrate" in shown
        assert "so there is nothing on record to compare with" in shown
        assert "no precision is known" in text_of(person.get("/quality").text)
        for name in TABLES:
            assert person.get(f"/quality/{name}.csv").status_code == 200
