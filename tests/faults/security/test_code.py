"""No way leads from data to code: what the product's own source must not hold. ruff's S rules find half of it."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.process import ROOT

MODULES = {"pickle", "cloudpickle", "dill", "shelve", "marshal", "joblib", "xml", "lxml", "yaml", "code", "runpy"}
BUILT_IN = {"eval", "exec", "compile", "__import__"}
CALLS = {"system", "popen", "read_pickle", "to_pickle"}
"""Of whatever they are methods."""
ARGUMENTS = {("trust_remote_code", True), ("weights_only", False), ("allow_pickle", True), ("use_safetensors", False)}


def trees() -> Iterator[tuple[Path, ast.AST]]:
    """The product's source."""
    for room in ("models", "service", "training"):
        for path in sorted((ROOT / room).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def unsafe(tree: ast.AST) -> Iterator[str]:
    """Modules that run what they read, calls that do, and arguments that let a library do it."""
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


def test_no_way_leads_from_data_to_code() -> None:
    """No pickle in any of its forms, nothing evaluated, no XML parser, no shell, no library's remote code."""
    assert [f"{path}: {what}" for path, tree in trees() for what in unsafe(tree)] == []


FOUND = ("import pickle", "from joblib import load", "import xml.etree", "torch.load(f)", "eval(x)", "os.system(x)")
FOUND += ("np.load(f, allow_pickle=True)", "pd.read_pickle(f)", "run(x, shell=True)", "load(f, trust_remote_code=True)")


@pytest.mark.parametrize("code", FOUND)
def test_a_way_from_data_to_code_would_be_found(code: str) -> None:
    """The search sees each of them."""
    assert len(list(unsafe(ast.parse(code)))) == 1


def test_weights_are_asked_for_as_safetensors() -> None:
    """Every call that loads weights says so: without it the library falls back to a pickle, and says nothing."""
    calls = [node for _, tree in trees() for node in ast.walk(tree) if isinstance(node, ast.Call)]
    loading = [call for call in calls if ast.unparse(call.func).endswith("Model.from_pretrained")]
    assert loading
    for call in loading:
        told = {word.arg: getattr(word.value, "value", None) for word in call.keywords}
        assert (told["use_safetensors"], told["trust_remote_code"]) == (True, False)
