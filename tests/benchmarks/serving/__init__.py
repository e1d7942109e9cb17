"""Our service and its peers side by side: `python -m tests.benchmarks.serving --help`. Its tables: docs/results.md."""
