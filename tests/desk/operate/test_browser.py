"""Promise and switches in Chromium."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.support.process import Service, serving


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


def test_switch_typed_before_the_session_ended_is_set_after_signing_in(browser: Browser, filled: Service) -> None:
    with browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{filled.url}/desk/")
        page.goto(f"{filled.url}/desk/switches?kind=label&name=billing&mode=off")
        context.clear_cookies()
        page.get_by_label("Why").fill("new invoices")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your session has ended.")
        assert page.get_by_label("Why").input_value() == "new invoices"
        page.request.get(f"{filled.url}/desk/login")
        page.get_by_role("button", name="Do it again").click()
        page.wait_for_selector("td:has-text('new invoices')")
        page.get_by_label("Which").fill("nonsense")
        page.get_by_label("Why").fill("a slip")
        page.keyboard.press("Enter")
        page.wait_for_selector("#notice:has-text('takes no name')")
        assert page.get_by_label("Why").input_value() == "a slip"
