"""How the code is laid out: lines by package, code files by folder, and the longest chain of imports.

`python -m tests.structure` prints it; tests/unit/repository/test_structure.py holds the limits of the house.
"""

import sys
from collections import Counter
from graphlib import TopologicalSorter
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("models", "service", "training")
TABLES = frozenset({"models/text/client_phrases.py", "training/sample/lexicon.py"})
"""Phrases and data written as Python, which do not count as code."""


def lines_by_package(package: str) -> Counter[str]:
    """Lines of Python by subpackage of `package`; files outside subpackages are listed singly."""
    lines: Counter[str] = Counter()
    for path in (ROOT / package).rglob("*.py"):
        part = path.relative_to(ROOT / package).parts[0]
        lines[part] += len(path.read_text("utf-8").splitlines())
    return lines


def files_by_folder(package: str) -> Counter[str]:
    """Code files of each folder, including `__init__.py`, without `TABLES`."""
    files = (path.relative_to(ROOT) for path in (ROOT / package).rglob("*.py"))
    return Counter(str(path.parent) for path in files if path.as_posix() not in TABLES)


def longest_chain(package: str) -> tuple[str, ...]:
    """The modules of the longest chain of imports, each importing the next; their number is the import levels.

    Raises:
        graphlib.CycleError: modules import each other in a circle.
    """
    graph = grimp.build_graph(package, cache_dir=None)
    imported = {module: graph.find_modules_directly_imported_by(module) for module in graph.modules}
    chains: dict[str, tuple[str, ...]] = {}
    for module in TopologicalSorter(imported).static_order():
        chains[module] = (module, *max((chains[name] for name in sorted(imported[module])), key=len, default=()))
    return max((chains[module] for module in sorted(chains)), key=len)


def main() -> int:
    for package in PACKAGES:
        lines, files, chain = lines_by_package(package), files_by_folder(package), longest_chain(package)
        print(f"{package}: {lines.total()} lines, {files.total()} files, {len(chain)} import levels")
        for part, count in lines.most_common():
            folder = f"{package}/{part}"
            print(f"  {part:24}{count:>6} lines" + (f"{files[folder]:>4} files" if folder in files else ""))
        print("  longest chain of imports:")
        for level, module in zip(range(len(chain), 0, -1), chain, strict=True):
            print(f"  {level:>4} {module}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
