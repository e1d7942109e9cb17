"""Every command of the documentation names things that exist: flags, targets, files, images and objects."""

import pytest

from tests.docs.blocks import COMMANDS, Block, all_blocks, statements
from tests.docs.checks import faults
from tests.docs.words import simple_commands


@pytest.mark.parametrize(
    "block", [pytest.param(block, id=block.name) for block in all_blocks() if block.language in COMMANDS]
)
def test_commands_name_existing_things(block: Block) -> None:
    """No command of the block would be refused for its words; blocks that are not run are checked too."""
    found = [fault for one in statements(block) for words in simple_commands(one.text) for fault in faults(words)]
    assert found == []


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ("python -m service --prot 1", "--prot"),
        ("python -m service --port 70000", "TICKET_ROUTER_PORT"),
        ("python -m service rout", "rout"),
        ("python -m training train", "--data"),
        ("python -m tests.benchmarks.start --nope x", "--nope"),
        ("python -m tests.benchmarks.gone", "gone"),
        ("make demmo", "demmo"),
        ("kubectl apply -k k8s/overlays/none", "k8s/overlays/none"),
        ("kubectl rollout status deployment/none", "none"),
        ("docker build --target none .", "none"),
        ("docker run ticket-router-servce:1", "ticket-router-servce"),
        ("crul localhost", "crul"),
    ],
)
def test_a_misspelt_command_is_found(words: str, part: str) -> None:
    """Each kind of check finds a command that cannot work."""
    assert any(part in fault for fault in faults(tuple(words.split())))
