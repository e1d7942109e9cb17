"""The pages over HTTP: what they show, their headers, and their files."""

import hashlib
import html
import re
from pathlib import Path

import pytest

from service.desk.pages import FOLDER, POLICY
from tests.desk.conftest import Running
from tests.support.desk import left_to_people, let_undo_pass, statement, visitor
from tests.support.process import serving
from tests.support.waiting import wait_until

HTMX = {"HX-Request": "true"}
REPLY = "Please <b>refund</b> me.\n\nOn Tue, 1 Sep 2026 Support <s@x.example> wrote:\n> Dear customer,\n> please wait\n"
ATTACKS = (
    "<script>document.title='ran'</script>",
    '"><img src=x onerror="document.title=\'ran\'">',
    "' autofocus onfocus='document.title=1",
    "{{ 7*7 }} {% raw %}",
    "<svg onload=alert(1)>",
    "javascript:alert(1)",
    "</pre></article><script src=//evil.example></script>",
    "<a hx-get='/desk/logout' hx-trigger='load'>x</a>",
)


def test_every_page_has_the_policy_and_is_not_kept(running: Running) -> None:
    (decision,) = left_to_people(running.service)
    with visitor(running.service) as client:
        for path in ("/", "/login", "/signed-in", f"/tickets/{decision}", "/tickets/x", "/nothing"):
            answer = client.get(path)
            assert answer.headers["content-security-policy"] == POLICY
            assert answer.headers["cache-control"] == "no-store"
            assert answer.headers["x-content-type-options"] == "nosniff"
        assert "unsafe" not in POLICY
        with running.service.client() as other:
            assert other.get("/desk").headers["content-security-policy"] == POLICY


def test_templates_have_nothing_inline() -> None:
    for template in (FOLDER / "templates").iterdir():
        text = template.read_text()
        assert not re.search(r"""\s(style|on\w+|hx-on[\w:.-]*)\s*=|<style|<script(?! src=)|\|\s*safe""", text), template


def test_files_are_kept_by_browsers_and_small(running: Running) -> None:
    left_to_people(running.service, 60)
    with visitor(running.service) as client:
        page = client.get("/")
        names = re.findall(r'(?:src|href)="(/desk/static/[^"]+)"', page.text)
        assert len(names) >= 4
        files = [client.get(name.removeprefix("/desk")) for name in names]
        assert all("immutable" in each.headers["cache-control"] for each in files)
        assert len(page.content) + sum(len(each.content) for each in files) <= 100_000
        assert not re.findall(r'(?:src|href|action)="(?!/desk/)(?!#)', page.text), "every request stays here"


def test_htmx_is_the_pinned_file() -> None:
    (file,) = (FOLDER / "static").glob("htmx-*.js")
    note = (FOLDER / "static" / "README.md").read_text()
    assert file.name in note
    assert hashlib.sha256(file.read_bytes()).hexdigest() in note
    assert "Zero-Clause BSD" in (FOLDER / "static" / "htmx-LICENSE.txt").read_text()


def test_ticket_shows_what_the_model_read_and_what_was_cut(running: Running) -> None:
    with running.service.client() as client:
        request = {"id": "T-cut", "subject": "Re: Invoice", "body": REPLY}
        decision = client.post("/v1/route", json=request).json()["decision_id"]
    with visitor(running.service) as client:
        page = client.get(f"/tickets/{decision}").text
    read = re.findall(r"<pre[^>]*>(.*?)</pre>", re.sub(r"<details.*?</details>", "", page, flags=re.DOTALL), re.DOTALL)
    assert [html.unescape(each) for each in read] == ["Invoice\nPlease <b>refund</b> me."]
    (cut,) = re.findall(r"<details.*?</details>", page, re.DOTALL)
    assert "please wait" in cut
    assert "s@x.example" not in page, "it is stored without addresses"


def test_texts_that_are_not_stored_are_said_to_be_missing(tiny_bundle_path: Path, tmp_path: Path) -> None:
    flags = ("--state-dir", str(tmp_path), "--desk", "true")
    with serving(tiny_bundle_path, *flags) as service:
        (decision,) = left_to_people(service)
        with visitor(service) as client:
            assert "--records-text true" in client.get("/").text
            assert "--records-text true" in client.get(f"/tickets/{decision}").text


def test_labels_have_their_descriptions_and_candidates_come_first(tiny_bundle_path: Path, tmp_path: Path) -> None:
    labels = tmp_path / "labels.toml"
    labels.write_text(
        '[department]\naliases = {}\n[department.descriptions]\nreturns = "Sends <it> back"\nretruns = "A slip"\n'
    )
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--desk-labels-file", str(labels))
    with serving(tiny_bundle_path, *flags) as service:
        (decision,) = left_to_people(service)
        with service.client() as client:
            record = client.get(f"/v1/decisions/{decision}").json()
        with visitor(service) as client:
            page = client.get(f"/tickets/{decision}").text
        (warned,) = [each for each in service.events if "labels that the bundle lacks" in each["event"]]
    assert (warned["field"], warned["labels"]) == ("department", ["retruns"])
    assert "Sends &lt;it&gt; back" in page
    shown = re.findall(r'data-label="(\w+)"', page)
    assert sorted(shown) == ["billing", "returns", "sales", "technical"]
    confidences = [int(each) for each in re.findall(r">(\d+)%</span></li>", page)]
    assert confidences == sorted(confidences, reverse=True)
    assert confidences[0] == round(100 * record["fields"]["department"]["confidence"])


def test_random_sample_shows_nothing_of_what_the_model_said(tiny_bundle_path: Path, tmp_path: Path) -> None:
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--holdout-share", "1")
    with serving(tiny_bundle_path, *flags) as service:
        (decision,) = left_to_people(service)
        with visitor(service) as client:
            assert "random sample" in client.get("/").text
            page = client.get(f"/tickets/{decision}").text
    assert "%</span>" not in page
    assert "suggested" not in page
    assert 'aria-selected="true"' not in page


def test_decision_is_on_record_and_seen_by_the_next_person(running: Running) -> None:
    (decision,) = left_to_people(running.service)
    form = {"department": "sales", "priority": "high", "unknown": "x"}
    with visitor(running.service) as client:
        assert "1 ticket to decide" in client.get("/").text
        for wrong, status in (({"priority": "high"}, 422), ({"department": "nothing"}, 422)):
            assert client.post(f"/tickets/{decision}/decide", data=wrong, headers=HTMX).status_code == status
        review = client.post(f"/tickets/{decision}/decide", data=form, headers=HTMX).json()["review"]
        second = client.post(f"/tickets/{decision}/decide", data=form, headers=HTMX)
        assert second.status_code == 409
        assert "anonymous decided this" in second.text
        assert "sales" in second.text
        page = client.get(f"/tickets/{decision}").text
        assert "anonymous decided this" in page
        assert 'id="decide"' not in page
        let_undo_pass(running.state)
        wait_until(lambda: statement(running.state, "SELECT state FROM reviews") == [("sent",)])
        assert client.post(f"/reviews/{review}/undo", headers=HTMX).status_code == 409
        assert "Nothing to decide" in client.get("/").text
        with running.service.client() as api:
            record = api.get(f"/v1/decisions/{decision}").json()
    assert {each["field"]: (each["value"], each["source"]) for each in record["feedback"]} == {
        "department": ("sales", "agent"),
        "priority": ("high", "agent"),
    }


def test_deleted_ticket_is_a_line(running: Running) -> None:
    (decision,) = left_to_people(running.service, prefix="gone")
    with running.service.client() as api, visitor(running.service) as client:
        ticket = api.get(f"/v1/decisions/{decision}").json()["ticket_id"]
        api.delete(f"/v1/tickets/{ticket}")
        for answer in (
            client.get(f"/tickets/{decision}"),
            client.post(f"/tickets/{decision}/decide", data={"department": "sales"}, headers=HTMX),
        ):
            assert answer.status_code == 404
            assert "deleted" in answer.text


@pytest.mark.parametrize("attack", ATTACKS)
def test_what_a_stranger_wrote_is_text(running: Running, attack: str) -> None:
    with running.service.client() as api:
        body = api.post("/v1/route", json={"id": attack, "subject": attack, "body": f"{attack}\n{attack}"}).json()
    statement(running.state, "UPDATE decisions SET outcome = 'review'")
    with visitor(running.service) as client:
        pages = [
            client.get("/", params={"text": attack, "department": attack}),
            client.get("/"),
            client.get(f"/tickets/{body['decision_id']}", params={"text": attack}),
        ]
    for page in pages:
        assert page.status_code == 200
        clean = re.sub(r"<script src=\"/desk/static/[^\"]+\" defer></script>", "", page.text)
        assert not re.search(r"<script|<img|<svg|<a hx|onfocus='|onerror=\"", clean)
        assert "{{ 7*7 }}" in html.unescape(clean) or "7*7" not in attack


def test_nul_character_is_refused_before_the_database(tiny_bundle_path: Path, tmp_path: Path, records: str) -> None:
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--records", records)
    with serving(tiny_bundle_path, *flags) as service, visitor(service) as client:
        assert client.get("/?department=%00&text=%00").status_code == 200
        for path in ("/tickets/%00", "/tickets/%00/why", "/tickets/%00/alike", "/quality/%00.csv"):
            assert client.get(path).status_code == 404
        assert client.post("/reviews/%00/undo").status_code in (404, 415)
        for path, form in (("/switches/send-again", {"id": "\0"}), ("/switches", {"mode": "off", "why": "\0"})):
            assert client.post(path, data=form).status_code == 400
