"""Review in Chromium, by keyboard alone."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
from playwright.sync_api import Browser, Page, TimeoutError

from tests.desk.conftest import Running
from tests.support.desk import left_to_people, statement, visitor
from tests.support.waiting import wait_until

SECONDS = 20


@contextmanager
def opened(browser: Browser, running: Running, path: str = "/desk/") -> Iterator[Page]:
    """A page of a new session; the test fails where the browser reports an error or blocks something."""
    problems: list[str] = []
    with browser.new_context(viewport={"width": 1280, "height": 800}) as context:
        context.set_default_timeout(1000 * SECONDS)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("console", lambda line: problems.append(line.text) if "Security Policy" in line.text else None)
        page.goto(running.service.url + path)
        yield page
    assert problems == []


def shown(page: Page) -> str:
    return str(page.locator("#ticket").get_attribute("data-id"))


def next_shown(page: Page, before: str) -> str:
    page.wait_for_function("before => document.getElementById('ticket').dataset.id !== before", arg=before)
    return shown(page)


def decided(running: Running) -> dict[str, str]:
    rows = statement(running.state, "SELECT decision_id, fields FROM reviews WHERE state <> 'undone'")
    return {row[0]: json.loads(row[1])["department"] for row in rows}


def review_all(browser: Browser, running: Running, number: int) -> None:
    """Open the first ticket, and decide all: the first choice, a number, or letters, in turn."""
    ids = left_to_people(running.service, number)
    expected: dict[str, str] = {}
    with opened(browser, running) as page:
        page.keyboard.press("j")
        page.keyboard.press("Enter")
        page.wait_for_selector("#decide")
        for place in range(number):
            here = shown(page)
            assert here == ids[number - 1 - place]
            if place % 3 == 1:
                page.keyboard.press("3")
            elif place % 3 == 2:
                page.keyboard.type("ret")
            chosen = page.locator('#labels [aria-selected="true"]').get_attribute("data-label")
            assert chosen is not None
            assert place % 3 != 2 or chosen == "returns"
            expected[here] = chosen
            page.keyboard.press("Enter")
            if place + 1 < number:
                next_shown(page, here)
        page.wait_for_selector("text=The queue ends here.")
        wait_until(lambda: len(decided(running)) == number)
    assert decided(running) == expected


def test_twenty_tickets_are_decided_by_keyboard_alone(browser: Browser, running: Running) -> None:
    review_all(browser, running, 20)


@pytest.mark.slow
def test_two_hundred_tickets_are_decided_by_keyboard_alone(browser: Browser, running: Running) -> None:
    review_all(browser, running, 200)


def test_backspace_takes_the_last_decision_back_and_shows_its_ticket(browser: Browser, running: Running) -> None:
    first, second = reversed(left_to_people(running.service, 2))
    with opened(browser, running, f"/desk/tickets/{first}") as page:
        page.keyboard.press("Enter")
        assert next_shown(page, first) == second
        page.keyboard.press("Backspace")
        assert next_shown(page, second) == first
        wait_until(lambda: decided(running) == {})
        page.keyboard.press("2")
        chosen = page.locator('#labels [aria-selected="true"]').get_attribute("data-label")
        page.keyboard.press("Enter")
        wait_until(lambda: decided(running) == {first: chosen})


def test_ended_session_loses_nothing_and_goes_on_after_signing_in_elsewhere(browser: Browser, running: Running) -> None:
    first, second = reversed(left_to_people(running.service, 2))
    with opened(browser, running, f"/desk/tickets/{first}") as page:
        page.wait_for_load_state("networkidle")
        page.context.clear_cookies()
        page.keyboard.type("ret")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your session has ended.")
        # A part of the page is refused too, and does not take the decision's place.
        page.evaluate("htmx.ajax('GET', location.pathname, { target: '#main', swap: 'none' })")
        assert decided(running) == {}
        with page.context.expect_page() as other:
            page.get_by_role("link", name="Sign in").click()
        other.value.wait_for_selector("text=You are signed in.")
        other.value.close()
        with suppress(TimeoutError):  # it may be done already, since the page has the focus again
            page.get_by_role("button", name="Do it again").click(timeout=2000)
        wait_until(lambda: decided(running) == {first: "returns"})
        assert shown(page) in (first, second)


def test_decision_that_an_ended_session_refused_is_taken_back_by_backspace(browser: Browser, running: Running) -> None:
    first, second = reversed(left_to_people(running.service, 2))
    with opened(browser, running, f"/desk/tickets/{first}") as page:
        page.wait_for_load_state("networkidle")
        page.context.clear_cookies()
        page.keyboard.press("Enter")
        assert next_shown(page, first) == second
        page.wait_for_selector("text=Your session has ended.")
        page.keyboard.press("Backspace")
        assert next_shown(page, second) == first
        page.request.get(f"{running.service.url}/desk/login")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        page.wait_for_load_state("networkidle")
        assert decided(running) == {}


def test_notice_of_an_ended_session_that_is_closed_forgets_no_decision(browser: Browser, running: Running) -> None:
    (first,) = left_to_people(running.service)
    with opened(browser, running, f"/desk/tickets/{first}") as page:
        page.wait_for_load_state("networkidle")
        page.context.clear_cookies()
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Your session has ended.")
        page.get_by_role("button", name="Close").click()
        page.request.get(f"{running.service.url}/desk/login")
        page.evaluate("window.dispatchEvent(new Event('focus'))")
        wait_until(lambda: list(decided(running)) == [first])


def test_backspace_after_a_reload_takes_the_last_decision_back(browser: Browser, running: Running) -> None:
    first, second = reversed(left_to_people(running.service, 2))
    with opened(browser, running, f"/desk/tickets/{first}") as page:
        page.keyboard.press("Enter")
        assert next_shown(page, first) == second
        wait_until(lambda: list(decided(running)) == [first])
        page.reload()
        page.keyboard.press("Backspace")
        page.wait_for_url(re.compile(f"/desk/tickets/{first}$"))
        assert decided(running) == {}
        page.keyboard.press("Backspace")
        page.wait_for_selector("text=There is nothing to undo")


def test_enter_held_down_or_pressed_twice_decides_one_ticket(browser: Browser, running: Running) -> None:
    first, second, _ = reversed(left_to_people(running.service, 3))
    with opened(browser, running, f"/desk/tickets/{first}") as page:
        page.wait_for_load_state("networkidle")
        page.evaluate(
            """for (const repeat of [false, false, true])
                 document.body.dispatchEvent(new KeyboardEvent("keydown", { key: "Enter", bubbles: true, repeat }))"""
        )
        assert next_shown(page, first) == second
        page.keyboard.down("Enter")
        next_shown(page, second)
        page.keyboard.down("Enter")
        page.keyboard.up("Enter")
        page.wait_for_load_state("networkidle")
        assert sorted(decided(running)) == sorted([first, second])
        assert "not stored" not in page.inner_text("#notice")


def test_link_to_the_content_does_not_load_the_page_again(browser: Browser, running: Running) -> None:
    left_to_people(running.service)
    with opened(browser, running) as page:
        page.evaluate("window.same = true")
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("#main$"))
        page.wait_for_timeout(300)
        assert page.evaluate("window.same") is True


def test_decision_that_fails_brings_its_ticket_back(browser: Browser, running: Running) -> None:
    first, second = reversed(left_to_people(running.service, 2))
    with opened(browser, running, f"/desk/tickets/{first}") as page:
        page.wait_for_load_state("networkidle")
        page.route("**/decide", lambda route: route.abort())
        page.keyboard.press("Enter")
        page.wait_for_selector("text=Not saved: The service does not answer.")
        assert shown(page) == first
        page.unroute("**/decide")
        page.keyboard.press("Enter")
        assert next_shown(page, first) == second
        wait_until(lambda: list(decided(running)) == [first])


def test_second_person_is_told_what_the_first_decided(browser: Browser, running: Running) -> None:
    first, second = reversed(left_to_people(running.service, 2))
    with opened(browser, running, f"/desk/tickets/{first}") as page, visitor(running.service) as other:
        form = {"department": "sales"}
        assert other.post(f"/tickets/{first}/decide", data=form, headers={"HX-Request": "true"}).status_code == 200
        page.keyboard.type("ret")
        page.keyboard.press("Enter")
        page.wait_for_selector("text=/decided this .* ago: sales. Yours was not stored/")
        assert next_shown(page, first) == second
        assert decided(running) == {first: "sales"}


def test_palette_and_list_of_keys_are_worked_by_keyboard(browser: Browser, running: Running) -> None:
    first, second = reversed(left_to_people(running.service, 2))
    with opened(browser, running, f"/desk/tickets/{first}") as page:
        page.keyboard.press("?")
        page.wait_for_selector("#keys[open]")
        page.keyboard.press("Escape")
        page.keyboard.press("Control+k")
        page.keyboard.type("next")
        page.keyboard.press("Enter")
        assert next_shown(page, first) == second
        page.keyboard.press("k")
        assert next_shown(page, second) == first
        page.keyboard.press("/")
        page.keyboard.type("back")
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/desk/$"))


@pytest.mark.parametrize("width", [360, 1440])
def test_pages_fit_their_width(browser: Browser, running: Running, width: int) -> None:
    (decision,) = left_to_people(running.service, subject="W" * 200)
    with opened(browser, running) as page:
        page.set_viewport_size({"width": width, "height": 800})
        for path in ("/desk/", f"/desk/tickets/{decision}"):
            page.goto(running.service.url + path)
            if "tickets" in path:
                page.wait_for_selector("#why-words p:has-text('marked')")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
