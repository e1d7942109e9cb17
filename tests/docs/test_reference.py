"""What the documentation lists is what the product has: errors, outcomes, reasons, flags, variables, headings."""

import re
from pathlib import Path
from typing import get_args

import pytest

from models.scoring import Outcome, Reason
from service.api.json_errors import CODES
from service.cli.flags import variable
from service.decision import Flag
from service.http.problems import ADMINISTRATIVE, CLIENT_CLOSED, INTERNAL, TABLE, Kind
from service.settings import Settings
from tests.docs.blocks import code_in_text, pages
from tests.docs.checks import faults, is_missing
from tests.docs.settings_table import PAGE as SETTINGS_PAGE
from tests.docs.settings_table import with_table
from tests.support.process import ROOT

API = (ROOT / "docs" / "api.md").read_text()
SENT = [kind for error, kind in TABLE.items() if error not in ADMINISTRATIVE and kind.status != CLIENT_CLOSED]
ANCHOR = re.compile(r"\]\(([^)\s:#]*)#([^)\s]+)\)")


def _flags() -> set[str]:
    return {str(one) for part in get_args(Flag) for one in get_args(part) or part}


@pytest.mark.parametrize("kind", [*SENT, INTERNAL], ids=lambda kind: kind.code)
def test_every_error_stands_in_the_api_guide(kind: Kind) -> None:
    """With its status, so that a client's author knows what to expect, and whether to try again."""
    rows = [line for line in API.splitlines() if line.startswith(f"| {kind.status} ")]
    assert any(f"`{kind.code}`" in row for row in rows)


def test_the_api_guide_has_every_code_of_a_wrong_shape_and_no_other() -> None:
    """What can stand in `errors`; that it is no more than these, `tests/unit/service/api/test_json_errors.py` tries."""
    table = API.partition("| `code` in `errors` |")[2].partition("\n\n")[0]
    rows = [row.split("|")[1] for row in table.splitlines()[2:]]
    assert sorted(re.findall(r"`(\w+)`", " ".join(rows))) == sorted(CODES)


@pytest.mark.parametrize("word", sorted({*map(str, Outcome), *map(str, Reason), *_flags()}))
def test_every_word_of_an_answer_stands_in_the_api_guide(word: str) -> None:
    """Outcomes, reasons and flags are closed sets; the guide has each of them."""
    assert f"`{word}`" in API


def test_the_table_of_settings_is_written_from_the_settings() -> None:
    """Stale? `python -m tests.docs.settings_table` writes it."""
    assert SETTINGS_PAGE.read_text() == with_table(SETTINGS_PAGE.read_text())


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_variable_named_is_a_setting(page: Path) -> None:
    """Every `TICKET_ROUTER_…` in the documentation is one the service takes; it refuses others."""
    known = {variable(name) for name in Settings.model_fields}
    named = set(re.findall(r"\bTICKET_ROUTER_[A-Z_]*[A-Z]\b", page.read_text()))
    assert named <= known


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_page_is_finished(page: Path) -> None:
    """No mark of something still to be filled in is left."""
    assert re.findall(r"@@\w*|\b(?:TODO|FIXME|TBD|XXX)\b", page.read_text()) == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_a_link_to_a_heading_finds_it(page: Path) -> None:
    """Links into a page, its own or another, lead to a heading that is there."""
    links = [(page.parent / name if name else page, anchor) for name, anchor in ANCHOR.findall(page.read_text())]
    assert [f"{to.name}#{anchor}" for to, anchor in links if anchor not in _headings(to)] == []


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.relative_to(ROOT).as_posix())
def test_what_stands_in_backticks_is_there(page: Path) -> None:
    """Files, folders and targets of make that a sentence names exist, as those in blocks do."""
    found = list(code_in_text(page.read_text()))
    targets = [fault for code in found if code.startswith("make ") for fault in faults(tuple(code.split()))]
    assert [*targets, *(code for code in found if is_missing(code))] == []


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_the_index_has_every_page(page: Path) -> None:
    """A page that the index leaves out is found by nobody."""
    assert page.name == "README.md" or f"]({page.name})" in (ROOT / "docs" / "README.md").read_text()


def _headings(page: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    found = re.findall(r"^#+ +(.*?) *$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}
