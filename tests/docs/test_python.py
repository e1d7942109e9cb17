"""The functions that docs/python.md names exist, and its example uses existing names."""

import ast
import importlib
import inspect
import re

import pytest

from tests.docs.blocks import all_blocks
from tests.support.process import ROOT

PAGE = ROOT / "docs" / "python.md"
NAMED = sorted(set(re.findall(r"`(training\.[\w.]+|models\.[\w.]+)", PAGE.read_text())))
BLOCKS = [block for block in all_blocks() if block.language == "python" and "training.commands" in block.text]


def found(name: str) -> object:
    module, _, attribute = name.rpartition(".")
    return getattr(importlib.import_module(module), attribute)


@pytest.mark.parametrize("name", NAMED)
def test_names_on_the_page_exist(name: str) -> None:
    assert found(name)


def test_the_example_calls_existing_functions_with_valid_arguments() -> None:
    """Each imported name exists, and each call fits the signature; nothing is run."""
    (block,) = BLOCKS
    tree = ast.parse(block.text)
    names = {
        alias.name: found(f"{node.module}.{alias.name}")
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)]
    checked = [node for node in calls if node.func.id in names]  # type: ignore[attr-defined]
    for node in checked:
        call = names[node.func.id]  # type: ignore[attr-defined]
        inspect.signature(call).bind(*node.args, **{str(word.arg): word.value for word in node.keywords})  # type: ignore[arg-type]
    assert len(checked) >= 8
