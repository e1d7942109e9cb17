"""Benchmarks and long checks, which the suite does not run, can be imported."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
ELSEWHERE = ("tests/benchmarks/serving/peers/", "tests/manifests/validate.py", "tests/support/helpdesks/django_site/")
"""These have their own environments."""
IMPORT = "import importlib, sys; [importlib.import_module(name) for name in sys.argv[1:]]"


def test_every_module_under_tests_imports() -> None:
    """The suite does not run benchmarks, so a renamed module would break their imports unnoticed."""
    files = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "tests").rglob("*.py"))
    chosen = [file for file in files if not file.startswith(ELSEWHERE) and not file.endswith("__main__.py")]
    modules = [file.removesuffix(".py").removesuffix("/__init__").replace("/", ".") for file in chosen]
    done = subprocess.run([sys.executable, "-c", IMPORT, *modules], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
