"""The commands of the documentation are run by bash against a real service, as far as this is possible here.

These are all blocks with a curl, all clients in Python or JavaScript, and the Python commands of `CHEAP`. The output
shown below commands must have the shape of the real output. A block marked `not run` is skipped with its reason, so
that `-rs` lists it.
"""

import re
import shutil

import pytest

from tests.docs.blocks import COMMANDS, Block, Statement, all_blocks, statements
from tests.docs.live import Live, Ran, json_in
from tests.docs.shape import differences
from tests.docs.words import simple_commands

CHEAP = (
    "python -m training sample",
    "python -m training check",
    "python -m service route",
    "python -m service fetch --from URL",
)
"""Commands of the product that take a second or two and write only their file."""
LOCAL = re.compile(r"localhost:(8080|9090)")
TYPED = [block for block in all_blocks() if block.language in COMMANDS]
CLIENTS = {"python": ("python", "client.py"), "js": ("node", "client.mjs")}


def _called(block: Block) -> list[Statement]:
    return [
        one for one in statements(block) if block.language in COMMANDS and "curl" in one.text and LOCAL.search(one.text)
    ]


def _cheap() -> list[object]:
    """Each such statement once, by the first block that has it."""
    found: dict[str, Block] = {}
    for block in TYPED:
        for one in statements(block):
            if any(" ".join(words).startswith(CHEAP) for words in simple_commands(one.text)):
                found.setdefault(one.text.partition("#")[0].strip(), block)
    return [pytest.param(text, block, id=f"{block.name}: {text}") for text, block in found.items()]


def _params(blocks: list[Block]) -> list[object]:
    return [pytest.param(block, id=block.name) for block in blocks]


@pytest.mark.parametrize("block", _params([block for block in TYPED if _called(block)]))
def test_curl_gets_the_documented_response(block: Block, live: Live) -> None:
    """Each call gets the status and the shape shown beside it, and success where none is shown."""
    _skip_if_marked(block)
    answer = _answer_of(block)
    calls = _called(block)
    for number, call in enumerate(calls):
        shown = call.output or (answer.text if answer and number == len(calls) - 1 else "")
        _compare(live.run(call.text), shown)


@pytest.mark.parametrize(("statement", "block"), _cheap())
def test_a_cheap_command_runs(statement: str, block: Block, live: Live) -> None:
    """It exits with 0 in a reader's folder."""
    _skip_if_marked(block)
    ran = live.run(statement)
    assert ran.code == 0, ran.err


@pytest.mark.parametrize(
    "block", _params([block for block in all_blocks() if block.language in CLIENTS and LOCAL.search(block.text)])
)
def test_a_client_runs(block: Block, live: Live) -> None:
    """A client shown in the documentation gets its decision."""
    _skip_if_marked(block)
    program, name = CLIENTS[block.language]
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    (live.folder / name).write_text(live.here(block.text))
    ran = live.run(f"{program} {name}")
    assert ran.code == 0, ran.err
    assert ran.out.split()[0] in {"route", "suggest", "review"}


@pytest.mark.parametrize("block", _params([block for block in TYPED if "kubectl kustomize" in block.text]))
def test_kustomize_renders(block: Block, live: Live) -> None:
    """The folders that a page renders do render. No cluster is needed."""
    for one in statements(block):
        if "kubectl kustomize" in one.text and "kubectl apply" not in one.text:
            ran = live.in_repository(one.text)
            assert ran.code == 0, ran.err


def _skip_if_marked(block: Block) -> None:
    if block.not_run:
        pytest.skip(f"{block.name} is not run: {block.not_run}")


def _answer_of(block: Block) -> Block | None:
    return next((other for other in all_blocks() if other.before is block and other.is_answer), None)


def _compare(ran: Ran, shown: str) -> None:
    """JSON by its shape, an HTTP head by its status, other text by the first word of each line."""
    head, wanted, real = re.match(r"HTTP/1\.1 (\d{3})", shown), json_in(shown), json_in(ran.out)
    status = int(head[1]) if head else wanted["status"] if wanted and "code" in wanted else 200
    assert ran.code == 0, ran.err
    assert ran.statuses[-1:] == [status], ran.out
    if wanted is not None:
        assert list(differences(wanted, real)) == []
    elif not head:
        assert [line for line in shown.splitlines() if re.split(r"[ {]", line)[0] not in ran.out] == []
