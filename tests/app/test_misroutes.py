"""The misroute alarm through REST, with a real file of records."""

from pathlib import Path
from typing import Any

import httpx

from tests.support.process import Service, serving
from tests.support.tiny import LABELS
from tests.support.waiting import wait_until


def asked(service: Service, ticket_id: str, body: str) -> dict[str, Any]:
    with service.client() as client:
        response = client.post("/v1/route", json={"id": ticket_id, "body": body})
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def automation(service: Service) -> dict[str, Any]:
    status: dict[str, Any] = service.management("/admin/status").json()["automation"]
    return status


def test_department_whose_closed_tickets_were_moved_is_suggested_until_a_person_puts_it_back(
    tiny_bundle_path: Path, tmp_path: Path
) -> None:
    with serving(tiny_bundle_path, "--state-dir", str(tmp_path)) as service:
        texts = (f"Where is parcel {number} of order {number * 7}?" for number in range(400))
        text = next(each for each in texts if asked(service, each, each)["outcome"] == "route")
        answers = [asked(service, f"T-{number}", text) for number in range(20)]
        department = answers[0]["department"]
        with service.client() as client:
            elsewhere = next(each for each in LABELS.fields[0].labels if each != department)
            for number, _ in enumerate(answers):
                item = {"ticket_id": f"T-{number}", "fields": {"department": elsewhere}, "source": "close"}
                assert client.post("/v1/feedback", json=item).status_code == 200
        wait_until(lambda: automation(service)["switches"], seconds=60)
        (switch,) = automation(service)["switches"]
        answer = asked(service, "T-20", text)
        samples = service.samples()
        content = {"label": department, "mode": "route", "why": "the team was renamed"}
        httpx.post(f"{service.management_url}/admin/automation", json=content, timeout=30).raise_for_status()
        again = asked(service, "T-21", text)
        names = f'{{field="department",label="{department}"}}'
        wait_until(lambda: f"ticket_router_misroute_alarm{names}" not in service.samples())
        lines = [each for each in service.events if each["event"] == "misroute alarm"]
    assert (switch["label"], switch["mode"], switch["who"]) == (department, "suggest", "misroute alarm")
    assert switch["why"] == "20 of the last 20 closed tickets were moved elsewhere; the promise allows 5 %"
    assert (answer["outcome"], answer["reason"]) == ("suggest", "automation_off")
    assert again["outcome"] == "route"
    assert samples[f"ticket_router_misroute_alarm{names}"] == 1
    assert samples[f"ticket_router_misroute_alarms_total{names}"] == 1
    assert [(each["label"], each["tickets"], each["moved"]) for each in lines] == [(department, 20, 20)]
    assert text not in str(lines)
