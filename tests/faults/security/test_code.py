"""Data never becomes code: constructs that the product's source must not contain. ruff's S rules find half of them."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import ROOT

MODULES = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib", "xml", "lxml", "yaml", "code", "runpy"}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
CALLS = {"system", "popen", "read_pickle", "to_pickle"}
"""Methods with these names, on any object."""
ARGUMENTS = {("trust_remote_code", True), ("weights_only", False), ("allow_pickle", True), ("use_safetensors", False)}


def trees() -> Iterator[tuple[Path, ast.AST]]:
    """The syntax trees of the product's source."""
    for room in ("models", "service", "training"):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def unsafe(tree: ast.AST) -> Iterator[str]:
    """Modules that execute what they read, calls that do, and arguments that allow a library to do so."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else [node.module or ""]
            yield from (name for name in names if name.split(".")[0] in MODULES)
        elif isinstance(node, ast.Call):
            yield from _unsafe_call(node)


def _unsafe_call(call: ast.Call) -> Iterator[str]:
    owner, _, name = ast.unparse(call.func).rpartition(".")
    if name in CALLS or (name in BUILT_IN and not owner) or (owner, name) == ("torch", "load"):
        yield ast.unparse(call.func)
    for word in call.keywords:
        value = getattr(word.value, "value", None)
        if (word.arg, value) in ARGUMENTS or (word.arg == "shell" and value is not False):
            yield f"{word.arg}={value}"


def test_source_has_no_construct_that_executes_data() -> None:
    """No pickle in any form, no eval, no XML parser, no shell, no remote code of a library."""
    assert [f"{path}: {what}" for path, tree in trees() for what in unsafe(tree)] == []


FOUND = ("import pickle", "from joblib import load", "import xml.etree", "torch.load(f)", "eval(x)", "os.system(x)")
FOUND += ("np.load(f, allow_pickle=True)", "pd.read_pickle(f)", "run(x, shell=True)", "load(f, trust_remote_code=True)")


@pytest.mark.parametrize("code", FOUND)
def test_each_construct_that_executes_data_is_found(code: str) -> None:
    assert len(list(unsafe(ast.parse(code)))) == 1


def test_weights_are_loaded_only_as_safetensors() -> None:
    """Every call that loads weights says so: without the argument the library silently falls back to a pickle."""
    calls = [node for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loading = [call for call in calls if ast.unparse(call.func).endswith("Model.from_pretrained")]
    assert loading
    for call in loading:
        keywords = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
        assert (keywords["use_safetensors"], keywords["trust_remote_code"]) == (True, False)
