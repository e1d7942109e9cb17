"""The pages with content, in Chromium: accessible, light, and of use by keyboard."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Response

from tests.desk.operate.test_try import MAIL
from tests.support.process import Service, serving

MOST_BYTES = 100_000


@pytest.fixture(scope="module")
def filled(curved_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """Without keys; with a few decisions that people told of."""
    flags = ("--state-dir", str(tmp_path_factory.mktemp("filled")), "--desk", "true")
    with serving(curved_bundle, *flags) as service:
        with service.client() as client:
            for number in range(30):
                body = f"Where is parcel {number} of order {number * 7}? {'Please hurry. ' * (number % 7)}"
                client.post("/v1/route", json={"id": f"T-{number}", "body": body})
                said = {"department": "sales" if number % 2 else "billing"}
                client.post("/v1/feedback", json={"ticket_id": f"T-{number}", "fields": said, "source": "close"})
        yield service


def opened(page: Page, service: Service, path: str) -> None:
    page.goto(f"{service.url}/desk{path}")
    if path == "/try":
        mail = {"name": "mail.eml", "mimeType": "message/rfc822", "buffer": MAIL}
        page.set_input_files("input[type=file]", files=[mail])  # type: ignore[list-item]
        page.get_by_role("button", name="Try").click()
        page.wait_for_selector("#step-scored")
    page.evaluate("document.querySelectorAll('main details').forEach(each => each.open = true)")


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_filled_pages_break_no_rule_and_fit(browser: Browser, filled: Service, scheme: str, width: int) -> None:
    with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}) as context:  # type: ignore[arg-type]
        page = context.new_page()
        said: list[str] = []
        page.on("console", lambda message: said.append(message.text))
        page.goto(f"{filled.url}/desk/")
        for path in ("/try", "/quality", "/promise", "/switches"):
            opened(page, filled, path)
            found = Axe().run(page).response["violations"]
            assert [(each["id"], each["nodes"][0]["html"]) for each in found] == []
            wider = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
            assert page.evaluate(wider) == 0
        assert said == []


def test_page_weighs_little_and_asks_no_other_host(browser: Browser, filled: Service) -> None:
    for path in ("/try", "/quality", "/promise", "/switches"):
        with browser.new_context() as context:
            page = context.new_page()
            page.goto(f"{filled.url}/desk/login")
            answers: list[Response] = []
            page.on("response", lambda answer, found=answers: found.append(answer))
            page.goto(f"{filled.url}/desk{path}", wait_until="networkidle")
            assert all(each.url.startswith(filled.url) for each in answers)
            assert sum(each.request.sizes()["responseBodySize"] for each in answers) <= MOST_BYTES


def test_target_moves_by_keyboard(browser: Browser, filled: Service) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{filled.url}/desk/")
        page.goto(f"{filled.url}/desk/promise?target=0.9")
        page.get_by_role("slider").focus()
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        page.wait_for_selector("#chosen:has-text('91.0')")
        page.wait_for_selector("text=66.0 %")
        assert page.get_by_role("button", name="Ask for 91.0 %").is_visible()
