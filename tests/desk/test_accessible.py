"""Every page against axe's rules, light and dark, narrow and wide."""

from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.desk.conftest import Running
from tests.support.desk import left_to_people
from tests.support.keys import Known, file_of
from tests.support.process import serving


def violations(page: Page) -> list[str]:
    results = Axe().run(page)
    return [f"{page.url}: {each['id']}: {each['nodes'][0]['html'][:200]}" for each in results.response["violations"]]


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1440])
def test_pages_break_no_rule(browser: Browser, running: Running, scheme: str, width: int) -> None:
    _, decision = left_to_people(running.service, 2, body="Hello.\n\nOn Tue, 1 Sep 2026 A <a@b.example> wrote:\n> No.")
    found: list[str] = []
    with browser.new_context(color_scheme=scheme, viewport={"width": width, "height": 800}) as context:  # type: ignore[arg-type]
        page = context.new_page()
        page.goto(f"{running.service.url}/desk/")
        pages = [str(each.get_attribute("href")) for each in page.locator(".bar nav a").all()]
        assert "/desk/" in pages
        for path in (*pages, f"/desk/tickets/{decision}", "/desk/nothing"):
            page.goto(running.service.url + path)
            page.wait_for_load_state("networkidle")
            found += violations(page)
        page.goto(f"{running.service.url}/desk/tickets/{decision}")
        for key, dialog in (("?", "#keys[open]"), ("/", "#palette[open]")):
            page.keyboard.press(key)
            page.wait_for_selector(dialog)
            found += violations(page)
            page.keyboard.press("Escape")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Decided:")
        found += violations(page)
    assert found == []


def test_page_to_sign_in_breaks_no_rule(browser: Browser, tiny_bundle_path: Path, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text(file_of(Known("ana", ("review",))))
    flags = ("--state-dir", str(tmp_path), "--desk", "true", "--keys-file", str(keys))
    with serving(tiny_bundle_path, *flags) as service, browser.new_context() as context:
        page = context.new_page()
        page.goto(f"{service.url}/desk/")
        assert violations(page) == []
        page.get_by_label("API key").fill("wrong")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=You are not signed in")
        assert violations(page) == []
