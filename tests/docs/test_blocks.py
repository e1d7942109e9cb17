"""Rules for every fenced block of the documentation, and tests of the parser of blocks."""

import json
import re

import pytest

from service.http.problems import TABLE
from tests.docs.blocks import COMMANDS, Block, all_blocks, blocks_of, statements
from tests.docs.shape import differences
from tests.docs.words import simple_commands

LANGUAGES = COMMANDS | {"json", "text", "python", "js", "yaml", "toml", "promql", "dockerfile", "nginx", "haproxy"}
KINDS = {kind.code: kind for kind in TABLE.values()}


def _of(*languages: str) -> list[object]:
    return [pytest.param(block, id=block.name) for block in all_blocks() if block.language in languages]


@pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in all_blocks()])
def test_a_block_names_its_language(block: Block) -> None:
    """The language selects highlighting and checks: an unnamed block would not be checked."""
    assert block.language in LANGUAGES


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.name) for block in all_blocks() if block.not_run is not None]
)
def test_a_block_that_is_not_run_gives_a_reason(block: Block) -> None:
    """The reason is shown with the skipped test."""
    assert block.not_run
    assert block.language in COMMANDS | {"python", "js"}


@pytest.mark.parametrize("block", _of("json"))
def test_json_blocks_parse(block: Block) -> None:
    """JSON that is shown can be copied and parsed; an error that is shown is one of the service's."""
    shown = json.loads(block.text)
    if isinstance(shown, dict) and "code" in shown:
        kind = KINDS[shown["code"]]
        assert (shown["status"], shown["title"]) == (kind.status, kind.title)


@pytest.mark.parametrize("block", _of("sh"))
def test_prompts_stand_only_in_blocks_with_output(block: Block) -> None:
    """Commands without output are copied whole, so no `$ ` stands before them."""
    assert not re.search(r"^\s*\$ ", block.text, re.MULTILINE)


def test_blocks_are_read_with_their_marker_and_their_response() -> None:
    """The marker before a block applies to it, and JSON directly after commands is their response."""
    text = "<!-- not run: needs\na cluster -->\n```sh\na\n```\n\n```json\n1\n```\ntext\n\n```json\n2\n```\n"
    first, second, third = blocks_of("page", text)
    assert (first.not_run, first.line) == ("needs\na cluster", 3)
    assert (second.not_run, second.is_answer, third.is_answer) == (None, True, False)


def test_multiline_statements_stay_whole() -> None:
    """Continued lines, open quotes, loops and here-documents stay together; comments and output are no statements."""
    text = "# no\na \\\n  b\nuntil c; do\n  d\ndone\ne 'x\ny'\nf <<EOF\n$ g\nEOF\n"
    block = Block("page", 1, "sh", text, None, None)
    assert [one.text.split()[0] for one in statements(block)] == ["a", "until", "e", "f"]
    typed = statements(Block("page", 1, "console", "$ a \\\n  b\nout\n\nput\n$ c\n", None, None))
    assert [(one.text, one.output) for one in typed] == [("a \\\n  b", "out\n\nput"), ("c", "")]


def test_simple_commands_are_found_within_a_statement() -> None:
    """Lists, pipes, loops, assignments, redirections and comments are removed around the commands."""
    text = "A=1 b --c 'd; e' 2>/dev/null | f && until g; do h > i; done  # j\n"
    assert list(simple_commands(text)) == [("b", "--c", "d; e"), ("f",), ("g",), ("h",)]
    assert list(simple_commands("k <<'EOF'\nl m\nEOF\n")) == [("k",)]
    assert list(simple_commands("n \\\n  o\n")) == [("n", "o")]


def test_differences_of_shape_are_reported() -> None:
    """Keys on one side only and values of another type; not values, null and fields from the bundle."""
    shown = {"a": 1, "b": [{"c": "x"}], "d": None, "fields": {"priority": 1}}
    assert (
        list(differences(shown, {"a": 2.5, "b": [{"c": "y"}, {}], "d": "z", "fields": {"priority": 2, "q": 3}})) == []
    )
    assert list(differences({"a": 1, "b": 2}, {"a": "1", "c": 3})) == [
        "answer.b is shown, and is not there",
        "answer.c is there, and is not shown",
        "answer.a is shown as a number, and is str",
    ]
