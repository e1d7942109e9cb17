"""The connections in the documentation are valid: they are pasted."""

import tomllib

import pytest

from service.helpdesks.connections import Connection, ConnectionTable
from service.helpdesks.kinds import adapter_of
from tests.docs.blocks import Block, all_blocks

BLOCKS = [block for block in all_blocks() if block.page == "docs/helpdesks.md" and block.language == "toml"]


@pytest.mark.parametrize("block", [pytest.param(block, id=block.name) for block in BLOCKS])
def test_a_connection_that_is_shown_can_be_used(block: Block) -> None:
    ((name, table),) = tomllib.loads(block.text).items()
    adapter = adapter_of(Connection(name, ConnectionTable.model_validate(table), "secret", "token", None))
    assert adapter.headers()


def test_each_kind_is_shown() -> None:
    kinds = {table["kind"] for block in BLOCKS for table in tomllib.loads(block.text).values()}
    assert kinds == {"zendesk", "django_helpdesk", "generic"}
