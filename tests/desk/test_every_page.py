"""What holds on every page: no fault that axe knows, little weight, no other host, and nothing of a ticket runs."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response

from tests.support.curved import metrics_json, with_metrics
from tests.support.desk import left_to_people, visitor
from tests.support.hostile_text import MARK, hostile_texts
from tests.support.keys import Known, file_of
from tests.support.process import Service, serving

PAGE_BYTES = 100_000
WATCH = """
window.violations = [];
document.addEventListener("securitypolicyviolation", (event) => window.violations.push(event.violatedDirective));
"""

PARTS = "async () => { while (document.querySelector('.htmx-request')) await new Promise((go) => setTimeout(go, 10)) }"
"""Waits for the parts that htmx loads."""
TOGETHER = 12
"""Hostile texts in one ticket: each stands in the page as it would alone."""


@dataclass(frozen=True)
class Seeded:
    service: Service
    paths: tuple[str, ...]


@pytest.fixture(scope="module")
def seeded(hybrid_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seeded]:
    """A service with open tickets, decided ones, a switch, a request for another target and descriptions of labels. Its
    bundle has n-grams and a curve of targets."""
    folder = tmp_path_factory.mktemp("seeded")
    bundle = with_metrics(hybrid_bundle_path, folder / "bundles", metrics_json())
    labels = folder / "labels.toml"
    labels.write_text('[department.descriptions]\nbilling = "Invoices, charges and refunds"\n')
    flags = ("--state-dir", str(folder), "--desk", "true", "--records-text", "true", "--desk-labels-file", str(labels))
    with serving(bundle, *flags) as service:
        open_, decided = left_to_people(service, 60), left_to_people(service, 8, "D")
        long = "We ordered ten lamps. " * 3 + "One arrived broken, and we want to send it back. " * 12
        (thread,) = left_to_people(service, 1, "L", body=f"{long}\n\n> On Monday you wrote:\n> Please wait.\n")
        with service.client() as client:
            for decision in decided:
                feedback = {"decision_id": decision, "fields": {"department": "sales"}, "source": "close"}
                assert client.post("/v1/feedback", json=feedback).status_code == 200
        with visitor(service) as client:
            switch = {"field": "department", "kind": "label", "name": "sales", "mode": "suggest", "why": "New team"}
            assert client.post("/switches", data=switch).status_code == 200
            assert client.post("/promise", data={"target": "0.950"}).status_code == 200
        tickets = tuple(f"/tickets/{decision}" for decision in (open_[-1], decided[0], thread))
        paths = ("/", "/?order=surest&text=order", *tickets, "/try", "/quality", "/promise", "/switches", "/nothing")
        yield Seeded(service, paths)


def opened(page: Page, service: Service, path: str) -> Response:
    response = page.goto(f"{service.url}/desk{path}")
    assert response is not None
    page.wait_for_load_state("networkidle")  # the parts that htmx loads
    return response


def faults_of(page: Page, path: str) -> list[str]:
    page.evaluate("document.querySelectorAll('main details').forEach((each) => (each.open = true))")
    found = Axe().run(page).response["violations"]
    return [f"{path}: {each['id']}: {node['html'][:200]}" for each in found for node in each["nodes"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_axe_finds_nothing(seeded: Seeded, browser: Browser, scheme: Literal["light", "dark"], width: int) -> None:
    context = browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 900})
    page, faults = context.new_page(), []
    for path in seeded.paths:
        opened(page, seeded.service, path)
        faults += faults_of(page, path)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        faults += [f"{path}: {wide} px wider than the window"] if wide > 0 else []
    opened(page, seeded.service, "/try")
    page.locator("details summary").last.click()
    page.fill("input[name=subject]", "Invoice")
    page.fill("textarea[name=body]", "I was charged twice, please refund it.\n\nOn Monday Joe wrote:\n> Wait.")
    page.click("form button:has-text('Try')")
    page.wait_for_selector("#steps h2")
    faults += faults_of(page, "/try, after a mail")
    opened(page, seeded.service, "/")
    page.click("#first")
    page.wait_for_selector("#decide")
    for key in ("?", "Escape", "/", "Escape", "Enter"):
        page.keyboard.press(key)
        faults += faults_of(page, f"ticket after {key}")
    page.wait_for_selector("text=Decided:")
    faults += faults_of(page, "ticket after a decision")
    context.close()
    assert faults == []


def test_page_is_light_asks_no_other_host_and_breaks_no_policy(seeded: Seeded, browser: Browser) -> None:
    weights = {}
    for path in seeded.paths:
        context = browser.new_context()  # without a cache
        page, answers, messages = context.new_page(), [], []
        page.on("response", lambda answer, found=answers: found.append(answer))
        page.on("console", lambda message, found=messages: found.append(message.text))
        first = opened(page, seeded.service, path)
        assert all(each.url.startswith(f"{seeded.service.url}/desk") for each in answers)
        policy = first.headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        weights[path] = sum(each.request.sizes()["responseBodySize"] for each in answers)
        assert messages == [] or first.status == 404
        context.close()
    assert {path: weight for path, weight in weights.items() if weight > PAGE_BYTES} == {}


def test_nothing_of_a_ticket_runs_or_becomes_markup(seeded: Seeded, browser: Browser) -> None:
    texts = list(hostile_texts())
    assert len(set(texts)) >= 200
    context = browser.new_context()
    context.add_init_script(WATCH)
    page, ran = context.new_page(), []
    page.on("dialog", lambda dialog: (ran.append(page.url), dialog.dismiss()))
    decisions = []
    with seeded.service.client() as client:
        for number in range(0, len(texts), TOGETHER):
            body = "\n".join(f"Hello {text} {number}" for text in texts[number : number + TOGETHER])
            for kind in ("text/html", "text/plain"):
                name = f"X-{number}-{kind}-{texts[number][:80]}"
                ticket = {"id": name, "subject": texts[number], "body": body, "content_type": kind}
                decisions.append(client.post("/v1/route", json=ticket).raise_for_status().json()["decision_id"])
    opened(page, seeded.service, "/?text=Hello")
    harmless(page)
    for decision in decisions:
        assert page.goto(f"{seeded.service.url}/desk/tickets/{decision}") is not None
        page.evaluate(PARTS)
        harmless(page)
    context.close()
    assert ran == []


def test_nothing_of_a_tried_mail_runs(seeded: Seeded, browser: Browser) -> None:
    context = browser.new_context()
    context.add_init_script(WATCH)
    page, ran = context.new_page(), []
    page.on("dialog", lambda dialog: (ran.append(dialog.message), dialog.dismiss()))
    everything = "\n".join(text.replace("\x00", "") for text in hostile_texts())
    for field in ("raw", "body"):
        opened(page, seeded.service, "/try")
        for summary in page.locator("form summary").all():
            summary.click()
        mail = f'From: "{MARK}<b>" <a@b.example>\nSubject: {next(hostile_texts())}\n\n' if field == "raw" else ""
        page.fill(f"textarea[name={field}]", mail + everything)
        page.click("form button:has-text('Try')")
        page.wait_for_selector("#steps h2")
        harmless(page)
    context.close()
    assert ran == []


def harmless(page: Page) -> None:
    assert page.evaluate("window.violations") == []
    # No element but ours: none has an event, and none of these kinds is in our templates.
    assert page.locator("main :is(script, iframe, object, embed, img, style, link, base, video, audio)").count() <= 1
    assert page.evaluate(
        "[...document.querySelectorAll('main *')].every((e) => !e.getAttributeNames().some((n) => n.startsWith('on')))"
    )


def test_axe_finds_nothing_on_the_page_to_sign_in(browser: Browser, tiny_bundle_path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(file_of(Known("ana", ("review",))))
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--keys-file", str(keys))
    with serving(tiny_bundle_path, *flags) as service, browser.new_context() as context:
        page = context.new_page()
        opened(page, service, "/")
        assert faults_of(page, "/login") == []
        page.get_by_label("API key").fill("wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=You are not signed in")
        assert faults_of(page, "/login, after a wrong key") == []
