"""Why a ticket was decided so: the parts of its page, from a service over a socket."""

import asyncio
import contextlib
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path

import httpx
import pytest

from service.app import create_app
from service.context import RequestContext
from service.routing.router import deadline_in
from service.settings import Settings
from tests.support.process import Service, serving

TEXT = "I was charged twice. Please refund the second payment!\nBest regards, Ann & Bob"
HOSTILE = (
    "<script>alert(1)</script> please <b>refund</b> me",
    'a" onmouseover="alert(1)" refund \'x\' {{ 7 * 7 }} &lt;img&gt;',
    "refund\u202e\u0007 退款 <mark class='for-3'>refund</mark> </pre><svg/onload=alert(1)>",
)
DESK = ("--desk", "true", "--records-text", "true", "--state-dir")


@pytest.fixture(scope="module")
def hybrid(hybrid_bundle_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with (
        serving(hybrid_bundle_path, *DESK, str(tmp_path_factory.mktemp("state"))) as service,
        signed_in(service) as client,
    ):
        yield client


@contextlib.contextmanager
def signed_in(service: Service) -> Iterator[httpx.Client]:
    with service.client(follow_redirects=True) as client:
        assert client.get("/desk/").status_code == 200
        yield client


def decided(client: httpx.Client, body: str) -> str:
    answer = client.post("/v1/route", json={"body": body, "content_type": "text/plain"})
    assert answer.status_code == 200, answer.text
    return f"/desk/tickets/{answer.json()['decision_id']}"


def follow(client: httpx.Client, page: str) -> httpx.Response:
    """What the page loads next."""
    (address,) = re.findall(r'hx-get="([^"]*)" hx-trigger="load delay', page)
    return client.get(unescape(address))


def plain(html: str) -> str:
    """The text of all parts that the model read, without marks."""
    return "\n".join(
        unescape(re.sub("</?mark[^>]*>", "", each)) for each in re.findall(r"<pre id[^>]*>(.*?)</pre>", html, re.S)
    )


def marks(html: str) -> list[tuple[str, str]]:
    return [(name, unescape(text)) for name, text in re.findall('<mark class="([^"]*)">(.*?)</mark>', html, re.S)]


@pytest.mark.parametrize("text", [TEXT, *HOSTILE])
def test_ngrams_then_sentences_then_words_are_marked_in_the_text(hybrid: httpx.Client, text: str) -> None:
    address = decided(hybrid, text)
    shown = plain(hybrid.get(address).text)
    ngrams = hybrid.get(f"{address}/why")
    sentences = follow(hybrid, ngrams.text)
    words = follow(hybrid, sentences.text)
    assert [each.status_code for each in (ngrams, sentences, words)] == [200] * 3
    for part in (ngrams.text, words.text):
        assert plain(part) == shown
        assert marks(part)
    for part in (ngrams.text, sentences.text, words.text):
        assert all(re.fullmatch("(for|against)-[123]", name) for name, _ in marks(part))
        assert all(phrase in shown for _, phrase in marks(part))
        assert not re.search("<(script|svg|img|b)\\b", part)
        assert "style=" not in part


def test_cut_lines_stay_where_they_are_and_marks_go_to_the_lines_that_were_read(hybrid: httpx.Client) -> None:
    mail = "Please refund the second payment.\n\n> On Monday you wrote:\n> we did\n\nIt was promised for Tuesday."
    address = decided(hybrid, mail)
    page, part = hybrid.get(address).text, hybrid.get(f"{address}/why").text
    ids = re.findall(r'<pre id="([^"]*)"', page)
    assert ids == re.findall(r'<pre id="([^"]*)"', part)
    assert plain(part) == plain(page)


def test_bundle_without_ngrams_says_what_to_do_and_explains_the_rest(tiny_bundle_path: Path, tmp_path: Path) -> None:
    with serving(tiny_bundle_path, *DESK, str(tmp_path)) as service, signed_in(service) as client:
        page = client.get(f"{decided(client, TEXT)}/why").text
        assert "train it again with this release" in page
        assert not marks(page)
        words = follow(client, follow(client, page).text)
        assert marks(words.text)


def test_ticket_without_a_stored_text_or_a_model_is_not_explained(hybrid_bundle_path: Path, tmp_path: Path) -> None:
    with serving(hybrid_bundle_path, *DESK[:2], "--state-dir", str(tmp_path)) as service, signed_in(service) as client:
        address = decided(client, TEXT)
        assert "There is no stored text to explain." in client.get(f"{address}/why").text
        assert client.get(f"{address}/why/sentences").status_code == 409
        assert "The model was not asked." in client.get(f"{decided(client, ' ')}/why").text


def test_addresses_that_no_page_has_are_one_line(hybrid: httpx.Client) -> None:
    address = decided(hybrid, TEXT)
    gone = "/desk/tickets/01ARZ3NDEKTSV4RRFFQ69G5FAV/why"
    for path, status in ((gone, 404), (f"{address}/why/words", 400), (f"{address}/why/words?spans=1-2;3", 400)):
        answer = hybrid.get(path, headers={"HX-Request": "true"})
        assert (answer.status_code, answer.text.strip().count("\n")) == (status, 0)
    for spans in ("0-9999999", "9-3", "5-5,0-4,4-9,9-12"):
        assert hybrid.get(f"{address}/why/words?spans={spans}").status_code == 200


def test_the_pages_of_a_person_who_is_not_signed_in_are_closed(hybrid: httpx.Client) -> None:
    address = decided(hybrid, TEXT)
    for part in ("", "/sentences", "/words?spans=0-4"):
        answer = httpx.get(f"{hybrid.base_url}{address}/why{part}", headers={"HX-Request": "true"})
        assert answer.status_code == 401


def test_while_callers_need_the_engine_the_page_says_so_and_tries_again_some_times(
    hybrid_bundle_path: Path, tmp_path: Path
) -> None:
    """In one process, so that the queue is sure to be full when the page asks."""
    flags = {"desk": True, "records_text": True, "state_dir": tmp_path, "queue_seconds": 60}

    async def scenario() -> None:
        app = create_app(Settings(bundle=hybrid_bundle_path, **flags))  # type: ignore[arg-type]
        await app.start()
        transport = httpx.ASGITransport(app=app.public)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", follow_redirects=True) as client:
            await client.get("/desk/")
            answer = await client.post("/v1/route", json={"body": TEXT})
            address = f"/desk/tickets/{answer.json()['decision_id']}/why/sentences"
            engine = app.router.engine
            encoding = engine.bundle.encode("word " * 300)
            context = RequestContext(deadline_in(30))

            async def busy(address: str) -> str:
                callers = [asyncio.ensure_future(engine.batcher.submit(encoding, context)) for _ in range(250)]
                await asyncio.sleep(0)
                page = (await client.get(address)).text
                assert engine.batcher.depth
                await asyncio.gather(*callers, return_exceptions=True)
                return page

            first = await busy(address)
            assert "The service is busy with tickets, which come first. This is tried again." in first
            assert 'hx-get="' + address + '?try=1" hx-trigger="load delay:2s"' in first
            last = await busy(f"{address}?try=4")
            assert "Try again</button>" in last
            assert 'hx-trigger="click from:find button"' in last
            assert "Percentage points" in (await client.get(f"{address}?try=5")).text
        await app.stop()

    asyncio.run(scenario())
